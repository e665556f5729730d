"""Test /models list and /models info."""

from __future__ import annotations

from pathlib import Path

import pytest
from simcord import ChannelHandle, MemberActor

from bot.config import parse_settings
from bot.inference.cards import Card
from bot.inference.weights import Weights
from bot.views.model_card import card_embed, section_about
from bot.views.model_list import models_embed
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import description, embed, message, private_text
from tests.inference.tiny_models import tiny_sentiment

CARD = """---
license: mit
language: [en, de]
---
# Moods

![picture](x.png)

Tells **moods** of texts.

## Intended uses

Short texts.

## Bias, Risks, and Limitations

It knows no irony.
"""
TINY = "tiny"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_sentiment(tmp_path_factory.mktemp("models") / TINY)
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    return folder


@pytest.fixture
def config(tiny: Path) -> dict[str, object]:
    return {"sentiment": {"models": [f"path:{tiny}", "hf:org/large@0123456789abcdef", "path:models/plain_mood"]}}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))


async def test_the_models_of_each_command(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "models list")
    fields = {field.name: field.value for field in embed(result).fields}
    assert result.ephemeral
    assert list(fields) == ["/sentiment", "/classify", "/imagine", "/translate"]
    assert fields["/sentiment"] == (
        f"**{TINY}** · cold\norg/large@0123456 · not fetched yet\nplain\\_mood · not fetched yet"
    )
    assert fields["/translate"] is not None
    assert "**" not in fields["/translate"], "it goes by languages"


async def test_the_card_of_a_model(alice: MemberActor, channel: ChannelHandle, tiny: Path) -> None:
    result = await alice.slash(channel, "models info", model=TINY)
    fields = {field.name: field.value for field in embed(result).fields}
    assert message(result).ephemeral
    assert embed(result).title == TINY
    assert description(result) == "Tells \\*\\*moods\\*\\* of texts."
    assert fields["Licence"] == "mit"
    assert fields["Languages"] == "en, de"
    assert fields["Use"] == "Short texts."
    assert fields["Limits"] == "It knows no irony."
    assert str(tiny.parent) not in str(embed(result).to_dict())


async def test_a_model_that_is_being_fetched_then_loaded_and_then_warm(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    async def state() -> str:
        (field, *_) = embed(await alice.slash(channel, "models list")).fields
        return (field.value or "").partition("\n")[0].removeprefix(f"**{TINY}** · ")

    device.hold()
    device.starts = False
    await alice.slash(channel, "sentiment", text="x")
    device.loading(0.434)
    assert await state() == "being fetched, 43%"
    device.loading()
    assert await state() == "being loaded"
    device.started()
    assert await state() == "warm"
    device.release()
    assert await state() == "warm"
    device.loaded.clear()
    assert await state() == "cold"


async def test_models_are_offered_with_what_speaks_for_them(
    alice: MemberActor, channel: ChannelHandle, device: FakeDevice
) -> None:
    device.loaded["path:models/animals"] = 1
    offered = await alice.autocomplete(channel, "classify", "model", "", image=("a.png", b"a"))
    assert [choice["name"] for choice in offered] == ["animals · default · in memory", "things"]
    assert [choice["value"] for choice in offered] == ["animals", "things"]


async def test_a_model_that_was_never_fetched(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "models info", model="org/large")
    assert embed(result).footer.text == "It is fetched when it is first used."
    assert embed(result).url == "https://huggingface.co/org/large"


async def test_a_name_that_is_no_model(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "models info", model="nothing")
    assert "There is no model “nothing” here." in private_text(result)


def test_the_address_of_a_mirror_is_not_shown() -> None:
    assert card_embed(Card(reference="hf:a/b", name="a/b", page="http://mirror.internal/a/b")).url is None


def test_long_cards_and_lists_fit() -> None:
    text = (
        "# A\n\n"
        + "*" * 9_000
        + "\n\nx"
        + "*" * 9_000
        + "\n\n## Uses\n\n"
        + "[" * 9_000
        + "\n\n## Limits\n\n"
        + "_" * 9_000
    )
    card = Card(
        reference="hf:a/b", name="b" * 500, licence="*" * 500, languages=("de",) * 500, kind="_" * 300, text=text,
        weights=Weights(1, {"F32": 1_000_000}),
    )  # fmt: skip
    shown = card_embed(card)
    assert len(shown) <= 6_000
    assert all(len(field.value or "") <= 1_024 for field in shown.fields)
    names = [f"hf:org/{'_' * 90}{number}" for number in range(300)]
    tasks = [*parse_settings({}).tasks, "detect", "describe", "more"]
    listed = models_embed(
        dict.fromkeys(tasks, names), defaults=dict.fromkeys(tasks, names[200]), now={names[200]: 0.5}, missing=names
    )
    assert len(listed) <= 6_000
    assert all((field.value or "").startswith("**org/") for field in listed.fields)
    assert "** · being fetched, 50%\n" in (listed.fields[0].value or "")
    assert all(len(field.value or "") <= 1_024 for field in listed.fields)


def test_sections_of_a_card() -> None:
    import re

    uses = re.compile("use")
    assert section_about("# How to use\n\n## use it so\n\nLike this.\n", uses) == "Like this."
    assert section_about("no headings", uses) == ""
