"""Remember what was measured on this machine, in a small JSON file in the user's cache folder."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import tempfile
from pathlib import Path
from typing import cast, get_args

from bot.bundled.models import cache_root
from bot.hub.resolve import ModelFiles
from bot.machine.device import Precision

log = logging.getLogger(__name__)
FILE = "precision.json"
_EDITION = 3
"""Of what is measured: what an older hubcord measured doesn't hold for this one."""


class Remembered:
    """Keep one precision for each key. A file that can't be read or written costs a measurement, no more."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or cache_root() / FILE

    def get(self, key: str) -> Precision | None:
        """Return the precision of a key; None when it isn't known."""
        value = self._read().get(key)
        return cast("Precision", value) if value in get_args(Precision) else None

    def put(self, key: str, precision: Precision) -> None:
        """Write a precision down; the file is replaced as a whole."""
        choices = self._read() | {key: precision}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{FILE}-")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(choices, file, indent=2)
            Path(name).replace(self._path)
        except OSError as error:
            log.warning("the measured precision can't be kept: %s", error)

    def _read(self) -> dict[str, object]:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(self._path.read_text(encoding="utf-8"))
            return dict(found) if isinstance(found, dict) else {}
        return {}


def choice_key(files: ModelFiles) -> str:
    """Name the model's content, the machine, its threads and torch: a measurement holds for these alone."""
    import torch

    model = f"{files.reference.scheme}:{files.reference.name}@{files.revision or _newest(files)}"
    cpu = f"{_cpu_name()} {torch.backends.cpu.get_cpu_capability()}"
    return f"{model}, {cpu}, {torch.get_num_threads()} threads, torch {torch.__version__}, edition {_EDITION}"


def _newest(files: ModelFiles) -> str:
    """Return size and time of the weights of a model without a revision."""
    times = [file.stat().st_mtime_ns for file in files.folder.rglob("*.safetensors")] if files.folder else []
    return f"{files.size_bytes}-{max(times, default=0)}"


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
