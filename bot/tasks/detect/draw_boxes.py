"""Draw what was found in a picture: boxes with labels, readable at any size and by colour-blind people."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

LEAST_SIDE = 512
"""Least longer side of the drawn picture, in pixels: on a smaller one no label can be read."""
_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
"""Okabe and Ito, "Color Universal Design", 2008, without its black."""
_BRIGHT = 140
_LINE_SHARE, _FONT_SHARE = 1 / 250, 1 / 42
"""Of the longer side."""
_LINE_SHARE_OF_SHORTER = 1 / 40
_LEAST_FONT, _PADDING_SHARE = 14, 0.25
_QUALITY = 90

Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Say what was found where, and how sure that is. Pixels are those of the whole picture, upright."""

    label: str
    score: float
    left: float
    top: float
    right: float
    bottom: float


def draw_boxes(image: Any, boxes: Sequence[Box], size: tuple[int, int]) -> bytes:
    """Return a JPEG file of a PIL image with boxes, the surest on top; they count in pixels of `size`."""
    drawing = _Drawing(_enlarged(image), size, dict.fromkeys(box.label for box in boxes))
    for box in reversed(boxes):
        drawing.outline(box)
    for box in boxes:
        drawing.place(box)
    drawing.write()
    file = io.BytesIO()
    drawing.canvas.save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return file.getvalue()


def _enlarged(image: Any) -> Any:
    """Return a copy that is large enough for labels."""
    from PIL import Image

    factor = max(LEAST_SIDE / max(image.size), 1.0)
    return image.resize([max(round(side * factor), 1) for side in image.size], Image.Resampling.BICUBIC)


class _Drawing:
    """Hold the canvas, and the labels placed on it so far."""

    def __init__(self, canvas: Any, size: tuple[int, int], labels: Iterable[str]) -> None:
        from PIL import ImageDraw, ImageFont

        self.canvas = canvas
        self._scale = (canvas.width / size[0], canvas.height / size[1])
        self._draw = ImageDraw.Draw(canvas)
        self._line = max(2, round(min(max(canvas.size) * _LINE_SHARE, min(canvas.size) * _LINE_SHARE_OF_SHORTER)))
        self._font: Any = ImageFont.load_default(_font_size(*canvas.size))
        self._colours = dict(zip(labels, itertools.cycle(_COLOURS), strict=False))
        self._labels: list[tuple[Rectangle, str, str]] = []

    def outline(self, box: Box) -> None:
        """Draw a box with a dark rim, that it stands out from every background."""
        left, top, right, bottom = self._on_canvas(box)
        self._draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline="black", width=self._line + 2)
        self._draw.rectangle((left, top, right, bottom), outline=self._colours[box.label], width=self._line)

    def place(self, box: Box) -> None:
        """Choose where a label stands: the first place beside its box that no other label takes."""
        text = self._fitting(f"{box.label} {box.score:.0%}")
        places = list(self._places(box, text))
        free = (place for place in places if not any(_overlap(place, taken) for taken, _, _ in self._labels))
        self._labels.append((next(free, places[0]), text, self._colours[box.label]))

    def write(self) -> None:
        """Write the labels, the first ones on top."""
        for rectangle, text, colour in reversed(self._labels):
            self._draw.rectangle(rectangle, fill=colour, outline="black")
            middle = ((rectangle[0] + rectangle[2]) / 2, (rectangle[1] + rectangle[3]) / 2)
            self._draw.text(middle, text, font=self._font, fill=_ink(colour), anchor="mm")

    def _on_canvas(self, box: Box) -> Rectangle:
        """Return a box in the canvas's pixels, inside of it."""
        (x, y), (width, height) = self._scale, self.canvas.size
        left, top = _within(box.left * x, width - 1), _within(box.top * y, height - 1)
        return left, top, max(left, _within(box.right * x, width - 1)), max(top, _within(box.bottom * y, height - 1))

    def _fitting(self, text: str) -> str:
        """Return a text cut to the canvas's width."""
        most = self.canvas.width - 2 * self._padding
        if self._font.getlength(text) <= most:
            return text
        while len(text) > 1 and self._font.getlength(text + "…") > most:
            text = text[:-1]
        return text + "…"

    @property
    def _padding(self) -> float:
        return float(self._font.size * _PADDING_SHARE)

    def _places(self, box: Box, text: str) -> Iterator[Rectangle]:
        """Yield where a label could stand, the best first, all inside of the canvas."""
        left, top, right, bottom = self._on_canvas(box)
        width = self._font.getlength(text) + 2 * self._padding
        height = self._font.size + 2 * self._padding
        for y in (top - height, top, bottom, bottom - height):
            for x in (left, right - width):
                inside_x = _within(x, self.canvas.width - 1 - width)
                inside_y = _within(y, self.canvas.height - 1 - height)
                yield inside_x, inside_y, inside_x + width, inside_y + height


def _font_size(width: int, height: int) -> int:
    """Return the height of letters; two lines of them fit into a picture that is low."""
    return max(_LEAST_FONT, round(min(max(width, height) * _FONT_SHARE, min(width, height) / 3)))


def _within(value: float, most: float) -> float:
    return min(max(value, 0.0), max(most, 0.0))


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _ink(colour: str) -> str:
    """Return black or white, whichever is easier to read on a colour."""
    from PIL import ImageColor

    red, green, blue = ImageColor.getrgb(colour)[:3]
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > _BRIGHT else "white"
