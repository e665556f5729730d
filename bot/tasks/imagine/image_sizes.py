"""Read and offer sizes of pictures, from small files alone. torch isn't needed here."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

from bot.errors import BadInput
from bot.hub.json_files import read_json
from bot.hub.reference import parse_reference
from bot.hub.resolve import local_folder, read_meta

_RATIOS = ((1, 1), (3, 2), (2, 3), (4, 3), (3, 4), (16, 9), (9, 16))
_GRID = 64
"""Of each side, in pixels: every family takes these."""
_UNKNOWN_SIDE = 512


def read_size(text: str) -> tuple[int, int]:
    """Return width and height of a size like `512x768`, in pixels; raise BadInput."""
    match = re.fullmatch(r"\s*(\d{1,5})\s*[x×X*]\s*(\d{1,5})\s*", text)
    if match is None:
        raise BadInput("“{text}” is no size. Write width and height like 512x768.", text=text[:20])
    width, height = int(match[1]), int(match[2])
    if min(width, height) < 64 or width % 8 or height % 8:
        raise BadInput("Width and height must be at least 64 and divisible by 8.")
    return width, height


def _checked(text: str) -> str:
    try:
        width, height = read_size(text)
    except BadInput as error:
        raise ValueError(str(error)) from None
    return f"{width}x{height}"


Size = Annotated[str, AfterValidator(_checked)]


def offered_sizes(reference: str, *, max_pixels: int) -> list[str]:
    """Return sizes that suit a model, its own first, by what is on this machine. It reads files."""
    folder, side = local_folder(parse_reference(reference)), _UNKNOWN_SIDE
    with contextlib.suppress(OSError, ValueError, TypeError):  # the worker tells what is wrong with its files
        if folder and (sizes := list(read_meta(folder).get("sizes", ()))):
            return sizes
        side = native_side(folder) if folder else side
    shaped = dict.fromkeys(_shaped(side, ratio) for ratio in _RATIOS)
    return [f"{width}x{height}" for width, height in shaped if width * height <= max_pixels]


def native_side(folder: Path) -> int:
    """Return the side of the square, in pixels, that a pipeline in a folder was trained for."""
    core = denoiser_config(folder)
    sample = core.get("sample_size")
    if not isinstance(sample, int):  # FLUX and its kin don't say; all of them make a megapixel
        return 1024 if (folder / "transformer").is_dir() else _UNKNOWN_SIDE
    return sample * _compression(read_json(folder / "vae" / "config.json"))


def denoiser_config(folder: Path) -> dict[str, Any]:
    """Return the configuration of a pipeline's UNet or transformer; empty when there is none."""
    return read_json(folder / "unet" / "config.json") or read_json(folder / "transformer" / "config.json")


def _compression(vae: Mapping[str, Any]) -> int:
    """Return how many pixels a side of the autoencoder's latent stands for."""
    blocks = vae.get("block_out_channels") or vae.get("encoder_block_out_channels") or range(4)
    return int(2 ** (len(blocks) - 1))


def _shaped(side: int, ratio: tuple[int, int]) -> tuple[int, int]:
    """Return about as many pixels as the square has, in another shape."""
    stretch = math.sqrt(ratio[0] / ratio[1])
    width, height = (max(round(length / _GRID) * _GRID, _GRID) for length in (side * stretch, side / stretch))
    return (width, height) if ratio[0] != ratio[1] else (side, side)
