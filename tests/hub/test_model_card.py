"""Test that model cards are read, whatever somebody wrote there."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.hub.model_card import Readme, read_readme


def _read(folder: Path, content: str | bytes) -> Readme:
    (folder / "README.md").write_bytes(content.encode() if isinstance(content, str) else content)
    return read_readme(folder)


def test_a_card_with_everything(tmp_path: Path) -> None:
    data = "license: mit\nlanguage: [en, de]\nbase_model: org/base\ninstance_prompt: pixel art\nmodel-index: 7"
    assert _read(tmp_path, f"---\n{data}\n---\n# Title\n") == Readme(
        licence="mit", languages=("en", "de"), base_models=("org/base",), trigger="pixel art", text="# Title"
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("base_model: [org/a, org/b]", ("org/a", "org/b")),
        ("base_model: [org/a, 7, null, [org/b]]", ("org/a",)),
        ("base_model: '  '", ()),
        ("base_model: {name: org/a}", ()),
        ("base_model:", ()),
        ("", ()),
        ("- org/a", ()),
        ("base_model: [org/a", ()),
        ("base_model: org/a\nmade: 2024-13-01", ()),
        ("base_model: org/a\n\tx: y", ()),
        ("base_model: !!python/object:os.system org/a", ()),
        ("[" * 5_000, ()),
        ("base_model: !!timestamp foo", ()),
        ('base_model: !!int ""', ()),
    ],
)
def test_the_base_models(tmp_path: Path, data: str, expected: tuple[str, ...]) -> None:
    readme = _read(tmp_path, f"---\n{data}\n---\ntext")
    assert (readme.base_models, readme.text) == (expected, "text")


def test_no_card_no_data_and_no_text(tmp_path: Path) -> None:
    assert read_readme(tmp_path) == Readme()
    assert _read(tmp_path, "just text") == Readme(text="just text")
    assert _read(tmp_path, b"\xff\xfe") == Readme(text="\ufffd\ufffd")
