"""Tell from the headers of safetensors files how large a model is and what memory it takes, without loading it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bot.hub.client import hub_api
from bot.hub.json_files import parse_object
from bot.machine.device import Device

_MOST_HEADER_BYTES = 100_000_000
"""What the format allows."""
_POINTER = b"version https://git-lfs"


@dataclass(frozen=True, slots=True)
class WeightInfo:
    """Hold the size of a model's weights on disk, and how many parameters it has of each type (F32, BF16, …)."""

    size_bytes: int = 0
    parameters: Mapping[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Return the number of parameters."""
        return sum(self.parameters.values())

    def memory_bytes(self, device: Device) -> int:
        """Return what the weights take on a device: they are loaded in its own type, whatever they are stored in."""
        return self.count * (2 if is_half(device) else 4)


def is_half(device: Device) -> bool:
    """Say whether a device computes in 16 bits, without asking torch (`Device.dtype` does)."""
    if device.precision in ("fp32", "bf16"):
        return device.precision == "bf16"
    return device.is_cuda or device.name == "mps"


def read_weights(files: Iterable[Path]) -> WeightInfo:
    """Read the headers of files on this machine; raise ValueError for one that has none."""
    size_bytes, parameters = 0, Counter[str]()
    for file in files:
        size_bytes += file.stat().st_size
        parameters.update(_count(file))
    return WeightInfo(size_bytes, dict(parameters))


def fetch_weights(name: str, revision: str, files: Mapping[str, int]) -> WeightInfo:
    """Ask the Hub for the headers of a repository's files, given with their sizes; raise ValueError as above."""
    from huggingface_hub.errors import SafetensorsParsingError

    parameters = Counter[str]()
    for file in files:
        try:
            header = hub_api().parse_safetensors_file_metadata(name, file, revision=revision)
        except (SafetensorsParsingError, LookupError, TypeError, AttributeError) as error:
            raise _damaged(file) from error
        parameters.update(header.parameter_count)
    return WeightInfo(sum(files.values()), dict(parameters))


def _count(file: Path) -> Counter[str]:
    """Count the parameters in a file: its first 8 bytes tell how long the JSON is that describes its tensors."""
    with file.open("rb") as content:
        start = content.read(len(_POINTER))
        if start == _POINTER:
            raise ValueError(f"{file.name} is a git-lfs pointer, run `git lfs pull`")
        content.seek(8)
        length = int.from_bytes(start[:8], "little")
        if length > min(file.stat().st_size - 8, _MOST_HEADER_BYTES):
            raise _damaged(file.name)
        tensors = parse_object(content.read(length), file.name)
    counts = Counter[str]()
    for name, tensor in tensors.items():
        if name != "__metadata__":
            dtype, shape = _tensor(tensor, file)
            counts[dtype] += math.prod(shape)
    return counts


def _tensor(tensor: object, file: Path) -> tuple[str, list[int]]:
    """Return a tensor's type and shape."""
    match tensor:
        case {"dtype": str(dtype), "shape": list(shape)} if all(isinstance(length, int) for length in shape):
            return dtype, shape
    raise _damaged(file.name)


def _damaged(name: str) -> ValueError:
    return ValueError(f"{name} is no whole safetensors file")
