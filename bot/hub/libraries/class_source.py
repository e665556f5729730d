"""Read from a library's source what one of its classes inherits, takes and sets."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from bot.hub.libraries.source import package_source, parsed

_CLASS = re.compile(r"^class (\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ClassSource:
    """Hold what a class's own lines say: its `bases`, its methods' parameters, the values that it sets. All as text."""

    bases: tuple[str, ...] = ()
    parameters: Mapping[str, frozenset[str]] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)


@lru_cache
def class_source(package: str, folder: str, name: str) -> ClassSource:
    """Return what the source of a class in a folder of a package says; nothing when there is no such class."""
    file = _files(package, folder).get(name)
    for node in parsed(file).body if file else ():
        if isinstance(node, ast.ClassDef) and node.name == name:
            return ClassSource(tuple(map(ast.unparse, node.bases)), _parameters(node), _values(node))
    return ClassSource()


@lru_cache
def _files(package: str, folder: str) -> Mapping[str, Path]:
    """Return the file of each class."""
    files = sorted((package_source(package) / folder).rglob("*.py"))
    return {name: file for file in files for name in _CLASS.findall(file.read_text(encoding="utf-8"))}


def _parameters(node: ast.ClassDef) -> dict[str, frozenset[str]]:
    methods = [child for child in node.body if isinstance(child, ast.FunctionDef)]
    return {m.name: frozenset(a.arg for a in (*m.args.args, *m.args.kwonlyargs)) for m in methods}


def _values(node: ast.ClassDef) -> dict[str, str]:
    assigned = [child for child in node.body if isinstance(child, ast.Assign)]
    return {ast.unparse(target): ast.unparse(line.value) for line in assigned for target in line.targets}
