"""Test /models list and /models info."""

from __future__ import annotations

from pathlib import Path

import pytest
from simcord import ChannelHandle, MemberActor

from bot.config import parse_settings
from bot.inference.cards import Card
from bot.inference.weights import Weights
from bot.views.model_card import card_embed, models_embed, section_about
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


async def test_the_models_of_each_command(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "models list")
    fields = {field.name: field.value for field in embed(result).fields}
    assert result.ephemeral
    assert list(fields) == ["/sentiment", "/classify", "/imagine", "/translate"]
    assert fields["/sentiment"] == f"**{TINY}**\norg/large@01234567\nplain\\_mood"


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


async def test_a_model_that_was_never_fetched(
    alice: MemberActor, channel: ChannelHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
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
    listed = models_embed(dict.fromkeys(parse_settings({}).tasks, names))
    assert len(listed) <= 6_000
    assert all(len(field.value or "") <= 1_024 for field in listed.fields)


def test_sections_of_a_card() -> None:
    import re

    uses = re.compile("use")
    assert section_about("# How to use\n\n## use it so\n\nLike this.\n", uses) == "Like this."
    assert section_about("no headings", uses) == ""
