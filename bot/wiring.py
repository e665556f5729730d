"""Put the parts together: the only place that knows which executor and store are used."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bot.config import Settings
from bot.engine.engine import Engine
from bot.store.base import NoStore, Store
from bot.workers.local import LocalExecutor
from bot.workers.main import WorkerOptions

if TYPE_CHECKING:
    from bot.store.sql import SqlStore


def make_engine(settings: Settings, *, store: Store | None = None, eager: bool = True) -> Engine:
    """Return an engine with one local worker for each configured device; without a store, jobs aren't kept.

    Workers start with an `eager` engine, else with their first job.
    """
    level = logging.getLogger().getEffectiveLevel()
    workers = [
        WorkerOptions(device, settings.tasks, settings.devices.idle_unload_s, level, settings.hub.trusted_torchhub)
        for device in settings.devices.devices()
    ]
    executor = LocalExecutor(workers, job_timeout_s=settings.queue.job_timeout_s, eager=eager)
    return Engine(executor=executor, store=store or NoStore(), tasks=settings.tasks, limits=settings.queue)


def make_store(settings: Settings) -> SqlStore:
    """Return the store that the settings name."""
    from bot.store.sql import SqlStore

    return SqlStore(settings.store.url, keep_days=settings.store.keep_days)
