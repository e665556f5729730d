"""Read from a library's source which classes it maps: importing it takes seconds, and torch."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path


@lru_cache
def mapped_classes(package: str, file: str, mapping: str) -> frozenset[str]:
    """Return the names of the classes that a module-level `mapping` in a `file` of a package leads to."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return frozenset()
    tree = ast.parse((Path(spec.origin).parent / file).read_text(encoding="utf-8"))
    return frozenset(name for value in _values(tree, mapping) for name in _names(value))


def _values(tree: ast.AST, mapping: str) -> Iterator[ast.expr]:
    """Yield the values of `MAPPING = …([(key, value), …])` and of `MAPPING[key] = value`."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(args=[ast.List(elts=pairs)])) if (
                name == mapping
            ):
                yield from (pair.elts[1] for pair in pairs if isinstance(pair, ast.Tuple))
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name))], value=value) if name == mapping:
                yield value


def _names(value: ast.expr) -> Iterator[str]:
    """Yield the classes that a value names: itself or as text, one or several."""
    for node in ast.walk(value):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
