"""Choose how finely a model computes on the CPU: fp32, bf16 or int8.

On a GPU the weights' dtype says it all (`Device.dtype`). On the CPU "auto" measures once for each model and machine
which one is fastest and keeps the answers, and remembers it.
"""

from __future__ import annotations

import copy
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from bot.cpu.folded import folded
from bot.cpu.int8 import quantised
from bot.cpu.packed import packed
from bot.cpu.remembered import Remembered, choice_key
from bot.hub.resolve import ModelFiles
from bot.machine.device import Device, Precision

log = logging.getLogger(__name__)
Probe = Callable[[Any], Any]
"""Runs a model, or a copy of it in another precision, on representative inputs; returns logits (..., labels)."""

measuring = threading.Event()
"""Set while precisions are measured: nothing else should compute."""
_LOOK_S = 0.01
_BUDGET_S = 1.5
_MOST_ROUNDS = 10
_MOST_DIFFERENCE = 0.02
"""Of probabilities: the largest of a row's, as the mean of all rows. docs/performance.md tells what it means."""
_WORTHWHILE = 1.1
CHOICES: tuple[Precision, ...] = get_args(Precision)
_UNFIT = (RuntimeError, TypeError, ValueError, AttributeError)


def fit(model: Any, make_probe: Callable[[Any], Probe], files: ModelFiles, device: Device) -> Any:
    """Return a loaded model in the precision that the device asks for; `make_probe` is called to try it."""
    if device.name != "cpu":
        return model  # loaded in Device.dtype
    model = folded(model, make_probe)
    if device.precision != "auto":
        return converted(model, device.precision)
    remembered, key = Remembered(), choice_key(files)
    choice = remembered.get(key)
    if choice is None:
        log.info("measuring the precisions of %s", files.shown)
        choice = choose(model, make_probe(model))
        remembered.put(key, choice)
    log.info("%s computes in %s", files.shown, choice)
    return converted(model, choice)


def converted(model: Any, precision: Precision) -> Any:
    """Return a model as it computes fastest in a precision, and leave the original as it is."""
    if precision == "int8":
        return quantised(model)
    return packed(model if precision == "fp32" else copy.deepcopy(model).bfloat16())


def wait_for_measuring() -> None:
    """Wait while precisions are measured in another thread."""
    while measuring.is_set():
        time.sleep(_LOOK_S)


def choose(model: Any, probe: Probe) -> Precision:
    """Return the fastest precision that keeps the answers; one that gains less than a tenth isn't worth it."""
    variants = {precision: converted(model, precision) for precision in CHOICES}
    measuring.set()
    try:
        measured = _measure(variants, probe)
    finally:
        measuring.clear()
    right = measured["fp32"]
    seconds = {precision: m.seconds for precision, m in measured.items() if m.agrees_with(right)}
    log.info("measured %s", ", ".join(f"{p} {1_000 * m.seconds:.1f} ms" for p, m in measured.items()))
    best = min(seconds, key=lambda precision: seconds[precision])
    return best if right.seconds > _WORTHWHILE * seconds[best] else "fp32"


@dataclass(slots=True)
class _Measured:
    """Hold the probabilities (..., labels) that a precision answers with, None if it can't, and its best time.

    The seconds are the processor's: other programs that share it shall not decide what is remembered.
    """

    answers: Any = None
    seconds: float = math.inf

    def agrees_with(self, right: _Measured) -> bool:
        """Say whether the answers are nearly the right ones; not-a-number never is."""
        if self.answers is None or right.answers is None:
            return self is right
        differences = (self.answers - right.answers).abs().amax(-1)
        return bool(differences.mean() <= _MOST_DIFFERENCE) or self is right


def _measure(variants: Mapping[Precision, Any], probe: Probe) -> dict[Precision, _Measured]:
    """Run the probe on each variant in alternating rounds, so that a noisy machine disturbs all alike.

    The first round checks the answers and warms up; there are more while the budget of time lasts.
    """
    measured = {precision: _Measured() for precision in variants}
    end = time.monotonic() + _BUDGET_S
    for _ in range(_MOST_ROUNDS):
        for precision, variant in variants.items():
            _run(variant, probe, measured[precision])
        if time.monotonic() >= end:
            break
    return measured


def _run(variant: Any, probe: Probe, measured: _Measured) -> None:
    """Run the probe once; a model with a layer that can't compute so (which only running it tells) is unfit."""
    import torch

    started = time.process_time()
    try:
        with torch.inference_mode():
            logits = probe(variant).float()
    except _UNFIT as error:
        log.debug("unfit: %s", error)
        return
    measured.seconds = min(measured.seconds, time.process_time() - started)
    measured.answers = logits.softmax(-1) if logits.shape[-1] > 1 else logits.sigmoid()
