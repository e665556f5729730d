"""Test that the host reads why a model can't be had, once for each reason."""

from __future__ import annotations

import pytest

from bot.engine.engine import Engine
from bot.errors import ModelUnavailable
from bot.hub.access import model_unavailable
from bot.hub.reference import parse_reference
from bot.tasks.base import Failure
from tests.engine.engines import ask
from tests.fakes.executor import FakeDevice


def missing(hint: str, reason: str, name: str = "a/b") -> ModelUnavailable:
    return model_unavailable(parse_reference(f"hf:{name}"), hint, reason=reason)


async def test_one_reason_is_logged_once_and_another_one_again(
    engine: Engine, device: FakeDevice, caplog: pytest.LogCaptureFixture
) -> None:
    """The start was told first, then jobs fail, in whichever worker."""
    engine.failure_log.log_once(missing("Gated.", "GatedRepoError"))
    for error in (missing("Gated.", "GatedRepoError"), missing("Try 1.", "5xx"), missing("Try 2.", "5xx")):
        device.answers(Failure(error))
        job = await ask(engine)
        with pytest.raises(ModelUnavailable):
            await job.outcome()
    engine.failure_log.log_once(missing("Gated.", "GatedRepoError", "a/c"))
    assert caplog.messages == ["hf:a/b: Gated.", "hf:a/b: Try 1.", "hf:a/c: Gated."]
