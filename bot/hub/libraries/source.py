"""Read what a library's source says: importing it takes seconds, and torch."""

from __future__ import annotations

import ast
import threading
from importlib.util import find_spec
from pathlib import Path

_PARSING = threading.Lock()
"""Python before 3.11.8 can't parse in two threads at once: https://github.com/python/cpython/issues/106905"""


def package_source(package: str) -> Path:
    """Return the folder of an installed package; one that doesn't exist when it isn't installed."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else Path(f"{package} isn't installed")


def parsed(file: Path) -> ast.Module:
    """Return the syntax tree of a source file."""
    with _PARSING:
        return ast.parse(file.read_text(encoding="utf-8"))
