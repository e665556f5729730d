"""Read Marian's binary model format, without Marian.

The layout is that of `marian-dev/src/common/binary.cpp`, version 1: a header for each tensor, all names, all
shapes, padding up to a page, then the tensors' bytes one after another. Only what Bergamot's student models
hold is read: float32 tensors and intgemm8 tensors (8-bit integers with one multiplier a tensor).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Weights = dict[str, NDArray[np.float32]]

FLOAT32 = 0x404
INTGEMM8 = 0x4101
EMBEDDINGS = "Wemb"
ACTIVATION_SCALE = "QuantMultA"


@dataclass(frozen=True)
class TensorEntry:
    """Say where one tensor lies in the file and how to read it."""

    name: str
    kind: int
    shape: tuple[int, ...]
    start: int
    size: int


def read_marian(path: Path) -> Weights:
    """Return a Marian file's tensors by name as float32 arrays; raise ValueError for another version.

    Quantised matrices lie transposed in the file and are returned as (outputs, inputs), as PyTorch wants
    them; the embeddings stay (vocabulary, width). Scales of quantised activations are left out: float32
    needs none.
    """
    blob = path.read_bytes()
    return {
        entry.name: _values(blob, entry)
        for entry in _entries(blob)
        if entry.kind in (FLOAT32, INTGEMM8) and not entry.name.endswith(ACTIVATION_SCALE)
    }


def _entries(blob: bytes) -> Iterator[TensorEntry]:
    """Yield each tensor's entry, in file order; see the module's docstring for the layout."""
    version, count = struct.unpack_from("<QQ", blob, 0)
    if version != 1:
        raise ValueError(f"Marian binary version {version} is not supported, only 1")
    headers = [struct.unpack_from("<4Q", blob, 16 + 32 * i) for i in range(count)]
    at = 16 + 32 * count
    names = []
    for name_length, *_ in headers:
        names.append(blob[at : at + name_length - 1].decode())
        at += name_length
    shapes = []
    for _, _, rank, _ in headers:
        shapes.append(struct.unpack_from(f"<{rank}i", blob, at))
        at += 4 * rank
    (padding,) = struct.unpack_from("<Q", blob, at)
    at += 8 + padding
    for (_, kind, _, size), name, shape in zip(headers, names, shapes, strict=True):
        yield TensorEntry(name, kind, shape, at, size)
        at += size


def _values(blob: bytes, entry: TensorEntry) -> NDArray[Any]:
    """Return one tensor as float32; an intgemm8 tensor's multiplier stands right after its integers."""
    import math

    import numpy as np

    count = math.prod(entry.shape)
    if entry.kind == FLOAT32:
        return np.frombuffer(blob, "<f4", count, entry.start).reshape(entry.shape).copy()
    integers = np.frombuffer(blob, "i1", count, entry.start).astype(np.float32)
    (multiplier,) = np.frombuffer(blob, "<f4", 1, entry.start + count)
    shape = entry.shape if entry.name == EMBEDDINGS else entry.shape[::-1]
    values: NDArray[Any] = integers / multiplier
    return values.reshape(shape)
