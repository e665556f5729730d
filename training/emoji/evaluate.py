"""Measure the bundled model: what the judge recognises, whether the background is right, and the time.

As it is, it draws each name on white and on one other colour, each synonym, and the hand-written requests;
``--per-name 6`` draws each name on every colour.
"""

import argparse
import json
import random
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoPipelineForText2Image
from PIL import Image

from training.emoji.data import COLOURS, Glyph, read_table, to_tensor
from training.emoji.judge import DEFAULT_JUDGE, Judge, load_judge
from training.emoji.prompts import PLAIN

BATCH = 20


@dataclass(frozen=True)
class Case:
    """Ask for one picture and say what should be on it."""

    group: str
    prompt: str
    name: str
    colour: str


@dataclass(frozen=True)
class Verdict:
    """Say what the judge saw; ``seen`` is empty where it refused to name the picture."""

    case: Case
    seen: str
    background: str

    @property
    def right(self) -> bool:
        """Tell whether the thing was recognised."""
        return self.seen == self.case.name


def article(word: str) -> str:
    """Put a or an before ``word``."""
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def name_cases(glyphs: list[Glyph], per_name: int, rng: random.Random) -> list[Case]:
    """Return for each name one prompt without a colour and ``per_name`` - 1 with one."""
    cases = []
    for glyph in glyphs:
        cases.append(Case(glyph.category, article(glyph.name), glyph.name, "white"))
        for colour in rng.sample([name for name in COLOURS if name != "white"], per_name - 1):
            prompt = f"{article(glyph.name)} on a {colour} background"
            cases.append(Case(glyph.category, prompt, glyph.name, colour))
    return cases


def synonym_cases(glyphs: list[Glyph]) -> list[Case]:
    """Return one prompt for each synonym."""
    return [Case("(synonyms)", article(word), glyph.name, "white") for glyph in glyphs for word in glyph.synonyms]


def plain_cases(names: list[str]) -> list[Case]:
    """Return the hand-written requests for things that the model announces."""
    return [Case("(plain phrasing)", text, name, colour) for text, name, colour in PLAIN if name in names]


def draw(pipe: Any, cases: list[Case], args: argparse.Namespace) -> list[Image.Image]:
    """Draw all cases, in batches; each batch has its own seed."""
    images: list[Image.Image] = []
    for first in range(0, len(cases), BATCH):
        generator = torch.Generator().manual_seed(args.seed + first)
        prompts = [case.prompt for case in cases[first : first + BATCH]]
        options = {"num_inference_steps": args.steps, "guidance_scale": args.guidance, "generator": generator}
        images += pipe(prompts, **options).images
    return images


def background(image: Image.Image) -> str:
    """Return the named colour that is nearest to the four corners (4x4 px each)."""
    pixels = np.asarray(image.convert("RGB"), dtype=float)
    corners = [pixels[y, x] for y in (slice(0, 4), slice(-4, None)) for x in (slice(0, 4), slice(-4, None))]
    mean = np.median(np.concatenate([corner.reshape(-1, 3) for corner in corners]), axis=0)
    return min(COLOURS, key=lambda name: float(np.square(mean - COLOURS[name]).sum()))


@torch.no_grad()
def judged(judge: Judge, cases: list[Case], images: list[Image.Image], glyphs: list[Glyph]) -> list[Verdict]:
    """Return what the judge says to each picture."""
    names = [*(glyph.name for glyph in glyphs), ""]
    seen = [names[i] for part in to_tensor(images).split(100) for i in judge(part).argmax(1).tolist()]
    return [Verdict(case, word, background(image)) for case, word, image in zip(cases, seen, images, strict=True)]


def summary(verdicts: list[Verdict]) -> dict[str, Any]:
    """Return the share recognised and the share with the right background."""
    return {
        "pictures": len(verdicts),
        "recognised_%": round(100 * sum(verdict.right for verdict in verdicts) / len(verdicts), 1),
        "background_%": round(100 * sum(v.background == v.case.colour for v in verdicts) / len(verdicts), 1),
    }


def seconds_per_image(pipe: Any, args: argparse.Namespace) -> float:
    """Time single pictures on one thread; the first is not counted."""
    torch.set_num_threads(1)
    times = []
    for seed in range(4):
        start = time.perf_counter()
        options = {"num_inference_steps": args.steps, "guidance_scale": args.guidance}
        pipe("a cat on a red background", generator=torch.Generator().manual_seed(seed), **options)
        times.append(time.perf_counter() - start)
    return sum(times[1:]) / 3


def report(verdicts: list[Verdict]) -> dict[str, Any]:
    """Return the figures over all names and for each group, and what went wrong."""
    groups: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        groups[verdict.case.group].append(verdict)
    names = [verdict for verdict in verdicts if not verdict.case.group.startswith("(")]
    wrong = [f"{v.case.prompt} -> {v.seen or 'nothing'}" for v in verdicts if not v.right]
    return {
        "all names": summary(names),
        **{key: summary(group) for key, group in groups.items()},
        "wrong": wrong,
    }


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/emoji-sd"))
    parser.add_argument("--judge", type=Path, default=DEFAULT_JUDGE)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--per-name", type=int, default=2, choices=range(1, 7))
    parser.add_argument("--only-names", action="store_true", help="leave out synonyms and plain phrasing")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def main() -> None:
    """Print the figures as JSON, one group a line."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    glyphs = read_table()
    announced = json.loads((args.model / "hubcord.json").read_text("utf-8"))["knows"]["names"]
    asked = [glyph for glyph in glyphs if glyph.name in announced]
    pipe = AutoPipelineForText2Image.from_pretrained(args.model, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    cases = name_cases(asked, args.per_name, random.Random(args.seed))
    cases += [] if args.only_names else synonym_cases(asked) + plain_cases(announced)
    judge = load_judge(args.judge, len(glyphs) + 1)
    figures = report(judged(judge, cases, draw(pipe, cases, args), glyphs))
    for key, value in figures.items():
        print(f"{key}: {json.dumps(value)}")
    print(f"seconds per image, one thread: {seconds_per_image(pipe, args):.2f}")


if __name__ == "__main__":
    main()
