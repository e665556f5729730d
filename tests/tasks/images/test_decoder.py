"""Test that a picture that takes too much is given up, and that pictures after it are decoded."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

import psutil
import pytest
from PIL import Image

from bot.errors import BadInput, JobCancelled
from bot.tasks.images.decode import decode_image
from bot.tasks.images.decoder import ImageDecoder
from tests.fakes.waiting import until
from tests.tasks.images.test_decode import KINDS, SAMPLES, encoded

LIMIT = 50_000_000
_WORKER = """
import sys
from bot.tasks.images.decoder import ImageDecoder
decoder = ImageDecoder()
decoder.decode(sys.stdin.buffer.read(), max_pixels=1000)
print(decoder.pid, flush=True)
import os
os._exit(0)
"""


@cache
def large() -> bytes:
    """Return a small file of many pixels."""
    return encoded(Image.new("RGBA", (6_000, 6_000), (10, 20, 30, 128)), "PNG", compress_level=1)


@pytest.fixture
def decoder() -> Iterator[ImageDecoder]:
    decoder = ImageDecoder()
    yield decoder
    decoder.close()


def test_pictures_are_what_they_would_be_in_this_process(decoder: ImageDecoder) -> None:
    for data in (*SAMPLES.values(), large()):
        one, other = decoder.decode(data, max_pixels=LIMIT), decode_image(data, max_pixels=LIMIT)
        assert (one.size, one.image.tobytes()) == (other.size, other.image.tobytes())


def test_the_process_that_reads_strangers_files_has_no_token(
    decoder: ImageDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "DISCORD_TOKEN"):
        monkeypatch.setenv(name, "secret-value")
    decoder.decode(SAMPLES["PNG"], max_pixels=LIMIT)
    assert "secret-value" not in psutil.Process(decoder.pid).environ().values()


def test_a_refusal_says_the_same_and_ends_nothing(decoder: ImageDecoder) -> None:
    decoder.decode(SAMPLES["PNG"], max_pixels=LIMIT)
    child = decoder.pid
    for data in (b"hello", SAMPLES["PNG"][:30], large()):
        with pytest.raises(BadInput) as here:
            decode_image(data, max_pixels=1_000_000)
        with pytest.raises(BadInput) as there:
            decoder.decode(data, max_pixels=1_000_000)
        assert str(here.value) == str(there.value)
    assert decoder.pid == child


def still_decodes(decoder: ImageDecoder) -> bool:
    return decoder.decode(SAMPLES["PNG"], max_pixels=LIMIT).size == (16, 16)


def test_one_that_takes_too_long_is_given_up() -> None:
    decoder = ImageDecoder(wall_s=0.0)
    with pytest.raises(BadInput, match="takes too long"):
        decoder.decode(large(), max_pixels=LIMIT)
    assert decoder.pid is None


@pytest.mark.skipif(sys.platform != "linux", reason="psutil tells limits on Linux")
def test_each_picture_gets_its_seconds_of_the_processor(decoder: ImageDecoder) -> None:
    def spend() -> bool:
        os.kill(decoder.pid or 0, signal.SIGXCPU)
        return False

    still_decodes(decoder)
    child = psutil.Process(decoder.pid)
    spent_s = sum(child.cpu_times()[:2])
    assert child.rlimit(psutil.RLIMIT_CPU)[0] in range(10, int(spent_s) + 12)
    assert child.rlimit(psutil.RLIMIT_AS)[0] < 2 << 30
    with pytest.raises(BadInput, match="takes too long"):
        decoder.decode(large(), max_pixels=LIMIT, stop=spend)
    assert still_decodes(decoder)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems don't keep to the limit")
def test_one_that_needs_too_much_memory_is_refused() -> None:
    decoder = ImageDecoder(base_bytes=10 << 20)
    with pytest.raises(BadInput, match="too much memory"):
        decoder.decode(encoded(Image.new("RGB", (1_000, 1_000)), "WEBP"), max_pixels=1_000_000)
    assert still_decodes(decoder)
    decoder.close()


def test_nobody_waits_for_the_picture_of_a_cancelled_job(decoder: ImageDecoder) -> None:
    with pytest.raises(JobCancelled):
        decoder.decode(large(), max_pixels=LIMIT, stop=lambda: True)
    assert still_decodes(decoder)


def test_a_picture_that_crashes_a_decoder_is_refused(decoder: ImageDecoder) -> None:
    def crash() -> bool:
        os.kill(decoder.pid or 0, signal.SIGSEGV)
        return False

    with pytest.raises(BadInput, match="can't be decoded"):
        decoder.decode(large(), max_pixels=LIMIT, stop=crash)
    assert still_decodes(decoder)


async def test_the_child_ends_with_its_worker() -> None:
    worker = [sys.executable, "-c", _WORKER]
    run = await asyncio.to_thread(subprocess.run, worker, input=SAMPLES["PNG"], capture_output=True, check=True)
    await until(lambda: not psutil.pid_exists(int(run.stdout)))


@pytest.mark.parametrize("kind", KINDS)
def test_libraries_print_nothing(kind: str, decoder: ImageDecoder, capfd: pytest.CaptureFixture[str]) -> None:
    """Libtiff writes a line for each thing that it doesn't like."""
    data = SAMPLES[kind]
    if kind == "TIFF":
        data = encoded(Image.new("RGB", (64, 64)), "TIFF", compression="tiff_lzw").replace(
            struct.pack("<H", 258), struct.pack("<H", 65_258)
        )
    for end in (len(data), len(data) // 2, len(data) - 3):
        try:
            decoder.decode(data[:end], max_pixels=LIMIT)
        except BadInput:
            continue
    assert capfd.readouterr().err == ""
