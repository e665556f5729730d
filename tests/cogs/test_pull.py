"""Test how the owner fetches models from Discord, with downloads that go as the test says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from simcord import ChannelHandle, Env, MemberActor
from simcord.results import InteractionResult

from bot.bot import Bot
from bot.config import Settings
from bot.errors import JobCancelled
from bot.hub.access import model_unavailable
from bot.hub.download.pulls import Pull
from bot.hub.model_filter import ADAPTERS, ModelFilter
from bot.hub.reference import parse_reference
from bot.tasks.registry import TASKS
from tests.fakes.seen import buttons, edits, embed, message, private_text
from tests.models.tiny_models import tiny_sentiment

LARGE, GATED = "hf:org/large@0123456789abcdef", "hf:org/gated_one@main"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sentiment(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def config(tiny: Path) -> dict[str, object]:
    folder = f"path:{tiny}"
    return {
        "sentiment": {"models": [folder, LARGE, GATED]},
        "classify": {"models": [folder]},
        "imagine": {"models": [folder]},
        "translate": {"pairs": [{"from": "en", "to": "pt", "model": folder}]},
        "hub": {"trusted_torchhub": ["pytorch/vision"]},
    }


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))


@pytest.fixture
def started(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[Pull]:
    """Return the downloads that were started; the test says how they go."""
    pulls: list[Pull] = []

    def start(pull: Pull, model_filter: ModelFilter, trusted: tuple[str, ...]) -> None:
        assert (model_filter, trusted) == (TASKS["sentiment"].model_filter, settings.hub.trusted_torchhub)
        pulls.append(pull)

    monkeypatch.setattr("bot.hub.download.pulls.start_thread", start)
    return pulls


@pytest.fixture
def owner(alice: MemberActor, bot: Bot) -> MemberActor:
    bot.owner_ids = {alice.id}
    return alice


def shown(result: InteractionResult) -> str:
    assert message(result).ephemeral
    return message(result).content


async def test_progress_and_end(owner: MemberActor, channel: ChannelHandle, env: Env, started: list[Pull]) -> None:
    result = await owner.slash(channel, "models pull", model="org/large")
    assert shown(result) == f"{LARGE}: fetching…"
    assert buttons(result) == ["Cancel"]
    (pull,) = started
    for done in range(0, 430_000_000, 1_000_000):
        pull.hear(done, 1_000_000_000)
    await env.advance_time(1.1)
    assert shown(result) == f"{LARGE}: ▰▰▰▰▱▱▱▱▱▱ 43%, 429.0 of 1,000.0 MB"
    listed = embed(await owner.slash(channel, "models list")).fields[0].value or ""
    assert "org/large@0123456 · being fetched, 43%" in listed

    before = len(edits(env))
    await env.advance_time(30)
    assert len(edits(env)) == before, "nothing changed"
    pull.end("org/large@0123456")
    await env.settle()
    assert shown(result) == "org/large@0123456 is here."
    assert buttons(result) == []


async def test_at_most_one_edit_a_second(
    owner: MemberActor, channel: ChannelHandle, env: Env, started: list[Pull]
) -> None:
    await owner.slash(channel, "models pull", model="org/large")
    for done in range(100):
        started[0].hear(done * 1_000_000, 100_000_000)
        await env.advance_time(0.05)
    assert 4 <= len(edits(env)) <= 6


async def test_cancel(owner: MemberActor, channel: ChannelHandle, started: list[Pull]) -> None:
    result = await owner.slash(channel, "models pull")
    await owner.click(message(result), label="Cancel")
    assert shown(result) == f"{LARGE}: Cancelled."
    assert buttons(result) == []
    assert len(started) == 1, "the other one isn't begun any more"
    with pytest.raises(JobCancelled):
        started[0].hear(1, 2)
    await owner.slash(channel, "models pull", model="org/large")
    assert len(started) == 2


async def test_the_button_of_the_last_life_tells_what_to_do(
    owner: MemberActor, channel: ChannelHandle, env: Env, bot: Bot, started: list[Pull]
) -> None:
    result = await owner.slash(channel, "models pull")
    started[0].end("org/large@0123456")
    await env.settle()
    bot.downloads._pulls.clear()
    await owner.click(message(result), label="Cancel")
    assert shown(result) == (
        "org/large@0123456 is here.\nThe bot was restarted meanwhile. /models pull goes on from there."
    )
    assert buttons(result) == []


async def test_all_that_are_missing_one_after_another_and_why_one_is_not_to_be_had(
    owner: MemberActor, channel: ChannelHandle, env: Env, started: list[Pull]
) -> None:
    result = await owner.slash(channel, "models pull")
    hint = "Its licence must be accepted first. 1. Accept it at http://127.0.0.1/org/gated_one . 2. Then set HF_TOKEN."
    started[0].end("org/large@0123456")
    await env.settle()
    assert shown(result) == "org/large@0123456 is here.\nhf:org/gated\\_one@main: fetching…"
    started[1].end(model_unavailable(parse_reference(GATED), hint))
    await env.settle()
    assert shown(result) == (
        "org/large@0123456 is here.\nhf:org/gated\\_one@main: Its licence must be accepted first. "
        "1. Accept it at http://127.0.0.1/org/gated_one . 2. Then set HF\\_TOKEN."
    )


async def test_two_at_once_share_one_download(
    owner: MemberActor, bob: MemberActor, bot: Bot, channel: ChannelHandle, env: Env, started: list[Pull]
) -> None:
    bot.owner_ids = {owner.id, bob.id}
    results = [await person.slash(channel, "models pull", model="org/large") for person in (owner, bob)]
    (pull,) = started
    pull.hear(500_000, 1_000_000)
    await env.advance_time(1.1)
    assert {shown(result) for result in results} == {f"{LARGE}: ▰▰▰▰▰▱▱▱▱▱ 50%, 0.5 of 1.0 MB"}
    pull.end("org/large@0123456")
    await env.settle()
    assert {shown(result) for result in results} == {"org/large@0123456 is here."}


async def test_an_end_after_the_15_minutes_comes_by_direct_message(
    owner: MemberActor, channel: ChannelHandle, env: Env, started: list[Pull]
) -> None:
    await owner.slash(channel, "models pull", model="org/large")
    await env.advance_time(16 * 60)
    for done in (1, 2, 3):
        started[0].hear(done, 4)
        await env.advance_time(1.1)
    assert len(edits(env)) == 2, "Discord's refusal is taken at its word"
    started[0].end("org/large@0123456")
    await env.settle()
    (told,) = owner.user.dm_channel.history()
    assert told.content == "org/large@0123456 is here."


@pytest.mark.parametrize("config", [{"sentiment": {"models": [f"hf:org/{number}" for number in range(9)]}}])
async def test_what_happens_now_is_seen_below_many_reasons(
    owner: MemberActor,
    channel: ChannelHandle,
    env: Env,
    started: list[Pull],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules["cogs.models"], "is_here", lambda reference: not reference.startswith("hf:org/"))
    result = await owner.slash(channel, "models pull")
    for number in range(8):
        started[number].end(model_unavailable(parse_reference(f"hf:org/{number}"), "why " * 100))
        await env.settle()
    assert len(shown(result)) == 2000
    assert shown(result).endswith("why \nhf:org/8: fetching…")


async def test_an_error_that_nobody_thought_of(
    owner: MemberActor, channel: ChannelHandle, env: Env, started: list[Pull]
) -> None:
    result = await owner.slash(channel, "models pull", model="org/large")
    started[0].end(RuntimeError("?"))
    await env.settle()
    assert shown(result).startswith(f"{LARGE}: Something went wrong (reference ")


async def test_members_may_not(alice: MemberActor, channel: ChannelHandle, started: list[Pull]) -> None:
    result = await alice.slash(channel, "models pull", model="org/large")
    assert private_text(result) == "Only the owner of this bot can fetch models."
    assert await alice.autocomplete(channel, "models pull", "model", "") == []
    assert started == []


async def test_what_is_missing_is_offered(owner: MemberActor, channel: ChannelHandle) -> None:
    offered = await owner.autocomplete(channel, "models pull", "model", "")
    assert [choice["value"] for choice in offered] == ["org/large", "org/gated_one"]


@pytest.mark.parametrize(
    "config",
    [{"imagine": {"models": ["bundled:emoji-sd"], "loras": [{"name": "pixel", "model": "hf:org/pixel@main"}]}}],
)
async def test_adapters_are_fetched_too(
    owner: MemberActor, channel: ChannelHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[str, ModelFilter]] = []
    monkeypatch.setattr(
        "bot.hub.download.pulls.start_thread",
        lambda pull, model_filter, _: begun.append((pull.reference, model_filter)),
    )
    monkeypatch.setattr(sys.modules["cogs.models"], "is_here", lambda reference: reference != "hf:org/pixel@main")
    offered = await owner.autocomplete(channel, "models pull", "model", "")
    assert [(choice["name"], choice["value"]) for choice in offered] == [("pixel · adapter", "pixel")]
    for options in ({"model": "pixel"}, {}):
        await owner.slash(channel, "models pull", **options)
    assert begun == [("hf:org/pixel@main", ADAPTERS)]


@pytest.mark.parametrize("model", ["nothing", None])
async def test_nothing_to_fetch(
    owner: MemberActor, channel: ChannelHandle, monkeypatch: pytest.MonkeyPatch, model: str | None
) -> None:
    monkeypatch.setattr(sys.modules["cogs.models"], "is_here", lambda _reference: True)
    options = {"model": model} if model else {}
    result = await owner.slash(channel, "models pull", **options)
    assert ("There is no model “nothing”" if model else "All models are here.") in message(result).content


async def test_downloads_end_with_the_bot(
    owner: MemberActor, channel: ChannelHandle, bot: Bot, started: list[Pull]
) -> None:
    await owner.slash(channel, "models pull", model="org/large")
    await bot.close()
    assert started[0].ended.is_set()
