"""Test that files are made to fit the upload limit."""

from __future__ import annotations

import io

import discord
import pytest
from PIL import Image

from bot.ui.answer import Answer, File
from bot.ui.fit_upload import REQUEST_LIMIT_BYTES, fit
from tests.fakes.answers import png

NOISE = png(200, 200, noise=True)


def _answer(*pictures: bytes, text: str | None = None) -> Answer:
    files = [File(f"p{k}.png", data, "alt") for k, data in enumerate(pictures)]
    embed = discord.Embed(description="x")
    embed.set_image(url="attachment://p0.png")
    return Answer(text=text, embeds=[embed], files=files)


def test_what_fits_is_left_alone() -> None:
    answer = _answer(NOISE)
    assert fit(answer, len(NOISE)) is answer
    assert fit(Answer(text="x"), 0) == Answer(text="x")


@pytest.mark.parametrize("limit", [20_000, 5_000])
def test_a_picture_is_encoded_smaller_and_people_are_told(limit: int) -> None:
    answer = _answer(NOISE, text="before")
    fitted = fit(answer, limit)
    (file,) = fitted.files
    assert len(file.data) <= limit
    assert (file.name, file.description) == ("p0.webp", "alt")
    with Image.open(io.BytesIO(file.data)) as picture:
        assert picture.format == "WEBP"
    assert fitted.text == "before\n-# Made smaller to fit this server's upload limit."
    assert fitted.embeds[0].image.url == "attachment://p0.webp"
    assert answer.embeds[0].image.url == "attachment://p0.png"


def test_only_what_is_too_large_is_touched() -> None:
    small = png(8, 8)
    fitted = fit(_answer(small, NOISE), 20_000)
    assert [file.name for file in fitted.files] == ["p0.png", "p1.webp"]
    assert fitted.files[0].data == small
    assert fitted.embeds[0].image.url == "attachment://p0.png"


def test_quality_is_given_up_before_pixels() -> None:
    fitted = fit(_answer(NOISE), 20_000)
    with Image.open(io.BytesIO(fitted.files[0].data)) as picture:
        assert picture.size == (200, 200)


def test_all_files_together_fit_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.ui.fit_upload.REQUEST_LIMIT_BYTES", 64 * 1024 + 3 * 20_000)
    fitted = fit(_answer(NOISE, NOISE, NOISE), 10_000_000)
    assert all(len(file.data) <= 20_000 for file in fitted.files)
    assert REQUEST_LIMIT_BYTES == 25 * 1024 * 1024


def test_what_cannot_be_made_to_fit_stays() -> None:
    """Discord refuses it then, and the answer says so."""
    fitted = fit(_answer(NOISE), 10)
    assert fitted.files[0].data == NOISE
