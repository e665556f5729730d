"""Test each command with its bundled model, or a tiny one, in a real worker process.

The engine, and with it the event loop, is shared by the tests of this file: loading the models takes a while.
"""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image
from simcord import ChannelHandle, Env, MemberActor

import bot.demo
from bot.bot import Bot
from bot.bundled.prepare import prepare
from bot.config import Settings, parse_settings
from bot.engine.engine import Engine
from bot.store.base import NoStore
from bot.wiring import make_engine
from tests.fakes.seen import as_read, description, embed, message, private_text, public_text
from tests.fakes.simulation import simulated
from tests.models.tiny_vision import tiny_git, tiny_siglip, tiny_yolos

pytestmark = pytest.mark.asyncio(loop_scope="module")
CAT = Path(bot.demo.__file__).with_name("examples") / "cat.jpg"
SETTLE_S = 100.0


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    prepare()
    folder = tmp_path_factory.mktemp("models")
    return parse_settings(
        {
            "devices": {"use": ["cpu"]},
            "queue": {"shutdown_grace_s": 0},
            "classify": {"zero_shot": [f"path:{tiny_siglip(folder / 'siglip')}"]},
            "detect": {"models": [f"path:{tiny_yolos(folder / 'yolos')}"]},
            "describe": {"models": [f"path:{tiny_git(folder / 'git')}"]},
            "imagine": {"alt_text": "caption"},
        }
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(settings: Settings) -> AsyncIterator[Engine]:
    engine = make_engine(settings)
    await engine.start()
    yield engine
    await engine.close()


@pytest_asyncio.fixture(loop_scope="module")
async def env(engine: Engine, settings: Settings) -> AsyncIterator[Env]:
    engine.store = NoStore()  # each simulated Discord is new and knows no commands
    env = Env(Bot(engine=engine, settings=settings, shard_count=1), settle_timeout=SETTLE_S)
    async with simulated(env):
        yield env


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("I love this, what a wonderful day!", "positive"),
        ("This is terrible. I hate it and want my money back.", "negative"),
    ],
)
async def test_sentiment(alice: MemberActor, channel: ChannelHandle, text: str, title: str) -> None:
    shown = embed(await alice.slash(channel, "sentiment", text=text))
    assert (shown.title or "").startswith(title)
    assert "minilm-sentiment" in (shown.footer.text or "")


async def test_classify(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "classify", image=("cat.jpg", CAT.read_bytes()))
    best = description(result).lower().split("\n")[:3]
    assert any(name in line for line in best for name in ("egyptian", "tabby", "tiger cat")), best
    assert [file.filename for file in message(result).attachments] == ["picture.png"]


async def test_classify_what_is_no_picture(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "classify", image=("cat.jpg", b"no picture at all"))
    assert private_text(result).startswith("This file is no picture that can be read.")


async def test_classify_half_a_picture(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "classify", image=("cat.jpg", CAT.read_bytes()[:2_000]))
    assert public_text(result).startswith("This picture is damaged or incomplete.")


async def test_classify_by_labels_of_ones_own(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "classify", image=("cat.jpg", CAT.read_bytes()), labels="a cat, a dog")
    assert {line.rpartition("` ")[2] for line in description(result).split("\n")} == {"a cat", "a dog"}


async def test_detect(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "detect", image=("cat.jpg", CAT.read_bytes()), confidence=50)
    (file,) = message(result).attachments
    assert embed(result).title == file.description
    assert re.fullmatch(r"\d+ × (cat|dog)(, \d+ × (cat|dog))?", file.description or "")
    with Image.open(io.BytesIO(await file.read())) as drawn:
        assert drawn.size == (512, 341)


async def test_describe(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "describe", image=("cat.jpg", CAT.read_bytes()))
    assert description(result).split()
    assert embed(result).footer.text == "git"


async def test_imagine(alice: MemberActor, channel: ChannelHandle) -> None:
    pictures = []
    for seed in (3, 3, 4):
        result = await alice.slash(channel, "imagine", prompt="a red heart", seed=seed, steps=4)
        (file,) = message(result).attachments
        assert file.filename == f"picture-{seed}.png"
        pictures.append(await file.read())
    assert pictures[0] == pictures[1]
    assert pictures[0] != pictures[2]
    assert pictures[0].startswith(b"\x89PNG")
    other = await alice.slash(channel, "imagine", prompt="a red heart", seed=3, steps=4, scheduler="Euler a")
    assert ("Scheduler", "Euler a") in [(field.name, field.value) for field in embed(other).fields]
    assert await message(other).attachments[0].read() not in pictures


async def test_the_alternative_text_is_what_describe_says(alice: MemberActor, channel: ChannelHandle) -> None:
    result = await alice.slash(channel, "imagine", prompt="a red heart", seed=3, steps=4, count=2)
    for file in message(result).attachments:
        described = await alice.slash(channel, "describe", image=(file.filename, await file.read()))
        assert file.description == as_read(description(described))[0]


@pytest.mark.parametrize(
    ("text", "to", "title", "word"),
    [
        ("Good morning, how are you today?", "pt", "English → Portuguese (detected)", "bom dia"),
        ("Bom dia, como está hoje?", "en", "Portuguese → English (detected)", "good morning"),
    ],
)
@pytest.mark.usefixtures("bergamot")
async def test_translate(alice: MemberActor, channel: ChannelHandle, text: str, to: str, title: str, word: str) -> None:
    shown = embed(await alice.slash(channel, "translate", text=text, to=to))
    assert shown.title == title
    original, translation = as_read(shown.description or "")[0].split("\n\n")
    assert original == f"> {text}"
    assert word in translation.lower()
