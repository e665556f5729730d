"""Test the demo: each command in the browser, and that it starts and stops cleanly."""

from __future__ import annotations

import importlib.util
import re
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from playwright.async_api import expect

from bot.bundled.prepare import prepare
from bot.demo.guild import EXAMPLES
from bot.demo.serve import run_demo
from bot.errors import UserError
from tests.demo.channel import PATIENCE_MS, Channel, open_channel
from tests.demo.process import Demo, running_demo

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    prepare()
    with running_demo() as demo:
        demo.wait_until_announced()
        yield demo


@pytest.fixture
async def channel(demo: Demo) -> AsyncIterator[Channel]:
    async with open_channel(demo.url) as channel:
        yield channel


async def test_sentiment(channel: Channel) -> None:
    await channel.command("sentiment", text="What a lovely day!")
    await channel.wait_for(r"positive · \d\d\.\d%")


@pytest.mark.usefixtures("bergamot")
async def test_translate_with_a_language_from_the_list(channel: Channel) -> None:
    await channel.page.locator("#channel-composer-input").fill("/translate")
    await channel.page.keyboard.press("Enter")
    await channel.page.keyboard.type("Good morning, how are you?")
    await channel.page.locator(".command-option-input[data-option=to]").fill("Por")
    await channel.choose("Portuguese")
    await channel.page.locator("#send-message").click()
    await channel.wait_for("Bom dia")


async def test_classify_an_attached_file(channel: Channel) -> None:
    await channel.command("classify", image=EXAMPLES / "cat.jpg")
    await channel.wait_for("Egyptian Mau")
    await channel.wait_for_picture()


async def test_imagine_makes_a_picture(channel: Channel) -> None:
    await channel.command("imagine", prompt="a red heart", steps="4")
    await channel.wait_for("Guidance")
    await channel.wait_for_picture()


async def test_progress_queue_and_cancel_while_a_picture_is_made(channel: Channel) -> None:
    await channel.command("imagine", prompt="a blue fish", steps="100", count="4")
    await channel.wait_for(r"step \d+ of 100")
    picture = channel.page.locator("article").filter(has=channel.page.get_by_role("button", name="Cancel"))
    message = await picture.get_attribute("data-message-id")
    await channel.command("queue")
    await channel.wait_for(r"/imagine: (running|step)")
    await channel.command("help")
    await channel.wait_for("What I can do")
    await channel.click("Cancel")
    picture = channel.page.locator(f"article[data-message-id='{message}']")
    await expect(picture).to_contain_text("Cancelled", timeout=PATIENCE_MS)


async def test_mistakes_are_answered_and_the_page_goes_on(channel: Channel) -> None:
    await channel.command("translate", text="Good morning", to="Klingonish")
    await channel.wait_for("Klingonish")
    await expect(channel.page.locator("#action-status")).to_have_text("Action completed", timeout=PATIENCE_MS)
    await channel.command("sentiment", text="What a lovely day!")
    await channel.wait_for("positive")


@pytest.mark.usefixtures("bergamot")  # without them the demo says so
async def test_ctrl_c_while_a_picture_is_made() -> None:
    with running_demo() as demo:
        demo.wait_until_announced()
        async with open_channel(demo.url) as channel:
            await channel.command("imagine", prompt="a red heart", steps="100", count="4")
            await channel.wait_for(r"step \d+ of 100")
            stopped = demo.stop()
    assert (stopped.code, stopped.output, stopped.left_over) == (0, "", [])


def test_terminate_while_the_models_load() -> None:
    with running_demo() as demo:
        demo.wait_until_said("Starting the models")
        stopped = demo.stop(signal.SIGTERM)
    assert (stopped.code, stopped.output, stopped.left_over) == (0, "", [])


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, running_demo(port=taken.getsockname()[1]) as demo:
        code, output = demo.ended()
    assert code == 1
    assert re.fullmatch(r"Port \d+ is taken or not allowed\. Choose another with --port\.\n", output)


def test_without_simcord(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec: Any = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "simcord" else find_spec(name))
    with pytest.raises(UserError, match=r"hubcord\[demo\]"):
        run_demo(port=0, open_browser=False)
