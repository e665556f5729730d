"""Test how long the batches of a worker count as silent."""

from __future__ import annotations

import pytest

from bot.workers.executor import WorkerDied
from bot.workers.in_flight import Flight, Flights
from bot.workers.protocol import BatchReport, Loading, Started

LONG_AGO = -1_000.0


def in_flight(flights: Flights) -> tuple[int, Flight]:
    number, flight = flights.add(lambda _: None)
    flight.heard_at += LONG_AGO
    return number, flight


async def test_a_guest_is_a_sign_of_life_of_the_batch_that_it_runs_inside_of() -> None:
    flights = Flights()
    _, host = in_flight(flights)
    guest, inside = in_flight(flights)
    flights.hear(guest, [Started()])
    assert max(host.silent_s, inside.silent_s) < 100


async def test_a_batch_is_no_sign_of_life_of_its_guest() -> None:
    flights = Flights()
    number, _ = in_flight(flights)
    _, guest = in_flight(flights)
    flights.hear(number, [Started()])
    assert guest.silent_s > 100


async def test_guests_do_not_hide_that_a_model_hangs_while_it_is_loaded() -> None:
    flights = Flights()
    number, host = in_flight(flights)
    flights.hear(number, [Loading("m")])
    host.heard_at += LONG_AGO
    guest, _ = in_flight(flights)
    flights.hear(guest, [Started()])
    flights.hear(guest, [BatchReport(1.0)])
    assert host.silent_s > 100
    flights.hear(number, [Started()])
    assert host.silent_s < 100


async def test_a_lost_worker_fails_all_its_batches() -> None:
    flights = Flights()
    (_, first), (_, second) = in_flight(flights), in_flight(flights)
    flights.fail(WorkerDied())
    for flight in (first, second):
        with pytest.raises(WorkerDied):
            await flight.report
    assert len(flights) == 0
