"""Make damaged and hostile pictures from a seed."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from PIL import Image, ImageCms, ImageDraw

_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
Mutation = Callable[[bytearray, random.Random], None]


@cache
def originals() -> tuple[bytes, ...]:
    """Return sound files of all formats and of many kinds."""
    picture = _drawing()
    grey, alpha, palette = picture.convert("L"), picture.convert("RGBA"), picture.quantize(16)
    alpha.putalpha(grey)
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = {"save_all": True, "append_images": [picture.rotate(90), picture.rotate(180)], "duration": 50}
    deep = {"save_all": True, "append_images": [grey.convert("I"), grey.convert("F"), picture]}
    tiffs: list[dict[str, Any]] = [
        {"compression": name} for name in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
    ]
    options: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (picture, "PNG", {"icc_profile": icc, "exif": exif}), (alpha, "PNG", {}), (palette, "PNG", {"transparency": 3}),
        (grey.convert("I;16"), "PNG", {}), (picture, "PNG", frames), (picture, "JPEG", {"exif": exif}),
        (picture, "JPEG", {"progressive": True, "icc_profile": icc}), (picture.convert("CMYK"), "JPEG", {}),
        (picture, "JPEG", {"restart_marker_rows": 1}), (picture, "WEBP", {"icc_profile": icc, "exif": exif}),
        (alpha, "WEBP", {"lossless": True}), (picture, "WEBP", frames), (palette, "GIF", {}), (picture, "GIF", frames),
        (picture, "BMP", {}), (palette, "BMP", {}), (picture, "AVIF", {"exif": exif}), (picture, "AVIF", frames),
        (picture, "TIFF", deep), *[(picture, "TIFF", {"icc_profile": icc, **each}) for each in tiffs],
    ]  # fmt: skip
    return tuple(_encoded(*each) for each in options)


def mutated(count: int, seed: int) -> Iterator[bytes]:
    """Yield files, each with one to five damages."""
    chooser = random.Random(seed)  # noqa: S311 - no secret
    for _ in range(count):
        data = bytearray(chooser.choice(originals()))
        for _ in range(chooser.randint(1, 5)):
            chooser.choice(_MUTATIONS)(data, chooser)
        yield _with_right_sums(bytes(data)) if chooser.random() < 0.5 else bytes(data)


def _drawing() -> Image.Image:
    image = Image.radial_gradient("L").resize((90, 70)).convert("RGB")
    draw = ImageDraw.Draw(image)
    draw.ellipse((10, 10, 50, 60), "red")
    draw.line((0, 70, 90, 0), "blue", 5)
    return image


def _encoded(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _flip(data: bytearray, chooser: random.Random) -> None:
    for _ in range(min(len(data), chooser.randint(1, 8))):
        data[chooser.randrange(len(data))] ^= 1 << chooser.randrange(8)


def _number(data: bytearray, chooser: random.Random) -> None:
    """Put an extreme number somewhere, mostly into the head."""
    size, order = chooser.choice("BHI"), chooser.choice("<>")
    number = struct.pack(order + size, chooser.choice(_EXTREMES) & ((1 << 8 * struct.calcsize(size)) - 1))
    end = max(1, min(len(data), chooser.choice((64, 512, len(data)))))
    place = chooser.randrange(end)
    data[place : place + len(number)] = number


def _cut(data: bytearray, chooser: random.Random) -> None:
    del data[chooser.randrange(len(data) // 2, len(data)) if data else 0 :]


def _remove(data: bytearray, chooser: random.Random) -> None:
    place = chooser.randrange(max(len(data), 1))
    del data[place : place + chooser.randint(1, 64)]


def _repeat(data: bytearray, chooser: random.Random) -> None:
    place, length = chooser.randrange(max(len(data), 1)), chooser.randint(1, 256)
    data[place:place] = data[place : place + length] * chooser.randint(1, 200)


def _splice(data: bytearray, chooser: random.Random) -> None:
    other = chooser.choice(originals())
    start = chooser.randrange(len(other))
    place = chooser.randrange(max(len(data), 1))
    data[place : place + 128] = other[start : start + chooser.randint(1, 512)]


def _with_right_sums(data: bytes) -> bytes:
    """Return a PNG file with right checksums, so that more than its first chunk is read; others as they are."""
    if not data.startswith(b"\x89PNG"):
        return data
    out, place = bytearray(data), 8
    while place + 12 <= len(data):
        end = place + 8 + int.from_bytes(data[place : place + 4], "big")
        if end + 4 > len(data):
            break
        out[end : end + 4] = struct.pack(">I", zlib.crc32(data[place + 4 : end]))
        place = end + 4
    return bytes(out)


_MUTATIONS: tuple[Mutation, ...] = (_flip, _flip, _number, _number, _cut, _remove, _repeat, _splice)
