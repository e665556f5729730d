"""Load tokenizers: transformers makes one without a word out of nothing where their files are missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_MISSING = "It knows no words: files of its tokenizer, like tokenizer.json or vocab.txt, are missing."
_FEW = 2
"""Words that some tokenizers have besides their special ones when their files are missing."""


def load_tokenizer(folder: Path | None) -> Any:
    """Return the tokenizer of a model in hub format; raise ValueError or OSError when its files are missing."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except TypeError as error:  # it opens a file whose name is None
        raise ValueError(_MISSING) from error
    return with_words(tokenizer)


def with_words(tokenizer: Any) -> Any:
    """Return a tokenizer; raise ValueError when it knows no words."""
    if len(tokenizer) <= len(tokenizer.added_tokens_encoder) + _FEW:
        raise ValueError(_MISSING)
    return tokenizer
