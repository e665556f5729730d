"""Test what a worker process says by itself."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from bot.machine.device import Device
from bot.workers.inbox import Inbox
from bot.workers.main import Worker
from bot.workers.model_cache import ModelCache
from bot.workers.protocol import RunBatch, Stop, Unloaded
from tests.models.tiny_models import tiny_sentiment

QUIET = f"""
from bot.workers.main import _quiet_libraries
_quiet_libraries({logging.WARNING})
from huggingface_hub.utils import logging
logging.get_logger("huggingface_hub.utils._http").warning("Retrying in 1s")
"""


def test_the_hub_library_says_nothing_of_its_retries() -> None:
    run = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, check=True, timeout=60)
    assert run.stderr == b""


def test_idle_models_are_unloaded_while_batches_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.workers.main._IDLE_CHECK_S", 0.0)
    inbox, cache = Inbox(Mock(), end=Mock()), Mock()
    told: list[Any] = []
    monkeypatch.setattr(inbox, "send", told.append)
    cache.unload_idle.side_effect = [True, False]
    cache.sizes = {"warm": 1}
    worker = Worker(inbox, cache, Mock(idle_unload_s=1.0))
    monkeypatch.setattr(worker, "_run", lambda _message: None)
    for message in (Mock(spec=RunBatch), Stop()):
        inbox.runs.put(message)
    worker.serve()
    assert told == [Unloaded({"warm": 1})]


def test_a_model_is_idle_from_the_end_of_its_batch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    now = [1_000.0]
    monkeypatch.setattr("bot.workers.model_cache.time.monotonic", lambda: now[0])
    cache = ModelCache(Device("cpu", threads=1, precision="fp32"), budget_bytes=1 << 30, idle_unload_s=60.0)
    reference = f"path:{tiny_sentiment(tmp_path / 'tiny')}"
    with cache.in_use():
        cache.get(reference, lambda _files, _device: object())
        now[0] += 100.0
    assert not cache.unload_idle()
    now[0] += 61.0
    assert cache.unload_idle()
