"""Measure how long the first answer takes: with an empty cache, with a full one, and with the model in memory.

    python -m benchmarks.first_answer [--rounds 3] [--json]

A DistilBERT of full size (268 MB, random weights) is served as a Hub on this machine, without any delay: what a real
network adds is its own. Each round is a process of its own, with a worker process as in real life; the clock of the
first two starts with it. The medians count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.throughput.checkpoints import distilbert
from bot.config import parse_settings
from bot.engine.job import Requester
from bot.tasks.sentiment.task import SentimentRequest
from bot.wiring import make_engine
from tests.hub.finding import hub_environment
from tests.hub.loopback_hub import LoopbackHub, serve_hub

_NAMES = {"cold": "cold cache", "warm": "warm cache", "loaded": "model in memory"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        print(json.dumps(asyncio.run(ask(options.ask))))
        return
    result = measure(options.rounds)
    if options.json:
        print(json.dumps(result))
        return
    for key, seconds in result.items():
        print(f"{_NAMES[key]:>16}: {seconds:7.3f} s")


def measure(rounds: int) -> dict[str, float]:
    """Return the seconds of each case."""
    cold, warm, loaded = [], [], []
    with tempfile.TemporaryDirectory() as folder, serve_hub() as hub:
        reference = f"hf:org/model@{hub.add('org/model', distilbert(Path(folder) / 'model'))}"
        for number in range(rounds):
            home = Path(folder) / f"home{number}"
            cold.append(start(hub, home, reference)[0])
            hub.requests.clear()
            first, later = start(hub, home, reference)
            warm.append(first)
            loaded.append(later)
            if hub.requests:
                raise RuntimeError(f"a warm start asked the Hub: {hub.requests}")
    return {"cold": median(cold), "warm": median(warm), "loaded": median(loaded)}


def start(hub: LoopbackHub, home: Path, reference: str) -> tuple[float, float]:
    """Ask twice in a new process; return the seconds from its start to the first answer, and those of the second."""
    started = time.time()
    command = [sys.executable, "-m", "benchmarks.first_answer", "--ask", reference]
    done = subprocess.run(command, env=hub_environment(hub, home), stdout=subprocess.PIPE, text=True, check=True)
    answered_at, later = json.loads(done.stdout)
    return answered_at - started, later


async def ask(reference: str) -> tuple[float, float]:
    """Ask twice; return the time of the first answer and the seconds of the second."""
    settings = parse_settings({"sentiment": {"models": [reference]}, "devices": {"use": ["cpu"], "precision": "fp32"}})
    engine = make_engine(settings)
    await engine.start()
    request = SentimentRequest(model=reference, text="What a lovely day.")
    await (await engine.submit("sentiment", request, Requester(user_id=1))).outcome()
    answered_at = time.time()
    await (await engine.submit("sentiment", request, Requester(user_id=1))).outcome()
    later = time.time() - answered_at
    await engine.close()
    return answered_at, later


if __name__ == "__main__":
    main()
