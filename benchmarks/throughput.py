"""Compare `hubcord sentiment -` with the best offline use of the same model.

    python -m benchmarks.throughput [--lines 400] [--rounds 3] [--json]

hubcord: the whole command line, its queue and its worker process, 64 jobs in flight, fed through a pipe after one line
to warm up. Offline: `transformers.pipeline` over the same texts sorted by length, in this process, with the batch size
that is best for it. Rounds alternate, so that a noisy machine disturbs both alike; the best round of each counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any, Self

from benchmarks.texts import mixed_texts
from bot.bundled.prepare import prepare

MODEL = "minilm-sentiment"
BATCH_SIZES = (4, 8, 16, 32, 64)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(mixed_texts(options.lines), options.rounds)
    if options.json:
        print(json.dumps(result))
        return
    print(f"{options.lines} lines, best of {options.rounds} rounds, lines a second:")
    print(f"  offline, sorted, batches of {result['offline_batch_size']:>2}: {result['offline']:8.1f}")
    print(f"  hubcord sentiment -          : {result['hubcord']:8.1f}")
    print(f"  ratio                        : {result['ratio']:8.2f}")


def measure(texts: list[str], rounds: int) -> dict[str, Any]:
    """Return lines per second of both, and their ratio."""
    offline = Offline()
    size = offline.best_batch_size(texts)
    with Hubcord() as hubcord:
        pairs = [(offline.rate(texts, size), hubcord.rate(texts)) for _ in range(rounds)]
    best_offline, best_hubcord = (max(rates) for rates in zip(*pairs, strict=True))
    return {
        "lines": len(texts),
        "offline": best_offline,
        "offline_batch_size": size,
        "hubcord": best_hubcord,
        "ratio": best_hubcord / best_offline,
    }


class Offline:
    """Hold the pipeline of transformers with the bundled model."""

    def __init__(self) -> None:
        from transformers import pipeline

        folder = prepare([MODEL])[MODEL]
        self._pipeline = pipeline("sentiment-analysis", model=str(folder), top_k=None)
        self._pipeline(["warm up"] * 8, batch_size=8)

    def best_batch_size(self, texts: list[str]) -> int:
        """Return the batch size with the highest rate."""
        return max(BATCH_SIZES, key=lambda size: self.rate(texts, size))

    def rate(self, texts: list[str], batch_size: int) -> float:
        """Return texts per second, sorted by length as nobody but an offline job can."""
        started = time.perf_counter()
        self._pipeline(sorted(texts, key=len), batch_size=batch_size, truncation=True)
        return len(texts) / (time.perf_counter() - started)


class Hubcord:
    """Hold a running `hubcord sentiment -`."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "bot", "sentiment", "-", "--json", "--model", f"bundled:{MODEL}"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.rate(["warm up"] * 64)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def rate(self, texts: list[str]) -> float:
        """Return lines per second from the first byte in to the last answer out."""
        assert self._process.stdin
        assert self._process.stdout
        started = time.perf_counter()
        self._process.stdin.write("\n".join(texts) + "\n")
        self._process.stdin.flush()
        for _ in texts:
            json.loads(self._process.stdout.readline())
        return len(texts) / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
