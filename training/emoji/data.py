"""Read the emoji glyphs and draw them on coloured backgrounds.

The drawings come from Debian's ``fonts-noto-color-emoji`` (OFL-1.1), whose colour bitmap table holds PNGs
of 136x128 px.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fontTools.ttLib import TTFont
from PIL import Image

TABLE = Path(__file__).with_name("glyphs.tsv")
DEFAULT_FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
SIZE = 64
SCALE = 0.88
COLOURS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "black": (20, 20, 20),
    "red": (220, 50, 50),
    "green": (60, 170, 80),
    "blue": (60, 110, 220),
    "yellow": (250, 220, 80),
}
RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Glyph:
    """Name one emoji, with the other words people may use for it, and its name in the first pipeline."""

    category: str
    name: str
    codepoint: int
    synonyms: tuple[str, ...]
    first_name: str

    @property
    def teacher(self) -> str:
        """Return the name by which the first pipeline knew it, or else its name."""
        return self.first_name or self.name


def read_table() -> list[Glyph]:
    """Return the glyphs of the table, in its order."""
    rows = (line.split("|") for line in TABLE.read_text(encoding="utf-8").splitlines())
    return [Glyph(kind, name, int(code, 16), tuple(words.split(",")), old) for kind, name, code, words, old in rows]


def load_images(font: Path, glyphs: list[Glyph]) -> dict[str, Image.Image]:
    """Return one RGBA picture for each glyph, cropped to what is drawn."""
    bitmaps, cmap = _bitmaps(font)
    return {glyph.name: _decode(bitmaps[cmap[glyph.codepoint]].imageData) for glyph in glyphs}


def _bitmaps(font: Path) -> tuple[dict[str, Any], dict[int, str]]:
    parsed = TTFont(font)
    strikes = parsed["CBDT"].strikeData
    return {name: data for strike in strikes for name, data in strike.items()}, parsed.getBestCmap()


def _decode(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    return image.crop(image.getbbox())


def render(glyph: Image.Image, background: RGB, scale: float = SCALE, shift: tuple[int, int] = (0, 0)) -> Image.Image:
    """Draw ``glyph`` in the middle of a SIZE x SIZE square, moved by ``shift`` pixels."""
    factor = SIZE * scale / max(glyph.size)
    small = glyph.resize(
        (max(1, round(glyph.width * factor)), max(1, round(glyph.height * factor))), Image.Resampling.LANCZOS
    )
    canvas = Image.new("RGBA", (SIZE, SIZE), (*background, 255))
    layer = Image.new("RGBA", (SIZE, SIZE), (0, 0, 0, 0))
    layer.paste(small, ((SIZE - small.width) // 2 + shift[0], (SIZE - small.height) // 2 + shift[1]))
    canvas.alpha_composite(layer)
    return canvas.convert("RGB")


def to_tensor(images: list[Image.Image]) -> torch.Tensor:
    """Return pictures as float32 in [-1, 1], shape (n, 3, SIZE, SIZE)."""
    stacked = np.stack([np.asarray(image) for image in images])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).float() / 127.5 - 1


def grid(font: Path, glyphs: list[Glyph]) -> torch.Tensor:
    """Return every glyph on every background, shape (glyphs, colours, 3, SIZE, SIZE)."""
    images = load_images(font, glyphs)
    rows = [to_tensor([render(images[glyph.name], rgb) for rgb in COLOURS.values()]) for glyph in glyphs]
    return torch.stack(rows)
