"""Try mutated pictures of all formats on the decoder, and print the worst time and memory.

    python -m benchmarks.fuzz_pictures [--count 20000] [--seed 1] [--keep FOLDER]

Each is decoded as a worker does it, in the child process with its limits. Files that ended the child, or raised what
isn't for people, are kept in a folder.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

from bot.errors import BadInput
from bot.tasks.images.decoder import ImageDecoder
from tests.tasks.images.mutations import mutated

_MAX_PIXELS = 50_000_000
_SLOWEST_SHOWN = 3


class Fuzz:
    """Count what becomes of pictures."""

    def __init__(self, keep: Path) -> None:
        self.outcomes: Counter[str] = Counter()
        self.times: list[tuple[float, int]] = []
        self.peak_kb = 0
        self._keep = keep
        self._decoder = ImageDecoder()

    def run(self, count: int, seed: int) -> None:
        """Decode them one after another."""
        for number, data in enumerate(mutated(count, seed)):
            started = time.perf_counter()
            outcome, harmless = self._outcome(data)
            self.times.append((time.perf_counter() - started, number))
            self.outcomes[outcome] += 1
            if not harmless:
                self._keep.mkdir(parents=True, exist_ok=True)
                (self._keep / f"{seed}-{number}.bin").write_bytes(data)
        self._decoder.close()

    def _outcome(self, data: bytes) -> tuple[str, bool]:
        child = self._decoder.pid
        try:
            self._decoder.decode(data, max_pixels=_MAX_PIXELS)
        except BadInput as error:
            ended = child is not None and self._decoder.pid != child
            self._look()
            return f"{'ENDED THE CHILD: ' if ended else ''}{error}", not ended
        except Exception as error:  # noqa: BLE001 - that is what we look for
            return f"RAISED {error!r}", False
        self._look()
        return "decoded", True

    def _look(self) -> None:
        """Note the child's peak memory, where Linux tells it."""
        status = Path(f"/proc/{self._decoder.pid}/status")
        if status.exists():
            lines = status.read_text(encoding="ascii").splitlines()
            peak = next((line.split()[1] for line in lines if line.startswith("VmHWM")), "0")
            self.peak_kb = max(self.peak_kb, int(peak))


def main() -> None:
    """Try and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("fuzz"))
    options = parser.parse_args()
    fuzz = Fuzz(options.keep)
    fuzz.run(options.count, options.seed)
    for outcome, count in fuzz.outcomes.most_common():
        print(f"{count:7} {outcome}")
    slowest = sorted(fuzz.times, reverse=True)[:_SLOWEST_SHOWN]
    print("slowest: " + ", ".join(f"{1_000 * seconds:.0f} ms (number {number})" for seconds, number in slowest))
    print(f"peak memory of the child: {fuzz.peak_kb / 1e3:.0f} MB")


if __name__ == "__main__":
    main()
