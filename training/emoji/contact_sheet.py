"""Draw every name once, on changing backgrounds, and put the pictures on one sheet."""

import argparse
import json
from pathlib import Path

import torch
from diffusers import AutoPipelineForText2Image
from PIL import Image

from training.emoji.data import COLOURS, SIZE, Glyph, read_table
from training.emoji.evaluate import Case, article, draw

COLUMNS = 10


def sheet(images: list[Image.Image]) -> Image.Image:
    """Place the pictures in rows of COLUMNS, two pixels apart."""
    step = SIZE + 2
    out = Image.new("RGB", (COLUMNS * step, -(-len(images) // COLUMNS) * step), (128, 128, 128))
    for i, image in enumerate(images):
        out.paste(image, (i % COLUMNS * step + 1, i // COLUMNS * step + 1))
    return out


def announced(model: Path) -> list[Glyph]:
    """Return the glyphs that the model says it knows."""
    names = json.loads((model / "hubcord.json").read_text("utf-8"))["knows"]["names"]
    return [glyph for glyph in read_table() if glyph.name in names]


def main() -> None:
    """Write the sheet as a PNG of 256 colours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/emoji-sd"))
    parser.add_argument("--out", type=Path, default=Path("models/emoji-sd/contact_sheet.png"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    pipe = AutoPipelineForText2Image.from_pretrained(args.model, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    colours = list(COLOURS)
    cases = []
    for i, glyph in enumerate(announced(args.model)):
        colour = colours[(i + i // COLUMNS) % len(colours)]
        cases.append(Case("", f"{article(glyph.name)} on a {colour} background", glyph.name, colour))
    sheet(draw(pipe, cases, args)).quantize(256).save(args.out, optimize=True)


if __name__ == "__main__":
    main()
