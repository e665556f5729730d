"""Decode pictures for a worker, in a process of its own: `python -m bot.tasks.images.child`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import IO

from bot.errors import BadInput
from bot.machine.malloc import give_back_memory, use_one_heap
from bot.tasks.images.decode import decode_image
from bot.tasks.images.pipe import read, read_object, write

_BYTES_PER_PIXEL = 12
"""Memory that a picture may take for each pixel that is allowed, beside a part for any picture."""
_LARGE_PIXELS = 4_000_000
"""After a picture with more, the memory goes back to the system; after each it would take a fifth of the time."""


def serve() -> None:
    """Decode pictures until the worker is gone. This is the entry point of the child."""
    from PIL import AvifImagePlugin, Image

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it reaches the whole group; the worker decides
    use_one_heap()
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # the other cores belong to the model
    Image.MAX_IMAGE_PIXELS = None  # `max_pixels` is the limit
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    start_bytes = _address_space_bytes()
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            options = read_object(source)
            data = read(source, options["bytes"])
            _limit(options["cpu_s"], start_bytes + options["base_bytes"] + _BYTES_PER_PIXEL * options["max_pixels"])
            if _answer(sink, data, options["max_pixels"]) > _LARGE_PIXELS:
                give_back_memory()


def _answer(sink: IO[bytes], data: bytes, max_pixels: int) -> int:
    """Answer with the picture or the error; return the pixels that it had."""
    try:
        decoded = decode_image(data, max_pixels=max_pixels)
    except BadInput as error:
        write(sink, {"template": error.template, "values": error.values})
        return max_pixels
    write(sink, {"shown": decoded.image.size, "size": decoded.size}, decoded.image.tobytes())
    return decoded.size[0] * decoded.size[1]


def _limit(cpu_s: int, memory_bytes: int) -> None:
    """Let the system end this process after some seconds of computing, and refuse it memory beyond a limit."""
    with contextlib.suppress(ImportError, AttributeError, ValueError, OSError):  # not on Windows, in part on macOS
        import resource

        used_s = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (int(used_s) + 1 + cpu_s, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, resource.RLIM_INFINITY))


def _address_space_bytes() -> int:
    """Return the size of this process's address space; 0 where only Linux tells."""
    with contextlib.suppress(OSError, AttributeError):
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return 0


if __name__ == "__main__":
    serve()
