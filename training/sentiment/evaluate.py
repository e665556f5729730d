"""Measure the prepared folder on the held-out sentences: `python -m training.sentiment.evaluate`."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from bot.bundled.prepare import prepare
from bot.cpu.choice import CHOICES, converted
from training.sentiment.data import CUT, SOURCES, load

if TYPE_CHECKING:
    from training.sentiment.data import Sentence

NAME = "minilm-sentiment"
BATCH = 64


@torch.inference_mode()
def score(model: Any, tokenizer: Any, texts: list[str]) -> torch.Tensor:
    """Return (texts, 3) probabilities, computed in batches of similar length."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    result = torch.empty(len(texts), model.config.num_labels)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        inputs = tokenizer([texts[i] for i in rows], truncation=True, padding=True, return_tensors="pt")
        result[rows] = model(**inputs).logits.float().softmax(-1)
    return result


def figures(rows: list[Sentence], probabilities: torch.Tensor) -> str:
    """Return one line: three-class accuracy, and positive against negative where people were clear."""
    labels = torch.tensor([row.label for row in rows])
    ratings = torch.tensor([row.rating for row in rows])
    right = (probabilities.argmax(1) == labels).float().mean().item()
    clear = ratings.abs() >= CUT
    leaning = probabilities[:, 2] - probabilities[:, 0]
    sides = (leaning[clear].sign() == ratings[clear].sign()).float().mean().item()
    return f"{len(rows)} sentences: 3-class {right:.1%}, pos/neg {sides:.1%} of {int(clear.sum())}"


def main() -> None:
    """Print the figures in all and by source."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", choices=CHOICES, default="fp32")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = prepare([NAME])[NAME]
    tokenizer, model = (
        AutoTokenizer.from_pretrained(folder),
        AutoModelForSequenceClassification.from_pretrained(folder),
    )
    rows = [sentence for sentence in load() if sentence.held_out]
    start = time.perf_counter()
    probabilities = score(converted(model.eval(), options.precision), tokenizer, [row.text for row in rows])
    seconds = time.perf_counter() - start
    print(f"all: {figures(rows, probabilities)}, {seconds / len(rows) * 1000:.1f} ms a sentence in batches")
    for source in SOURCES:
        chosen = [i for i, row in enumerate(rows) if row.source == source]
        print(f"{source}: {figures([rows[i] for i in chosen], probabilities[chosen])}")


if __name__ == "__main__":
    main()
