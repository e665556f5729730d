"""Test that pictures from strangers are decoded, or refused with one sentence."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bot.errors import BadInput
from bot.tasks.images.decode import check_is_picture, decode_image

LIMIT = 1_000_000
KINDS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes) -> Image.Image:
    """Return the picture, as models get it."""
    return decode_image(data, max_pixels=LIMIT).image


SAMPLES = {kind: encoded(Image.linear_gradient("L").resize((16, 16)).convert("RGB"), kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_common_formats_by_content(kind: str) -> None:
    image = decoded(encoded(Image.new("RGB", (20, 10), "red"), kind))
    assert (image.mode, image.size) == ("RGB", (20, 10))
    red, green, _ = image.getpixel((5, 5))  # type: ignore[misc]
    assert red > 200 > 60 > green


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I", "F", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    kind = "TIFF" if mode in ("CMYK", "I", "F") else "PNG"
    image = decoded(encoded(Image.new(mode, (8, 8)), kind))
    assert (image.mode, image.size) == ("RGB", (8, 8))


def test_what_is_transparent_becomes_white() -> None:
    image = decoded(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 0))))
    assert image.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(("mode", "colour"), [("RGB", (255, 0, 0)), ("L", 7)])
def test_the_colour_that_stands_for_transparency_becomes_white(mode: str, colour: Any) -> None:
    data = encoded(Image.new(mode, (4, 4), colour), transparency=colour)
    assert decoded(data).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(("deep", "shallow"), [(0, 0), (300, 1), (32_896, 128), (65_535, 255)])
def test_16_bits_are_as_light_as_8(deep: int, shallow: int) -> None:
    data = encoded(Image.new("I;16", (4, 4), deep))
    assert decoded(data).getpixel((0, 0)) == (shallow,) * 3


def test_exif_turns_the_picture_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = decoded(encoded(Image.new("RGB", (20, 10)), "JPEG", exif=exif))
    assert image.size == (10, 20)


@pytest.mark.parametrize(
    ("tag", "kind"), [(256, 1), (282, 1), (306, 11), (700, 3)], ids=["width", "resolution", "date", "xmp"]
)
def test_a_picture_with_damaged_exif_is_taken_as_it_is(tag: int, kind: int) -> None:
    entries = struct.pack("<HHIIHHI", 0x0112, 3, 1, 6, tag, kind, 1) + b"\xff" * 4
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + entries + b"\0" * 4 + b"\xff" * 40
    image = decoded(encoded(Image.new("RGB", (20, 10)), "JPEG", exif=exif))
    assert image.size == (20, 10)


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue", "green")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decoded(data).getpixel((0, 0)) == (255, 0, 0)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"")) + _chunk(b"IEND", b"")
    with pytest.raises(BadInput, match=r"too many pixels\. Send one of at most 1 megapixels"):
        decode_image(bomb, max_pixels=LIMIT)


def test_more_pixels_than_allowed() -> None:
    with pytest.raises(BadInput, match="too many pixels"):
        decode_image(encoded(Image.new("RGB", (1_001, 1_000))), max_pixels=LIMIT)


@pytest.mark.parametrize("size", [(1, 101), (2_001, 20)])
def test_a_narrow_picture_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(
        BadInput, match=r"too narrow\. Send one whose longer side is at most 100 times the shorter one\."
    ):
        decode_image(encoded(Image.new("RGB", size)), max_pixels=LIMIT)


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"%PDF-1.4", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"PK\x03\x04", b"\x00" * 1_000]
)
def test_what_is_no_picture(data: bytes) -> None:
    for look in (check_is_picture, lambda data: decode_image(data, max_pixels=LIMIT)):
        with pytest.raises(BadInput, match="no picture that can be read"):
            look(data)


@pytest.mark.parametrize("kind", KINDS)
def test_what_begins_as_a_picture(kind: str) -> None:
    check_is_picture(SAMPLES[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_file(kind: str) -> None:
    data = encoded(Image.effect_noise((64, 64), 50).convert("RGB"), kind)
    with pytest.raises(BadInput):
        decode_image(data[: len(data) // 2], max_pixels=LIMIT)


@given(st.data())
def test_damaged_files_never_raise_anything_else(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    content = bytearray(SAMPLES[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = decoded(bytes(content))
    except BadInput:
        return
    assert image.mode == "RGB"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
