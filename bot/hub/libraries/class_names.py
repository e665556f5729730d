"""Read from a library's source which classes it maps something to."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache

from bot.hub.libraries.source import package_source, parsed


@lru_cache
def mapped_classes(package: str, file: str, mapping: str) -> frozenset[str]:
    """Return the names of the classes that a module-level `mapping` in a `file` of a package leads to."""
    tree = parsed(package_source(package) / file)
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
