"""Reading Marian's binary format, on a file made here byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from bot.bundled.marian import FLOAT32, INTGEMM8, read_marian

FLOATS = struct.pack("<3f", 1.5, -2.0, 0.25)
INTEGERS = struct.pack("<6b", 1, 2, 3, -4, -5, 127)
TENSORS = [
    ("norm_scale", FLOAT32, (1, 3), FLOATS),
    ("layer_W1", INTGEMM8, (3, 2), INTEGERS + struct.pack("<f", 2.0)),
    ("Wemb", INTGEMM8, (2, 3), INTEGERS + struct.pack("<f", 4.0)),
    ("layer_W1_QuantMultA", INTGEMM8, (1, 1), struct.pack("<f", 9.0)),
    ("special:model.yml", 0x101, (4,), b"text"),
]


def marian_file(path: Path, *, version: int = 1) -> Path:
    """Write the tensors as Marian does."""
    blob = struct.pack("<QQ", version, len(TENSORS))
    for name, kind, shape, raw in TENSORS:
        blob += struct.pack("<4Q", len(name) + 1, kind, len(shape), len(raw))
    blob += b"".join(name.encode() + b"\0" for name, *_ in TENSORS)
    blob += b"".join(struct.pack(f"<{len(shape)}i", *shape) for _, _, shape, _ in TENSORS)
    blob += struct.pack("<Q", 5) + bytes(5)
    path.write_bytes(blob + b"".join(raw for *_, raw in TENSORS))
    return path


def test_reads_floats_integers_and_embeddings(tmp_path: Path) -> None:
    weights = read_marian(marian_file(tmp_path / "model.bin"))
    assert set(weights) == {"norm_scale", "layer_W1", "Wemb"}
    assert weights["norm_scale"].tolist() == [[1.5, -2.0, 0.25]]
    # (3, 2) in the file: it lies transposed
    assert weights["layer_W1"].tolist() == [[0.5, 1.0, 1.5], [-2.0, -2.5, 63.5]]
    assert weights["Wemb"].tolist() == [[0.25, 0.5, 0.75], [-1.0, -1.25, 31.75]]
    assert {str(w.dtype) for w in weights.values()} == {"float32"}


def test_other_versions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="version 2"):
        read_marian(marian_file(tmp_path / "model.bin", version=2))
