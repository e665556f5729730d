"""Test that an answer comes once whatever fails: in the channel, else by direct message, else the host reads why not.

Each step fails in each way, while all ways before it are shut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from simcord import ChannelHandle, Env, InteractionResult, MemberActor

from tests.fakes.executor import FakeDevice
from tests.fakes.faults import CUT, PAGE, Fault, Faults
from tests.fakes.seen import message

SHUT = Fault([(403, 50013)], for_ever=True)
TOKEN_GONE = Fault([(401, 50027)], for_ever=True)
MAYBE = "trouble, then missing permissions"
REFUSING = {
    "missing permissions": SHUT,
    "unknown channel": Fault([(404, 10003)], for_ever=True),
    "unknown webhook": Fault([(404, 10015)], for_ever=True),
    "archived thread": Fault([(400, 50083)], for_ever=True),
    MAYBE: Fault([(500, 0), (403, 50013)], for_ever=True),
}
PASSING = {
    "trouble for long": Fault([(502, 0)] * 4),
    "too many requests": Fault([(429, 0), (403, 40003)]),
    "a page of something in between": Fault([(403, 0), (404, 0)]),
    "a page as if it were done": Fault([PAGE] * 2),
    "cut off": Fault([CUT]),
    "cut off when it was done": Fault([CUT], after=True),
}
WAITS_S = (5, 30, 120, 600)
PUBLIC = {
    "token": ("original", "late", ()),
    "post": ("late", "original", ("token",)),
    "put": ("late", "original", ("token",)),
    "original": ("original", "direct", ("token", "post")),
    "open": ("direct", None, ("token", "post", "original")),
    "post directly": ("direct", None, ("token", "post", "original")),
    "put directly": ("direct", None, ("token", "post", "original")),
}
"""The steps of a public answer: where it is when one works at last, where when it is refused, what is shut before."""
PRIVATE = {
    "token": ("original", "direct", ()),
    "open": ("direct", "told", ("token",)),
    "post directly": ("direct", "told", ("token",)),
    "put directly": ("direct", "told", ("token",)),
    "post": ("told", None, ("token", "open")),
}
"""The same of a private one; "told" is a line in the channel, without a word of the answer."""


class Scene:
    """Let alice ask for something that stays on the device, and what is done for its answer fail."""

    def __init__(
        self, env: Env, alice: MemberActor, channel: ChannelHandle, device: FakeDevice, faults: Faults
    ) -> None:
        self._env, self._alice, self._channel, self._device, self._faults = env, alice, channel, device, faults
        self._result: InteractionResult

    async def ask(self, *, private: bool) -> None:
        """Ask, in a way whose answer is private or not."""
        self._device.hold()
        if private:
            said = await self._alice.send(self._channel, "Bom dia")
            self._result = await self._alice.context_menu(self._channel, "Translate", said)
        else:
            self._result = await self._alice.slash(self._channel, "imagine", prompt="a cat")

    def fail(self, step: str, fault: Fault) -> None:
        """Let a step fail from now on."""
        channel, original = f"/channels/{self._channel.id}/messages", message(self._result).id
        direct = f"/channels/{self._alice.user.dm_channel.id}/messages"
        requests = {
            "token": "PATCH /webhooks/.*/@original",
            "post": f"POST {channel}",
            "put": f"PATCH {channel}/(?!{original}$).*",
            "original": f"PATCH {channel}/{original}",
            "open": "POST /users/@me/channels",
            "post directly": f"POST {direct}",
            "put directly": f"PATCH {direct}/.*",
        }
        self._faults.add(requests[step], fault)

    async def finish(self) -> list[str]:
        """Let the job end and its answer be tried for some time; return where it is."""
        self._device.release()
        await self._env.settle()
        for wait_s in WAITS_S:
            await self._env.advance_time(wait_s)
        return [*self._places()]

    def _places(self) -> Iterator[str]:
        if message(self._result).embeds:
            yield "original"
        for said in self._channel.history():
            if said.embeds and said.id != message(self._result).id:
                yield "late"
            elif "I can't send you your answer" in said.content:
                yield "told"
        yield from ("direct" for said in self._alice.user.dm_channel.history() if said.embeds)


@pytest.fixture
def scene(
    env: Env, alice: MemberActor, channel: ChannelHandle, device: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> Scene:
    return Scene(env, alice, channel, device, Faults(monkeypatch))


@pytest.mark.parametrize("fault", [*REFUSING, *PASSING])
@pytest.mark.parametrize("step", PUBLIC)
async def test_a_public_answer(scene: Scene, step: str, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    await scene.ask(private=False)
    await _check(scene, PUBLIC, step, fault, caplog)


@pytest.mark.parametrize("fault", [*REFUSING, *PASSING])
@pytest.mark.parametrize("step", PRIVATE)
async def test_a_private_answer(scene: Scene, step: str, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    await scene.ask(private=True)
    await _check(scene, PRIVATE, step, fault, caplog)


async def _check(
    scene: Scene,
    steps: Mapping[str, tuple[str, str | None, tuple[str, ...]]],
    step: str,
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    works, refused, shut = steps[step]
    for other in shut:
        scene.fail(other, TOKEN_GONE if other == "token" else SHUT)
    scene.fail(step, REFUSING.get(fault) or PASSING[fault])
    may_be_there = steps is PUBLIC and (step, fault) == ("token", MAYBE)
    expected = refused if fault in REFUSING and not may_be_there else works
    assert await scene.finish() == [expected] * (expected is not None)
    if expected in (None, "told"):
        assert any(
            record.levelname == "WARNING" and "the answer of job" in record.getMessage() for record in caplog.records
        )
