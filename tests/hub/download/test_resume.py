"""Test that a download goes on where a process that was killed left off, and never with something else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.finding import hub_environment
from tests.hub.loopback_hub import LoopbackHub, serve_hub

WEIGHTS = "model.safetensors"
SIZE = 24 << 20
GET = f"GET /org/large/{WEIGHTS}"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LoopbackHub]:
    """Serve a model of 24 MiB."""
    folder = tmp_path / "large"
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / WEIGHTS).write_bytes(os.urandom(SIZE))
    with serve_hub() as hub:
        hub.add("org/large", folder)
        yield hub


class Puller:
    """Run `hubcord models pull` in processes with a cache of their own."""

    def __init__(self, hub: LoopbackHub, folder: Path) -> None:
        self._hub, self._folder = hub, folder

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "bot", "models", "pull", "hf:org/large@main"],
            env=hub_environment(self._hub, self._folder / "home"),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def pull(self) -> None:
        """Pull all of it."""
        process = self.start()
        out, _ = process.communicate()
        assert process.returncode == 0, out
        assert self.fetched.read_bytes() == (self._folder / "large" / WEIGHTS).read_bytes()
        assert not list(self._folder.rglob("*.incomplete"))

    def break_off(self, after: int = 6 << 20, number: int = signal.SIGKILL) -> int:
        """Pull from a slow server, end all processes after so many bytes, and return how many are there."""
        self._hub.slow_s = 0.2
        process = self.start()
        while sum(part.stat().st_size for part in self._folder.rglob("*.incomplete")) < after:
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, number)
        process.communicate()
        self._hub.slow_s = 0.0
        return self.begun.stat().st_size

    @property
    def begun(self) -> Path:
        """Return the only file that isn't whole."""
        (path,) = self._folder.rglob("*.incomplete")
        return path

    @property
    def fetched(self) -> Path:
        (path,) = (self._folder / "home").rglob(WEIGHTS)
        return path


@pytest.fixture
def puller(hub: LoopbackHub, tmp_path: Path) -> Puller:
    return Puller(hub, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_pull_goes_on_where_another_one_was_ended(hub: LoopbackHub, puller: Puller, number: int) -> None:
    begun = puller.break_off(number=number)
    old = time.time() - 86_400
    os.utime(puller.begun, (old, old))
    puller.pull()
    assert 6 << 20 <= begun < SIZE
    assert hub.ranges == [f"bytes={begun}-"]


def test_a_pull_that_is_ended_twice(hub: LoopbackHub, puller: Puller) -> None:
    first = puller.break_off()
    second = puller.break_off(first + (4 << 20))
    puller.pull()
    assert hub.ranges == [f"bytes={first}-", f"bytes={second}-"]


@pytest.mark.parametrize("left", [b"wrong" * 1_000, bytes(SIZE), bytes(SIZE + 1), b""])
def test_what_is_not_the_beginning_of_the_file_is_fetched_anew(hub: LoopbackHub, puller: Puller, left: bytes) -> None:
    puller.break_off()
    puller.begun.write_bytes(left)
    hub.requests.clear()
    puller.pull()
    assert hub.requests.count(GET) == (2 if 0 < len(left) < SIZE else 1)


def test_another_version_of_the_file_is_not_begun(hub: LoopbackHub, puller: Puller, tmp_path: Path) -> None:
    puller.break_off()
    old = puller.begun
    content = os.urandom(SIZE)
    (tmp_path / "large" / WEIGHTS).write_bytes(content)
    hub.repositories["org/large"].sha = "f" * 40
    os.utime(old, (0, 0))
    puller.pull()
    assert hub.ranges == []
    assert not old.exists()


def test_two_pulls_at_once_go_on_together(hub: LoopbackHub, puller: Puller) -> None:
    begun = puller.break_off()
    hub.requests.clear()
    hub.slow_s = 0.05
    both = [puller.start() for _ in range(2)]
    for process in both:
        out, _ = process.communicate()
        assert process.returncode == 0, out
    assert hub.requests.count(GET) == 1
    assert hub.ranges == [f"bytes={begun}-"]
    puller.pull()
