"""Compare hubcord with the naive way, LitServe, Ray Serve and the best offline use of the same model.

    python -m benchmarks.throughput [--model distilbert] [--model minilm] [--model resnet50] [--lines 400]
                                    [--rounds 3] [--threads 2] [--precision fp32] [--precision int8] [--busy 1] [--json]

One set of mixed-length texts (or JPEG files), 64 in flight, the same checkpoint and threads for all, one engine at a
time. The oracle is transformers' pipeline over length-sorted texts with its best batch size. LitServe and Ray Serve
come with `pip install -e '.[benchmarks]'`; they run with each of five settings first, and the best one counts. With
--busy, that many other programs compute beside, as on a machine that does other things, too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.texts import mixed_texts
from benchmarks.throughput import checkpoints
from benchmarks.throughput.case import Case
from benchmarks.throughput.engine import Engine
from benchmarks.throughput.hubcord import Hubcord
from benchmarks.throughput.measure import Figures, measure
from benchmarks.throughput.offline import Naive, Oracle
from benchmarks.throughput.served import Served

MODELS = ("distilbert", "minilm", "resnet50")
OTHERS = (Served("litserve", "litserve_server", "litserve"), Served("ray serve", "ray_server", "ray"))


def main() -> None:
    """Measure and print."""
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that servers are ended then too
    with tempfile.TemporaryDirectory() as folder:
        cases = [_case(name, Path(folder) / name, options.lines, options.threads) for name in options.model]
        with busy_programs(options.busy):
            results = {
                case.name: asyncio.run(measure(case, _engines(options), options.rounds, _note)) for case in cases
            }
    if options.json:
        print(json.dumps({name: [figures.as_dict() for figures in found] for name, found in results.items()}))
        return
    for name, found in results.items():
        Console().print(_table(f"{name}, {options.lines} jobs, {options.threads} threads", found))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("--lines", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--precision", action="append", choices=("fp32", "bf16", "int8", "auto"))
    parser.add_argument(
        "--engine", action="append", help="only these, and the oracle; hubcord's name has the precision"
    )
    parser.add_argument("--busy", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.model = options.model or ["distilbert"]
    options.precision = options.precision or ["fp32", "int8"]
    return options


def _case(name: str, folder: Path, count: int, threads: int) -> Case:
    if name == "resnet50":
        return Case(name, "classify", checkpoints.resnet50(folder), checkpoints.pictures(count), threads)
    made = checkpoints.distilbert(folder) if name == "distilbert" else checkpoints.bundled_sentiment()
    return Case(name, "sentiment", made, mixed_texts(count), threads)


def _engines(options: argparse.Namespace) -> list[Engine]:
    for other in OTHERS:
        if not other.installed:
            _note(f"{other.name} isn't installed and is left out; pip install -e '.[benchmarks]' brings it")
    hubcord = [Hubcord(precision) for precision in options.precision]
    engines: list[Engine] = [Oracle(), *hubcord, Naive(), *(other for other in OTHERS if other.installed)]
    return [engine for engine in engines if engine.name in ("oracle", *(options.engine or [e.name for e in engines]))]


@contextlib.contextmanager
def busy_programs(count: int) -> Iterator[None]:
    """Run programs that compute without end, each in a session of its own: Linux shares the cores among sessions."""
    endless = [sys.executable, "-c", "while True: pass"]
    programs = [subprocess.Popen(endless, start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _table(title: str, found: list[Figures]) -> Table:
    table = Table("engine", "setting", "jobs/s", "p50 ms", "p99 ms", "of the oracle", title=title)
    for figures in found:
        setting = "" if figures.setting is None else str(figures.setting)
        table.add_row(
            figures.engine, setting, *map(_shown, (figures.jobs_s, figures.p50_ms, figures.p99_ms)),
            "" if figures.ratio is None else f"{figures.ratio:.2f}",
        )  # fmt: skip
    return table


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    main()
