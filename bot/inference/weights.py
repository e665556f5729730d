"""Tell from the headers of safetensors files how large a model is and what memory it takes, without loading it."""

from __future__ import annotations

import json
import math
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bot.inference.device import Device
from bot.inference.hub_client import hub_api


@dataclass(frozen=True, slots=True)
class Weights:
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


def read_weights(files: Iterable[Path]) -> Weights:
    """Read the headers of files on this machine."""
    size_bytes, parameters = 0, Counter[str]()
    for file in files:
        size_bytes += file.stat().st_size
        parameters.update(_count(file))
    return Weights(size_bytes, dict(parameters))


def fetch_weights(name: str, revision: str, files: Mapping[str, int]) -> Weights:
    """Ask the Hub for the headers of a repository's files, given with their sizes."""
    parameters = Counter[str]()
    for file in files:
        parameters.update(hub_api().parse_safetensors_file_metadata(name, file, revision=revision).parameter_count)
    return Weights(sum(files.values()), dict(parameters))


def _count(file: Path) -> Counter[str]:
    """Count the parameters in a file: its first 8 bytes tell how long the JSON is that describes its tensors."""
    with file.open("rb") as content:
        (length,) = struct.unpack("<Q", content.read(8))
        tensors = json.loads(content.read(length))
    counts = Counter[str]()
    for name, tensor in tensors.items():
        if name != "__metadata__":
            counts[tensor["dtype"]] += math.prod(tensor["shape"])
    return counts
