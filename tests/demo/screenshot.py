"""Take the README's picture of the demo: `python -m tests.demo.screenshot`, best when nothing else runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.demo.guild import EXAMPLES
from tests.demo.channel import Channel, open_channel
from tests.demo.process import running_demo

TARGET = Path(__file__).parents[2] / "docs" / "screenshots" / "demo.png"
_SIZE = {"width": 620, "height": 1324}


def main() -> None:
    """Start the demo, use it, and write the picture."""
    with running_demo() as demo:
        demo.wait_until_announced()
        asyncio.run(_take(demo.url))


async def _take(url: str) -> None:
    async with open_channel(url) as channel:
        await channel.page.set_viewport_size(_SIZE)  # type: ignore[arg-type]
        await _translate(channel)
        await channel.command("classify", image=EXAMPLES / "cat.jpg")
        await channel.wait_for("Egyptian Mau")
        await channel.wait_for_picture()
        await channel.command("imagine", prompt="a red heart", seed="3")
        await channel.wait_for("Guidance")
        await channel.wait_for_picture()
        await channel.command("imagine", prompt="a yellow sun", steps="100")
        await channel.wait_for(r"step [1-9]\d of")
        await channel.page.locator("#preview-app").screenshot(path=TARGET)


async def _translate(channel: Channel) -> None:
    await channel.command("translate", text="I would like a cup of coffee, please.", to="pt")
    await channel.wait_for("por favor")


if __name__ == "__main__":
    main()
