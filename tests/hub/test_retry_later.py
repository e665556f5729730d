"""Test that a model that can't be had isn't asked for again at once."""

from __future__ import annotations

import contextlib

import pytest

from bot.errors import ModelUnavailable
from bot.hub import retry_later as missing
from bot.hub.access import until
from bot.hub.retry_later import MissingModels


class Clock:
    """Stand in for the time."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(missing, "time", clock)
    return clock


def ask(models: MissingModels, error: ModelUnavailable | None, clock: Clock, takes_s: float = 3.0) -> bool:
    """Ask for a model that `error` keeps away after a while; return whether it was looked for."""
    looked = False
    with contextlib.suppress(ModelUnavailable), models.asked_seldom("hf:a/b"):
        looked = True
        clock.now += takes_s
        if error:
            raise error
    return looked


def test_it_is_looked_for_again_after_a_while_or_when_the_hub_said(clock: Clock) -> None:
    models = MissingModels()
    assert ask(models, ModelUnavailable("No.", hint="x"), clock)
    clock.now += 29
    assert not ask(models, None, clock)
    clock.now += 2
    assert ask(models, ModelUnavailable("No.", hint="x", retry_after_s=120), clock)
    clock.now += 119
    assert not ask(models, None, clock)
    clock.now += 2
    assert ask(models, None, clock)
    assert ask(models, None, clock)


def test_who_asks_later_has_less_long_to_wait(clock: Clock) -> None:
    models = MissingModels()
    assert ask(models, ModelUnavailable("Wait {wait}.", hint="x", **until(3_600)), clock)
    clock.now += 1_800
    with pytest.raises(ModelUnavailable, match="Wait 30 minutes") as error, models.asked_seldom("hf:a/b"):
        pass
    assert error.value.values["retry_after_s"] == 1_800


def test_a_hub_that_is_away_keeps_the_device_for_a_tenth_of_the_time_at_most(clock: Clock) -> None:
    models = MissingModels()
    assert ask(models, ModelUnavailable("No.", hint="x"), clock, takes_s=46.0)
    clock.now += 119
    assert not ask(models, None, clock)
    clock.now += 2
    assert ask(models, ModelUnavailable("No.", hint="x"), clock, takes_s=0.0)
    assert ask(models, None, clock), "what fails at once is looked for again at once"
