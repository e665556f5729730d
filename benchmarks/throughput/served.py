"""Ask another serving engine over HTTP on loopback; its server runs in a process of its own."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import IO, Any

import aiohttp
import psutil

from benchmarks.throughput.case import Case
from benchmarks.throughput.engine import Sample, ask_all

_START_S, _STOP_S = 180.0, 20.0
Setting = tuple[int, float]


class Served:
    """Measure the server of a module of this package; `package` is what it needs installed."""

    settings: Sequence[Setting] = ((4, 0.005), (8, 0.005), (16, 0.005), (32, 0.005), (16, 0.05))

    def __init__(self, name: str, module: str, package: str) -> None:
        self.name = name
        self._module = f"benchmarks.throughput.{module}"
        self._package = package

    @property
    def installed(self) -> bool:
        """Say whether the engine can be imported."""
        return importlib.util.find_spec(self._package) is not None

    async def run(self, case: Case, setting: Setting) -> Sample:
        """Measure with a server of its own; `setting` is the largest batch, and how long it is waited for."""
        async with _server(self._module, case, setting) as url, aiohttp.ClientSession() as session:

            async def ask(item: str) -> None:
                async with session.post(url, json={"item": item}) as response:
                    response.raise_for_status()
                    await response.read()

            return await ask_all(case, ask)


@asynccontextmanager
async def _server(module: str, case: Case, setting: Setting) -> AsyncIterator[str]:
    """Start a server and yield its address when it answers; afterwards end it with all that it started."""
    port = _free_port()
    with tempfile.TemporaryFile() as log:
        process = _start([module, case.task, case.folder, case.threads, port, *setting], log)
        try:
            url = f"http://127.0.0.1:{port}/predict"
            await _wait_until_it_answers(url, process, case.items[0])
            yield url
        except TimeoutError:
            log.seek(0)
            raise RuntimeError(f"{module} didn't start: {log.read()[-2_000:].decode(errors='replace')}") from None
        finally:
            await asyncio.to_thread(_end, process)


def _start(values: Sequence[Any], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", *map(str, values)], stdout=log, stderr=log, env=_environment())


async def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], item: str) -> None:
    async with asyncio.timeout(_START_S), aiohttp.ClientSession() as session:
        while process.poll() is None:
            try:
                async with session.post(url, json={"item": item}) as response:
                    if response.ok:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)
    raise TimeoutError


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end, and kill what is left of it."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGINT)
    _, left = psutil.wait_procs([*family, psutil.Process(process.pid)] if process.poll() is None else [], _STOP_S)
    for child in left:
        child.kill()
    process.wait()


def _environment() -> dict[str, str]:
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "TOKENIZERS_PARALLELISM": "false", "NO_PROXY": "127.0.0.1,localhost"}
    return {**os.environ, **quiet}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
