"""Collect every text that people may see, to be translated: `python -m bot.i18n.extract > hubcord.pot`.

They are found in the source: what `_` and `gettext` show, the sentences of errors, what Discord shows of commands,
and what looks like a sentence where it is given a name: of these a few come along that nobody sees.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

from bot.errors import UserError

_ROOT = Path(__file__).parents[2]
_ERRORS: list[type[UserError]] = [UserError, *UserError.__subclasses__()]
_SHOWS = {"_", "gettext", "Sentence", "message_menu", *(kind.__name__ for kind in _ERRORS)}
_COMMAND, _DESCRIPTIONS, _MENU, _GROUP = "command", "describe", "ContextMenu", "group_description"


def collect() -> Catalog:
    """Return all texts with the files that they come from."""
    catalogue = Catalog(project="hubcord")
    for path in sorted([*_ROOT.glob("bot/**/*.py"), *_ROOT.glob("cogs/*.py")]):
        for text, line in _texts(ast.parse(path.read_text(encoding="utf-8"))):
            catalogue.add(text, locations=[(str(path.relative_to(_ROOT)), line)])
    return catalogue


def _texts(module: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the texts of a module, each with its line."""
    for node in ast.walk(module):
        match node:
            case ast.Call():
                yield from _strings(_shown_by(node))
            case ast.Assign(value=value):
                yield from ((text, line) for text, line in _strings([value]) if " " in text and text[0].isupper())
            case ast.AsyncFunctionDef() if any(map(_makes_command, node.decorator_list)):
                yield (ast.get_docstring(node) or "").partition("\n")[0], node.lineno
            case ast.ClassDef():
                yield from _strings(keyword.value for keyword in node.keywords if keyword.arg == _GROUP)


def _shown_by(call: ast.Call) -> Iterator[ast.expr]:
    """Yield what a call lets people see of its arguments."""
    name = _name(call)
    if name in _SHOWS:
        yield from call.args[:1]
    elif name == _DESCRIPTIONS:
        yield from (keyword.value for keyword in call.keywords)
    elif name == _MENU:
        yield from (keyword.value for keyword in call.keywords if keyword.arg == "name")


def _strings(values: Iterable[ast.expr]) -> Iterator[tuple[str, int]]:
    """Yield the strings that values are, hold as a tuple, or choose from."""
    for value in values:
        match value:
            case ast.Constant(value=str(text)) if text:
                yield text, value.lineno
            case ast.Tuple(elts=parts):
                yield from _strings(parts)
            case ast.IfExp(body=one, orelse=other):
                yield from _strings([one, other])


def _makes_command(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and _name(decorator) == _COMMAND


def _name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


if __name__ == "__main__":
    write_po(sys.stdout.buffer, collect(), width=120)
