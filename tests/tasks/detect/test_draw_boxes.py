"""Test that boxes and labels can be seen: where they belong, inside of the picture, in colours of their own."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence

import pytest
from PIL import Image, ImageChops

from bot.tasks.detect.draw_boxes import Box, _Drawing, _overlap, draw_boxes

GREY = (128, 128, 128)
ORANGE, BLUE = (0xE6, 0x9F, 0x00), (0x56, 0xB4, 0xE9)


def box(label: str, *sides: float, score: float = 0.9) -> Box:
    left, top, right, bottom = sides
    return Box(label=label, score=score, left=left, top=top, right=right, bottom=bottom)


def drawn(size: tuple[int, int], boxes: Sequence[Box], *, whole: tuple[int, int] | None = None) -> Image.Image:
    """Draw on grey; `whole` is the size that the boxes count in."""
    return Image.open(io.BytesIO(draw_boxes(Image.new("RGB", size, GREY), boxes, whole or size)))


def is_near(image: Image.Image, place: tuple[int, int], colour: tuple[int, int, int]) -> bool:
    found = image.getpixel(place)
    assert isinstance(found, tuple)
    return all(abs(a - b) < 40 for a, b in zip(found, colour, strict=True))


def changed(image: Image.Image, area: tuple[int, int, int, int]) -> float:
    """Return the share of an area that isn't grey any more."""
    part = image.crop(area)
    difference = ImageChops.difference(part, Image.new("RGB", part.size, GREY)).convert("L")
    return sum(difference.histogram()[20:]) / (part.width * part.height)


@pytest.mark.parametrize("whole", [(640, 480), (2560, 1920)])
def test_a_box_is_where_it_belongs_in_its_colour_and_its_label_above(whole: tuple[int, int]) -> None:
    scale = whole[0] // 640
    image = drawn((640, 480), [box("cat", *(scale * side for side in (200, 150, 400, 350)))], whole=whole)
    assert image.size == (640, 480)
    assert all(is_near(image, place, ORANGE) for place in ((201, 250), (399, 250), (300, 349)))
    assert changed(image, (210, 160, 390, 340)) == 0
    assert changed(image, (200, 132, 250, 148)) > 0.9
    assert changed(image, (0, 0, 640, 120)) == 0


def test_each_kind_has_its_colour() -> None:
    boxes = [box("cat", 50, 100, 150, 200), box("dog", 250, 100, 350, 200), box("cat", 450, 100, 550, 200)]
    image = drawn((640, 480), boxes)
    colours = [is_near(image, (left + 1, 150), ORANGE) for left in (50, 250, 450)]
    assert colours == [True, False, True]
    assert is_near(image, (251, 150), BLUE)


def test_a_small_picture_is_enlarged_and_a_label_has_room() -> None:
    image = drawn((64, 32), [box("cat", 0, 0, 64, 32)])
    assert image.size == (512, 256)
    assert changed(image, (0, 0, 40, 18)) > 0.9


@pytest.mark.parametrize("size", [(640, 480), (2048, 41), (40, 900), (512, 512)])
def test_labels_stay_inside_and_those_that_find_room_apart(size: tuple[int, int]) -> None:
    width, height = size
    drawing = _Drawing(Image.new("RGB", size), size, ["a very long name for a thing", "plant", "far away"])
    drawing.place(box("a very long name for a thing", 0.9 * width, 0.9 * height, 1.5 * width, 1.5 * height))
    drawing.place(box("plant", -50, -50, 0.1 * width, 0.1 * height))
    drawing.place(box("plant", -50, -50, 0.1 * width, 0.1 * height))
    drawing.place(box("far away", 2 * width, 2 * height, 3 * width, 3 * height))
    places = [place for place, _, _ in drawing._labels]
    assert all(0 <= left < right <= width and 0 <= top < bottom <= height for left, top, right, bottom in places)
    if height > 100:
        assert not any(_overlap(one, other) for one, other in itertools.combinations(places, 2))


@pytest.mark.parametrize("size", [(1, 1), (2048, 20), (20, 2048)])
def test_odd_sizes_are_drawn(size: tuple[int, int]) -> None:
    image = drawn(size, [box("cat", 0, 0, *size), box("dog", 5 * size[0], 0, 9 * size[0], 1)])
    assert max(image.size) >= 512


def test_labels_of_one_place_do_not_hide_each_other() -> None:
    one = drawn((640, 480), [box("cat", 200, 150, 400, 350)])
    two = drawn((640, 480), [box("cat", 200, 150, 400, 350), box("cat", 200, 150, 400, 350, score=0.8)])
    assert changed(two, (0, 0, 640, 480)) > 1.2 * changed(one, (0, 0, 640, 480))
    assert ImageChops.difference(one.crop((200, 128, 260, 148)), two.crop((200, 128, 260, 148))).getbbox() is None
