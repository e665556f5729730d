"""Decode pictures in a child process, which is ended when a file takes too long or too much memory.

C code can't be interrupted in any other way. The child (`bot.tasks.images.child`) has imported nothing but Pillow, and
what its libraries print goes nowhere. A file that takes a decoder over doesn't reach the worker.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import IO, Self

from bot.errors import BadInput, JobCancelled, UserError
from bot.tasks.base import stop_requested
from bot.tasks.images.decode import DecodedImage
from bot.tasks.images.pipe import read, read_object, write

log = logging.getLogger(__name__)
_CPU_S, _WALL_S = 10, 30.0
"""Most processor time and time for one picture; one of 50 megapixels takes about a second."""
_BASE_BYTES = 256 << 20
"""Most memory of the child beside that of the pixels, beyond what it has at its start."""
_LOOK_S = 0.05
_CHILD = "bot.tasks.images.child"
_CHANNELS = 3
_PIPE_BYTES = 1 << 20
"""Room in a pipe, where Linux allows it: with the usual 64 KiB a picture takes a third longer."""
_NO_ANSWER = (EOFError, OSError, ValueError, LookupError, TypeError)
"""What happens when the child was ended, or says what it never would."""
_TOO_LONG = "This picture takes too long to decode. Save it again, or send a smaller one."
_ENDED = "This picture can't be decoded. Save it again and send it once more."


def decode(data: bytes, *, max_pixels: int) -> DecodedImage:
    """Do what `decode_image` does, in the child of this process. Raise JobCancelled when the job is stopped."""
    return _decoder().decode(data, max_pixels=max_pixels, stop=stop_requested.get())


@cache
def _decoder() -> ImageDecoder:
    decoder = ImageDecoder()
    atexit.register(decoder.close)
    return decoder


class ImageDecoder:
    """Own the child, which is started for the first picture, and after each picture that ended it.

    It decodes one picture at a time: several would need their memory together. `cpu_s` and `wall_s` limit the seconds
    of the processor and of the clock that a picture may take, `base_bytes` the memory beside that of its pixels.
    """

    def __init__(self, *, cpu_s: int = _CPU_S, wall_s: float = _WALL_S, base_bytes: int = _BASE_BYTES) -> None:
        self._limits = {"cpu_s": cpu_s, "base_bytes": base_bytes}
        self._wall_s = wall_s
        self._child: subprocess.Popen[bytes] | None = None
        self._one_at_a_time = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Return the process id of the child; None when there is none."""
        return None if self._child is None else self._child.pid

    def decode(self, data: bytes, *, max_pixels: int, stop: Callable[[], bool] = lambda: False) -> DecodedImage:
        """Do what `decode_image` does. A picture that ended the child is BadInput; after `stop`, raise JobCancelled."""
        with self._one_at_a_time:
            child = self._running_child()
            with _Watch(child, stop, self._wall_s) as watch, contextlib.suppress(*_NO_ANSWER):
                decoded = _ask(child, data, {**self._limits, "max_pixels": max_pixels})
                if watch.is_over():
                    return decoded
            status = self._end()
        raise watch.reason or _reason_of(status)

    def close(self) -> None:
        """End the child."""
        with self._one_at_a_time:
            self._end()

    def _running_child(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is not None:
            self._end()
        if self._child is None:
            self._child = _started()
        return self._child

    def _end(self) -> int | None:
        """End the child, and return how it ended."""
        child, self._child = self._child, None
        if child is None:
            return None
        child.kill()
        for stream in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):  # what is still in its buffer
                _stream(stream).close()
        return child.wait()


class _Watch:
    """Kill a child that takes too long, or that nobody waits for any more; `reason` tells which, None if neither."""

    def __init__(self, child: subprocess.Popen[bytes], stop: Callable[[], bool], wall_s: float) -> None:
        self.reason: UserError | None = None
        self._child = child
        self._stop = stop
        self._ends_at = time.monotonic() + wall_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, name="decode-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over()

    def is_over(self) -> bool:
        """Watch no longer; say whether the child was left alive."""
        self._done.set()
        self._thread.join()
        return self.reason is None

    def _look(self) -> None:
        while not self._done.wait(_LOOK_S):
            if self._stop():
                self.reason = JobCancelled("Cancelled.")
            elif time.monotonic() > self._ends_at:
                self.reason = BadInput(_TOO_LONG)
            if self.reason is not None:
                self._child.kill()
                return


def _reason_of(status: int | None) -> BadInput:
    """Return what to tell of a picture that ended the child with this exit status."""
    log.warning("a picture ended the process that decodes pictures (exit code %s)", status)
    is_slow = status is not None and status == -getattr(signal, "SIGXCPU", 0)
    return BadInput(_TOO_LONG if is_slow else _ENDED)


def _started() -> subprocess.Popen[bytes]:
    """Start the child with the packages of this process, and without its tokens: it reads strangers' files."""
    environment = {name: value for name, value in os.environ.items() if "TOKEN" not in name.upper()}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    child = subprocess.Popen(  # noqa: S603 - this very program
        [sys.executable, "-P", "-m", _CHILD],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    for stream in (child.stdin, child.stdout):
        _widen(_stream(stream))
    return child


def _widen(stream: IO[bytes]) -> None:
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _ask(child: subprocess.Popen[bytes], data: bytes, options: dict[str, int]) -> DecodedImage:
    """Let the child decode a picture; raise the BadInput that it answers with."""
    from PIL import Image

    write(_stream(child.stdin), {**options, "bytes": len(data)}, data)
    source = _stream(child.stdout)
    answer = read_object(source)
    if "template" in answer:
        raise BadInput(answer["template"], **answer["values"])
    width, height = answer["shown"]
    pixels = read(source, _CHANNELS * width * height)
    return DecodedImage(Image.frombytes("RGB", (width, height), pixels), (answer["size"][0], answer["size"][1]))


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise EOFError
    return stream
