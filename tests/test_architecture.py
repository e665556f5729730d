"""Test the walls: which part of the program may know which library, and how long a file may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted([*ROOT.glob("bot/**/*.py"), *ROOT.glob("cogs/**/*.py")])
HEAVY = {"torch", "torchvision", "transformers", "diffusers", "numpy", "huggingface_hub", "accelerate", "safetensors"}
MOST_LINES = 400
_BOT_PROCESS = """
import pkgutil, sys
import bot.bot, bot.wiring, bot.config, bot.engine.engine, bot.workers.model_cache, bot.workers.main
import bot.store.sql, bot.app, cogs
for module in pkgutil.iter_modules(cogs.__path__, "cogs."):
    __import__(module.name)
print(*{name.partition(".")[0] for name in sys.modules})
"""
_COMMAND_LINE = """
import sys
import bot.cli.app, bot.cli.models, bot.config
bot.config.parse_settings({})
print(*{name.partition(".")[0] for name in sys.modules})
"""


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _imports(path: Path) -> Iterator[str]:
    """Yield the top package of every import in a file, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _imports_at_start(path: Path) -> Iterator[str]:
    """Yield the top package of every import that happens when a file is imported."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _for_types_only(node):
                continue
            waiting.append(node)
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _loaded(code: str) -> set[str]:
    """Return the packages that a process has imported after it ran this code."""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_bot_process_loads_no_heavy_library() -> None:
    loaded = _loaded(_BOT_PROCESS)
    assert {"bot", "cogs", "discord"} <= loaded
    assert HEAVY.isdisjoint(loaded)


def test_the_command_line_is_there_without_discord_and_a_database() -> None:
    loaded = _loaded(_COMMAND_LINE)
    assert "typer" in loaded
    assert loaded.isdisjoint({"discord", "sqlalchemy", *HEAVY})


@pytest.mark.parametrize(
    ("folder", "banned"),
    [
        ("bot/engine", {"discord", "simcord", *HEAVY}),
        ("bot/store", {"discord", "simcord", *HEAVY}),
        ("bot/workers", {"discord", "simcord", "cogs"}),
        ("bot/hub", {"discord", "simcord", "cogs"}),
        ("bot/cpu", {"discord", "simcord", "cogs"}),
        ("bot/components", HEAVY),
        ("bot/replies", HEAVY),
        ("bot/client", HEAVY),
        ("cogs", HEAVY),
    ],
)
def test_the_walls(folder: str, banned: set[str]) -> None:
    files = sorted((ROOT / folder).glob("**/*.py"))
    assert len(files) > 3
    assert {_name(path): found for path in files if (found := banned & set(_imports(path)))} == {}


def test_heavy_libraries_are_imported_inside_functions_only() -> None:
    late = {_name(path): found for path in MODULES if (found := HEAVY & set(_imports_at_start(path)))}
    assert late == {}


def test_only_inference_knows_heavy_libraries() -> None:
    rooms = ("tasks", "cpu", "hub", "machine", "workers", "bundled", "cli", "doctor")
    inside = tuple(f"bot/{room}/" for room in rooms)
    outside = [path for path in MODULES if not _name(path).startswith(inside)]
    assert {_name(path): found for path in outside if (found := HEAVY & set(_imports(path)))} == {}


def test_the_simulated_discord_is_in_the_demo_alone() -> None:
    outside = [path for path in MODULES if not _name(path).startswith("bot/demo/")]
    assert [_name(path) for path in outside if "simcord" in _imports(path)] == []


def test_no_file_is_too_long() -> None:
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_drawers() -> None:
    assert [_name(path) for path in MODULES if path.stem in {"utils", "util", "helpers", "common", "misc"}] == []
