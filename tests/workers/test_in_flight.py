"""Test how long the batches of a worker count as silent."""

from __future__ import annotations

import pytest

from bot.workers.executor import WorkerDied
from bot.workers.in_flight import InFlight, PendingBatch
from bot.workers.protocol import BatchReport, Loading, Started

LONG_AGO = -1_000.0


def added(batches: InFlight) -> tuple[int, PendingBatch]:
    number, pending = batches.add(lambda _: None)
    pending.heard_at += LONG_AGO
    return number, pending


async def test_a_guest_is_a_sign_of_life_of_the_batch_that_it_runs_inside_of() -> None:
    batches = InFlight()
    _, host = added(batches)
    guest, inside = added(batches)
    batches.on_events(guest, [Started()])
    assert max(host.silent_s, inside.silent_s) < 100


async def test_a_batch_is_no_sign_of_life_of_its_guest() -> None:
    batches = InFlight()
    number, _ = added(batches)
    _, guest = added(batches)
    batches.on_events(number, [Started()])
    assert guest.silent_s > 100


async def test_guests_do_not_hide_that_a_model_hangs_while_it_is_loaded() -> None:
    batches = InFlight()
    number, host = added(batches)
    batches.on_events(number, [Loading("m")])
    host.heard_at += LONG_AGO
    guest, _ = added(batches)
    batches.on_events(guest, [Started()])
    batches.on_events(guest, [BatchReport(1.0)])
    assert host.silent_s > 100
    batches.on_events(number, [Started()])
    assert host.silent_s < 100


async def test_a_lost_worker_fails_all_its_batches() -> None:
    batches = InFlight()
    (_, first), (_, second) = added(batches), added(batches)
    batches.fail(WorkerDied())
    for pending in (first, second):
        with pytest.raises(WorkerDied):
            await pending.report
    assert len(batches) == 0
