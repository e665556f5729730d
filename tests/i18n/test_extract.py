"""Test that every text can be translated: that it is collected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from simcord import Env

from bot.i18n.extract import collect
from tests.fakes.seen import commands


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    return collect()


@pytest.mark.parametrize(
    "text",
    [
        "At most {limit} of this server's jobs can wait or run. Try again in {wait}.",
        "This job stopped the worker twice, so it won't be tried again. Try it with other options.",
        "This model isn't available on this server yet.",
        "There is no text. Give some words to look at.",
        "Next in line",
        "This model takes no guidance, so it was left out.",
        "Classify image",
    ],
)
def test_it_is_collected_wherever_it_stands(catalogue: Catalog, text: str) -> None:
    assert text in catalogue


@pytest.mark.parametrize(
    "config", [{"detect": {"models": ["path:models/street"]}, "describe": {"models": ["path:models/words"]}}]
)
async def test_what_discord_shows_of_commands_is_collected(env: Env, catalogue: Catalog) -> None:
    (registered,) = commands(env)
    shown = {text for command in registered for text in _texts(command)}
    assert {"The picture to look at", "Translate", "See and choose the models of this bot."} <= shown
    assert {text for text in shown if text not in catalogue} == set()


def _texts(thing: Mapping[str, Any]) -> Iterator[str]:
    """Yield the description of a command or option and of those in it; a menu has none, and its name is shown."""
    yield thing.get("description") or thing["name"]
    for inner in thing.get("options", []):
        yield from _texts(inner)
