"""Test /models list and /models info."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from simcord import ChannelHandle, MemberActor

from bot.components.model_card import card_embed, section_about
from bot.components.model_list import ListedAdapter, models_embed
from bot.config import parse_settings
from bot.hub.cards import Card
from bot.hub.weight_info import WeightInfo
from tests.fakes.executor import FakeDevice
from tests.fakes.seen import description, embed, message, private_text
from tests.models.bare_pipelines import BARE, COMMIT, bare_adapter
from tests.models.tiny_models import tiny_sentiment

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


SDXL = "stabilityai/stable-diffusion-xl-base-1.0"
STYLE = f"""---
license: openrail
base_model: {SDXL}
instance_prompt: "*pixel* art"
---
# Style

Makes pictures of **pixels**.
"""


@pytest.fixture
def with_adapters(tmp_path: Path) -> dict[str, Any]:
    models = [f"path:{BARE[name](tmp_path / name)}" for name in ("sd", "sdxl", "pixart")]
    return {
        "models": models,
        "loras": [
            {"name": "pixel_art", "model": bare_adapter(tmp_path / "styles", STYLE)},
            {"name": "ink", "model": f"hf:org/ink@{COMMIT}#ink.safetensors", "for": ["sd", "pixart"]},
            {"name": "free", "model": bare_adapter(tmp_path / "free")},
            {"name": "broken", "model": bare_adapter(tmp_path / "broken", "---\nlicense: [mit\n---\nA style.")},
            {"name": "video", "model": bare_adapter(tmp_path / "video", "---\nbase_model: stabilityai/sd-turbo\n---")},
            {"name": "sd", "model": "hf:org/hidden"},
        ],
    }


class TestAdapters:
    """Adapters are listed and shown like models."""

    @pytest.fixture
    def config(self, with_adapters: dict[str, Any]) -> dict[str, Any]:
        return {"imagine": with_adapters}

    async def test_are_listed_with_the_models_they_are_for(self, alice: MemberActor, channel: ChannelHandle) -> None:
        fields = {field.name: field.value or "" for field in embed(await alice.slash(channel, "models list")).fields}
        names = list(fields)
        assert names[names.index("/imagine") + 1] == "/imagine: adapters"
        assert fields["/imagine: adapters"].split("\n") == [
            "pixel\\_art · for sdxl · cold",
            "ink · for sd, pixart · not fetched yet",
            "free · for sd, sdxl · cold",
            "broken · for sd, sdxl · cold",
            "video · for none of these models · cold",
            "sd · for sd, sdxl · not fetched yet",
        ]

    async def test_one_in_memory_is_warm(
        self, alice: MemberActor, channel: ChannelHandle, device: FakeDevice, with_adapters: dict[str, Any]
    ) -> None:
        device.loaded[with_adapters["loras"][0]["model"]] = 1
        fields = {field.name: field.value or "" for field in embed(await alice.slash(channel, "models list")).fields}
        assert fields["/imagine: adapters"].startswith("pixel\\_art · for sdxl · warm\n")

    async def test_have_cards(self, alice: MemberActor, channel: ChannelHandle, tmp_path: Path) -> None:
        result = await alice.slash(channel, "models info", model="pixel_art")
        fields = {field.name: field.value for field in embed(result).fields}
        assert message(result).ephemeral
        assert fields["Licence"] == "openrail"
        assert fields["Base model"] == SDXL
        assert fields["Trigger words"] == "\\*pixel\\* art"
        assert description(result) == "Makes pictures of \\*\\*pixels\\*\\*."
        assert str(tmp_path) not in str(embed(result).to_dict())

    async def test_one_that_was_never_fetched_has_a_link(self, alice: MemberActor, channel: ChannelHandle) -> None:
        shown = embed(await alice.slash(channel, "models info", model="ink"))
        assert shown.url == "https://huggingface.co/org/ink"
        assert shown.footer.text == "It is fetched when it is first used."

    async def test_a_broken_card_shows_what_can_be_read(self, alice: MemberActor, channel: ChannelHandle) -> None:
        result = await alice.slash(channel, "models info", model="broken")
        assert description(result) == "A style."
        assert "Licence" not in [field.name for field in embed(result).fields]

    async def test_are_offered_by_name_after_the_models(self, alice: MemberActor, channel: ChannelHandle) -> None:
        offered = await alice.autocomplete(channel, "models info", "model", "")
        adapters = ["pixel_art", "ink", "free", "broken", "video"]
        assert offered[-5:] == [{"name": f"{name} · adapter", "value": name} for name in adapters]
        assert {"name": "sd", "value": "sd"} in offered
        assert embed(await alice.slash(channel, "models info", model="sd")).url is None, "a model's name is the model's"


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
        weights=WeightInfo(1, {"F32": 1_000_000}), base_models=("_" * 500,) * 9, trigger="*" * 5_000,
    )  # fmt: skip
    shown = card_embed(card)
    assert len(shown) <= 6_000
    assert all(len(field.value or "") <= 1_024 for field in shown.fields)
    names = [f"hf:org/{'_' * 90}{number}" for number in range(300)]
    tasks = [*parse_settings({}).tasks, "detect", "describe", "more"]
    adapters = [ListedAdapter("_" * 40, names[0], names[:-1])] * 20
    listed = models_embed(
        dict.fromkeys(tasks, names), defaults=dict.fromkeys(tasks, names[200]), now={names[200]: 0.5}, missing=names,
        adapters={"imagine": adapters},
    )  # fmt: skip
    assert len(listed) <= 6_000
    of_adapters = [field for field in listed.fields if field.name == "/imagine: adapters"]
    assert len(of_adapters) == 1
    assert all((f.value or "").startswith("**org/") for f in listed.fields if f not in of_adapters)
    assert "** · being fetched, 50%\n" in (listed.fields[0].value or "")
    assert all(len(field.value or "") <= 1_024 for field in listed.fields)


def test_sections_of_a_card() -> None:
    import re

    uses = re.compile("use")
    assert section_about("# How to use\n\n## use it so\n\nLike this.\n", uses) == "Like this."
    assert section_about("no headings", uses) == ""
