"""Test that a picture is decoded to what viewers show of it."""

from __future__ import annotations

import io
import random
import re
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms, ImageDraw, ImageOps, ImageStat, PngImagePlugin

from bot.errors import BadInput
from bot.tasks.images import frames
from bot.tasks.images.colours import contrast
from bot.tasks.images.decode import decode_image
from tests.tasks.images.test_decode import encoded

LIMIT = 20_000_000
ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")


def decoded(data: bytes) -> Image.Image:
    return decode_image(data, max_pixels=LIMIT).image


def drawing(hue: int = 0, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Return a picture with things on it, others for each hue."""
    image = Image.new("RGB", size, (240, 230, 200))
    draw = ImageDraw.Draw(image)
    draw.rectangle((8, 8, size[0] // 2, size[1] - 8), (200 - hue, 30 + hue, 60))
    draw.ellipse((size[0] // 2, 6, size[0] - 6, size[1] - 6), (20, 90 + hue, 220 - hue))
    return image


def noise(size: tuple[int, int] = (200, 160)) -> Image.Image:
    colours = random.Random(1).randbytes(3 * size[0] * size[1] // 16)  # noqa: S311 - no secret
    return Image.frombytes("RGB", (size[0] // 4, size[1] // 4), colours).resize(size, Image.Resampling.BICUBIC)


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference of the colours, in 255ths."""
    assert one.size == other.size
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


def animation(kind: str, frames: list[Image.Image], ms: list[int], **options: Any) -> bytes:
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=ms, **options)


BLACK = Image.new("RGB", (64, 48))


@pytest.mark.parametrize("kind", ANIMATED)
@pytest.mark.parametrize("ms", [20, 400])
def test_an_empty_first_frame_is_skipped(kind: str, ms: int) -> None:
    data = animation(kind, [BLACK, drawing(), drawing(90)], [ms, 500, 500])
    assert difference(decoded(data), drawing()) < 12


@pytest.mark.parametrize("kind", ANIMATED)
def test_a_flash_is_skipped(kind: str) -> None:
    data = animation(kind, [drawing(90), drawing(), drawing(20)], [20, 500, 500])
    assert difference(decoded(data), drawing()) < 12


@pytest.mark.parametrize("kind", ANIMATED)
def test_of_a_picture_that_appears_a_clear_frame_is_taken(kind: str) -> None:
    frames = [Image.blend(BLACK, drawing(), share) for share in (0.0, 0.1, 0.2, 0.9, 1.0)]
    assert difference(decoded(animation(kind, frames, [100] * 5)), drawing()) < 30


@pytest.mark.parametrize("kind", ANIMATED)
def test_a_usual_animation_gives_its_first_frame(kind: str) -> None:
    data = animation(kind, [drawing(hue) for hue in (0, 60, 120)], [33, 33, 2_000])
    assert difference(decoded(data), drawing()) < 12


@pytest.mark.parametrize("kind", ANIMATED)
def test_an_animation_of_nothing_gives_nothing(kind: str) -> None:
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue", "green")]
    assert difference(decoded(animation(kind, frames, [100] * 3)), frames[0]) < 3


def test_the_picture_for_programs_without_animations_is_not_a_frame() -> None:
    data = animation("PNG", [drawing(120), drawing(), drawing(10)], [500, 500], default_image=True)
    assert difference(decoded(data), drawing()) < 1


def test_a_damaged_later_frame_spoils_nothing() -> None:
    data = animation("GIF", [drawing(), noise((64, 48)), noise((64, 48))], [50] * 3)
    assert difference(decoded(data[: len(data) // 2]), drawing()) < 12


def test_a_small_copy_is_no_page() -> None:
    small = drawing(90, (32, 24))
    data = encoded(small, "TIFF", save_all=True, append_images=[drawing()], tiffinfo={254: 1})
    assert difference(decoded(with_subfile_type(data, page=1, kind=0)), drawing()) < 1


def with_subfile_type(data: bytes, *, page: int, kind: int) -> bytes:
    """Return a TIFF file one of whose pages says that it is something else."""
    place = [found.start() for found in re.finditer(rb"\xfe\0\x04\0\x01\0\0\0", data)][page]
    return data[: place + 8] + struct.pack("<I", kind) + data[place + 12 :]


def test_an_empty_page_is_skipped() -> None:
    data = encoded(Image.new("RGB", (300, 200), "white"), "TIFF", save_all=True, append_images=[drawing(), drawing(9)])
    found = decode_image(data, max_pixels=LIMIT)
    assert difference(found.image, drawing()) < 1
    assert found.size == (64, 48)


def test_a_page_that_is_too_large_is_refused() -> None:
    data = encoded(Image.new("1", (10, 10)), "TIFF", save_all=True, append_images=[Image.new("1", (2_000, 2_000), 1)])
    with pytest.raises(BadInput, match="too many pixels"):
        decode_image(data, max_pixels=1_000_000)


def test_few_large_empty_pages_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [Image.new("1", (4_000, 4_000), 1)] * 6
    data = encoded(pages[0], "TIFF", save_all=True, append_images=[*pages, drawing()], compression="tiff_lzw")
    looked_at: list[Image.Image] = []

    def measure(page: Image.Image) -> float:
        looked_at.append(page)
        return contrast(page)

    monkeypatch.setattr(frames, "contrast", measure)
    assert difference(decoded(data), Image.new("RGB", (2_048, 2_048), "white")) == 0
    assert len(looked_at) < 3


# Transparency


def test_white_on_nothing_is_seen_on_black() -> None:
    logo = Image.new("RGBA", (40, 40), (255, 255, 255, 0))
    ImageDraw.Draw(logo).rectangle((10, 10, 29, 29), (255, 255, 255, 255))
    picture = decoded(encoded(logo))
    assert (picture.getpixel((0, 0)), picture.getpixel((20, 20))) == ((0, 0, 0), (255, 255, 255))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_what_is_half_transparent_is_mixed_with_white(kind: str) -> None:
    image = Image.new("RGBA", (32, 32), (0, 0, 0, 128))
    image.paste((255, 0, 0, 255), (0, 0, 16, 32))
    picture = decoded(encoded(image, kind))
    assert difference(picture.crop((0, 0, 12, 32)), Image.new("RGB", (12, 32), "red")) < 4
    grey = 0 if kind == "GIF" else 127  # GIF knows no half
    assert difference(picture.crop((20, 0, 32, 32)), Image.new("RGB", (12, 32), (grey,) * 3)) < 4


@pytest.mark.parametrize("transparency", [1, bytes([255, 0])])
def test_a_palette_with_a_transparent_colour(transparency: Any) -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.paste(1, (0, 0, 4, 8))
    picture = decoded(encoded(image, "PNG", transparency=transparency))
    assert (picture.getpixel((1, 1)), picture.getpixel((6, 6))) == ((255, 255, 255), (200, 0, 0))


@pytest.mark.parametrize(("size", "shown"), [((3_300, 2_500), (2_048, 1_552)), ((8_500, 900), (2_048, 217))])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_large_transparent_picture_keeps_its_colours(
    mode: str, size: tuple[int, int], shown: tuple[int, int]
) -> None:
    image = Image.new("RGBA", size, (90, 90, 90, 255))
    image.paste((0, 0, 0, 0), (0, 0, size[0] // 2, size[1]))
    found = decode_image(encoded(image.convert(mode), compress_level=1), max_pixels=LIMIT)
    assert (found.size, found.image.size) == (size, shown)
    assert [found.image.getpixel((x, shown[1] // 2)) for x in (9, 2_040)] == [(255,) * 3, (90,) * 3]


def test_a_bmp_whose_transparency_is_left_empty_is_opaque() -> None:
    data = encoded(Image.new("RGBA", (8, 8), (200, 0, 0, 0)), "BMP")
    assert decoded(data).getpixel((1, 1)) == (200, 0, 0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(64, 48), (3_200, 2_400)])
def test_every_format_is_turned_upright(kind: str, orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    if kind == "AVIF" and size[0] > 64:
        pytest.skip("it takes long to write")
    data = encoded(drawing().resize(size, Image.Resampling.NEAREST), kind, exif=exif)
    found = decode_image(data, max_pixels=LIMIT)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert found.size == upright.size
    assert difference(found.image, upright.convert("RGB").resize(found.image.size)) < 3


# Colours


def profile(*, swapped: bool = False) -> bytes:
    """Return an ICC profile of sRGB, or one whose red and blue have changed places."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    if swapped:
        data = data.replace(b"rXYZ", b"temp").replace(b"bXYZ", b"rXYZ").replace(b"temp", b"bXYZ")
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_colours_are_those_of_the_profile(kind: str) -> None:
    image = Image.new("RGB", (32, 32), (230, 20, 20))
    picture = decoded(encoded(image, kind, icc_profile=profile(swapped=True)))
    assert difference(picture, Image.new("RGB", (32, 32), (20, 20, 230))) < 12
    assert difference(decoded(encoded(image, kind, icc_profile=profile())), image) < 6


def test_a_profile_leaves_transparency_alone() -> None:
    image = Image.new("RGBA", (32, 32), (230, 20, 20, 255))
    image.paste((0, 0, 0, 0), (0, 0, 16, 32))
    picture = decoded(encoded(image, icc_profile=profile(swapped=True)))
    assert picture.getpixel((2, 2)) == (255, 255, 255)
    assert picture.getpixel((30, 2))[2] > 200  # type: ignore[index]


@pytest.mark.parametrize("icc", [b"x" * 200, profile()[:300], b"\xff" * 128])
def test_a_damaged_profile_says_nothing(icc: bytes) -> None:
    assert difference(decoded(encoded(drawing(), icc_profile=icc)), drawing()) < 1


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_profile_for_other_colours_says_nothing(mode: str) -> None:
    image = Image.new(mode, (8, 8), 128 if mode == "L" else (0, 255, 255, 0))
    picture = decoded(encoded(image, "TIFF", icc_profile=profile()))
    assert difference(picture, image.convert("RGB")) < 3


def test_an_unusual_gamma_of_a_png_counts() -> None:
    gamma = PngImagePlugin.PngInfo()
    gamma.add(b"gAMA", struct.pack(">I", 100_000))
    picture = decoded(encoded(Image.new("RGB", (8, 8), (64, 64, 64)), pnginfo=gamma))
    assert 130 <= picture.getpixel((0, 0))[0] <= 140  # type: ignore[index]


def test_cmyk_of_adobe() -> None:
    picture = decoded(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95))
    assert difference(picture, Image.new("RGB", (16, 16), "red")) < 8


# Levels of grey


@pytest.mark.parametrize(
    ("levels", "shown"),
    [
        ((0.0, 0.25, 1.0), (0, 64, 255)),
        ((0.25, 0.5, 0.5), (64, 128, 128)),
        ((0.5, 1.0, 1.2), (128, 255, 255)),
        ((0, 64, 255), (0, 64, 255)),
        ((-5, 0, 5), (0, 128, 255)),
        ((0, 500, 1_000), (0, 128, 255)),
    ],
)
def test_floats_are_as_light_as_viewers_show_them(levels: tuple[float, ...], shown: tuple[int, ...]) -> None:
    image = Image.new("F", (3, 1))
    for x, level in enumerate(levels):
        image.putpixel((x, 0), level)
    picture = decoded(encoded(image, "TIFF"))
    assert [picture.getpixel((x, 0))[0] for x in range(3)] == pytest.approx(shown, abs=1)  # type: ignore[index]


def test_floats_that_are_no_numbers_harm_no_others() -> None:
    image = Image.new("F", (3, 1), 0.5)
    image.putpixel((0, 0), float("nan"))
    image.putpixel((1, 0), float("inf"))
    assert decoded(encoded(image, "TIFF")).getpixel((2, 0)) == (128,) * 3


def test_16_bits_whose_white_is_zero() -> None:
    image = Image.new("I;16", (4, 4), 65_535)
    assert decoded(encoded(image, "TIFF", tiffinfo={262: 0})).getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16"])
def test_one_channel_is_grey(mode: str) -> None:
    red, green, blue = decoded(encoded(Image.new(mode, (4, 4), 1))).getpixel((0, 0))  # type: ignore[misc]
    assert red == green == blue


# Files without an end


def jpeg(**options: Any) -> bytes:
    return encoded(noise(), "JPEG", quality=90, **options)


MAKERS: list[Callable[[], bytes]] = [
    jpeg,
    lambda: jpeg(progressive=True),
    lambda: jpeg(subsampling=0, restart_marker_rows=1),
    lambda: encoded(noise(), "PNG"),
    lambda: encoded(noise().quantize(64), "PNG"),
    lambda: encoded(noise(), "BMP"),
    lambda: encoded(noise(), "GIF"),
    lambda: encoded(noise(), "WEBP", quality=90),
    lambda: encoded(noise(), "WEBP", lossless=True),
    lambda: encoded(noise(), "TIFF"),
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("missing", [1, 2, 30])
def test_a_file_whose_last_bytes_are_missing_is_read(make: Callable[[], bytes], missing: int) -> None:
    data = make()
    assert difference(decoded(data[:-missing]), decoded(data)) < 6


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.75])
def test_a_file_of_which_much_is_missing_is_refused(make: Callable[[], bytes], share: float) -> None:
    data = make()
    with pytest.raises(BadInput, match=r"damaged or incomplete|no picture"):
        decoded(data[: int(len(data) * share)])


def test_damage_in_the_middle_of_a_png_is_refused() -> None:
    data = bytearray(encoded(noise()))
    data[len(data) // 2] ^= 255
    with pytest.raises(BadInput):
        decoded(bytes(data))


# Files made to take long


def scan_bomb(scans: int, side: int = 256) -> bytes:
    """Return a progressive JPEG whose last scan comes again and again."""
    data = encoded(Image.new("L", (side, side), 90), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + b"\xff\xd9"


def test_a_jpeg_of_too_many_scans_is_refused() -> None:
    assert decoded(scan_bomb(20)).size == (256, 256)
    for data in (scan_bomb(200), scan_bomb(80, side=4_000)):
        with pytest.raises(BadInput, match="too long to decode"):
            decoded(data)


def test_a_large_jpeg_may_have_the_usual_scans() -> None:
    assert decoded(scan_bomb(10, side=4_000)).size == (2_000, 2_000)


def test_of_a_jpeg_with_two_pictures_the_first_is_shown() -> None:
    data = animation("MPO", [drawing(), drawing(120)], [1, 1])
    assert difference(decoded(data), drawing()) < 12


def test_what_follows_a_jpeg_and_what_it_says_of_itself_are_no_scans() -> None:
    marks = b"\xff\xda\x00\x02" * 5_000
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(marks)) + marks
    data = encoded(noise(), "JPEG")
    data = data[:2] + comment + data[2:] + marks
    assert decoded(data).size == noise().size


def test_an_animation_of_millions_of_frames_takes_no_longer() -> None:
    data = animation("PNG", [BLACK, BLACK.copy(), drawing()], [100, 90, 80])
    place = data.index(b"acTL")
    chunk = b"acTL" + struct.pack(">II", 2**31 - 1, 0)
    data = data[:place] + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[place + 16 :]
    assert decoded(data).size == BLACK.size
