"""Run the demo as a process of its own."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_STOP_S = 20.0  # two seconds on a machine that has nothing else to do


@dataclass(frozen=True, slots=True)
class Stopped:
    """Tell how the demo ended."""

    code: int
    output: str
    left_over: list[psutil.Process]
    seconds: float


class Demo:
    """Hold a running demo. `url` is the address that it printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = ""

    def wait_until_announced(self) -> None:
        """Read what the demo prints until it has said where it runs and how to end it."""
        self.url = self.wait_until_said("http://").split()[-1]
        self.wait_until_said("Ctrl-C")

    def wait_until_said(self, words: str) -> str:
        """Read what the demo prints until a line has these words; return the line."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if words in line:
                return line
        raise AssertionError(f"the demo ended before it said {words!r}")

    def ended(self) -> tuple[int, str]:
        """Wait until the demo ends by itself; return its exit code and all that it printed."""
        output, _ = self._process.communicate(timeout=120)
        return self._process.returncode, output

    def stop(self, number: int = signal.SIGINT) -> Stopped:
        """Send a signal and wait for the end of the process and its children."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        began = time.monotonic()
        self._process.send_signal(number)
        output, _ = self._process.communicate(timeout=_STOP_S)
        seconds = time.monotonic() - began
        _, alive = psutil.wait_procs(children, timeout=5)
        return Stopped(self._process.returncode, output, alive, seconds)


@contextlib.contextmanager
def running_demo(*, port: int = 0) -> Iterator[Demo]:
    """Start the demo, and make sure that it is gone afterwards."""
    command = [sys.executable, "-m", "bot", "demo", "--port", str(port), "--no-open"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield Demo(process)
        finally:
            if process.poll() is None:
                process.terminate()
