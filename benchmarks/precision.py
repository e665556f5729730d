"""Measure what "auto" measures: models in fp32, bf16 and int8, on the inputs that decide, in the processor's time.

    python -m benchmarks.precision [--threads 1]

What was remembered before isn't looked at, and nothing is remembered.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.throughput import checkpoints
from bot.bundled.models import CACHE_VARIABLE
from bot.bundled.prepare import prepare
from bot.hub.resolve import find_model
from bot.machine.device import Device
from bot.tasks.classify.pipeline import load_classifier
from bot.tasks.sentiment.pipeline import _TextClassifier
from bot.tasks.translate.translator import Translator

BUNDLED: dict[str, Callable[..., Any]] = {
    "minilm-sentiment": _TextClassifier,
    "bergamot-en-pt": partial(Translator, prefixes={}),
    "bergamot-pt-en": partial(Translator, prefixes={}),
    "efficientnet-lite0": load_classifier,
}


def main() -> None:
    """Measure; the log tells the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    device = Device("cpu", parser.parse_args().threads, precision="auto")
    device.open()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("bot.cpu.choice").setLevel(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        loaders = _loaders(Path(folder))
        os.environ[CACHE_VARIABLE] = folder
        for path, load in loaders.items():
            load(find_model(f"path:{path}"), device)


def _loaders(folder: Path) -> dict[Path, Callable[..., Any]]:
    """Return what loads each folder: the bundled models, and two of full size with random weights."""
    found = {prepare([name])[name]: load for name, load in BUNDLED.items()}
    made = {checkpoints.distilbert: _TextClassifier, checkpoints.resnet50: load_classifier}
    return found | {make(folder / make.__name__): load for make, load in made.items()}


if __name__ == "__main__":
    main()
