"""Use the demo's page as a person does."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import Locator, Page, async_playwright, expect

from tests.fakes.skipping import skip_without

PATIENCE_MS = 120_000
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
_IDLE = "() => simcordPreview.ready && !simcordPreview.pendingAction"
_LOADED = "images => images.length > 0 && images.every(image => image.complete && image.naturalWidth > 0)"


class Channel:
    """Hold the page of the demo's channel."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.newest: Locator = page.locator("#channel-message-list > article").last

    async def command(self, name: str, *, image: Path | None = None, **options: str) -> None:
        """Choose a slash command from the picker, fill it in and send it."""
        await self.wait_until_idle()
        await self.page.locator("#channel-composer-input").fill(f"/{name}")
        await self.page.locator(".command-entry").filter(has_text=f"/{name}").click()
        for option, value in options.items():
            await self._fill(option, value)
        if image is not None:
            await self.page.locator(".command-file-input").set_input_files(image)
        await self.page.locator("#send-message").click()
        await expect(self.newest).to_contain_text(f"you used /{name}", timeout=PATIENCE_MS)

    async def choose(self, name: str) -> None:
        """Choose what is offered above the message box."""
        await self.page.locator(".command-suggestion").get_by_text(name, exact=True).click()

    async def _fill(self, option: str, value: str) -> None:
        field = self.page.locator(f".command-option-input[data-option={option}]")
        if not await field.count():
            await self.page.locator(".command-ghost").click()
            await self.choose(option)
        await field.fill(value)

    async def wait_until_idle(self) -> None:
        """Wait until the page has nothing under way: what is typed before is lost when an action ends."""
        await self.page.wait_for_function(_IDLE, timeout=PATIENCE_MS)

    async def wait_for(self, text: str) -> None:
        """Wait until the newest message has a text that matches a regular expression."""
        await expect(self.newest).to_contain_text(re.compile(text), timeout=PATIENCE_MS)

    async def wait_for_picture(self) -> None:
        """Wait until every picture in the newest message is loaded."""
        handle = await self.newest.element_handle()
        script = f"message => ({_LOADED})([...message.querySelectorAll('.embed-card img')])"
        await self.page.wait_for_function(script, arg=handle, timeout=PATIENCE_MS)

    async def click(self, button: str) -> None:
        """Click a button of the channel; there must be only one of that name."""
        await self.page.locator("#channel-message-list").get_by_role("button", name=button).click()


@contextlib.asynccontextmanager
async def open_channel(url: str) -> AsyncIterator[Channel]:
    """Open the demo in a headless Chromium; skip the test where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        skip_without("chromium", "apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        page = await browser.new_page(viewport={"width": 1180, "height": 860})
        await page.goto(url)
        channel = Channel(page)
        await expect(channel.newest).to_be_visible(timeout=PATIENCE_MS)
        yield channel
        await browser.close()
