"""Test that what the bot sends is what Discord describes, and that the checks find what it forbids.

The fixture `env` holds every request of every test against the description and the rules.
"""

from __future__ import annotations

from typing import Any

import pytest
from simcord import ChannelHandle, Env, MemberActor
from simcord.types import HttpLogEntry

from tests.fakes.description import Description, load_description
from tests.fakes.executor import FakeDevice
from tests.fakes.rules import command_problems, message_problems, problems
from tests.fakes.seen import commands, message
from tests.fakes.simulation import check_requests

EDIT = "/webhooks/1/token/messages/@original"
SILENT: dict[str, Any] = {"allowed_mentions": {"parse": []}}
OPTION = {"type": 3, "name": "text", "description": "The text"}
COMMAND = {"type": 1, "name": "sentiment", "description": "Tell the mood", "options": [OPTION]}
MENU = {"type": 3, "name": "Classify image"}


def _sent(path: str, json: Any, *, method: str = "PATCH") -> HttpLogEntry:
    return HttpLogEntry(method, path, {}, json, None)


@pytest.fixture
def description() -> Description:
    return load_description()


async def test_the_commands_fit(env: Env, description: Description) -> None:
    (registered,) = commands(env)
    assert len(registered) >= 9
    assert list(command_problems(registered)) == []
    assert [description.problem(entry) for entry in env.http_requests] == [None] * len(env.http_requests)


@pytest.mark.parametrize("config", [{"queue": {"per_user": 40}}])
async def test_a_whole_life_fits(
    alice: MemberActor, channel: ChannelHandle, env: Env, device: FakeDevice, description: Description
) -> None:
    device.hold()
    await alice.slash(channel, "imagine", prompt="a cat", count=3)
    for _ in range(30):
        await alice.slash(channel, "sentiment", text="x")
    await env.advance_time(1.1)
    await alice.autocomplete(channel, "cancel", "job", "")
    await alice.slash(channel, "queue")
    shown = await alice.slash(channel, "cancel")
    await alice.select(message(shown), ["mine"])
    device.release()
    await env.settle()
    await alice.autocomplete(channel, "imagine", "size", "", prompt="x")
    await alice.slash(channel, "help")
    assert [description.problem(entry) for entry in env.http_requests] == [None] * len(env.http_requests)


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [
        (EDIT, "PATCH", {"content": "x" * 2001}),
        (EDIT, "PATCH", {"embeds": [{"title": "x" * 257}]}),
        (EDIT, "PATCH", {"embeds": [{"description": "x" * 4097}]}),
        (EDIT, "PATCH", {"embeds": [{}] * 11}),
        (EDIT, "PATCH", {"attachments": [{"id": 0, "filename": "x.png", "description": "x" * 1025}]}),
        (EDIT, "PATCH", {"components": [{"type": 1, "components": [{"type": 2, "style": 2, "label": "x" * 81}]}]}),
        ("/applications/1/commands", "PUT", [{**COMMAND, "description": "x" * 101}]),
        ("/applications/1/commands", "PUT", [{**COMMAND, "options": [OPTION] * 26}]),
        ("/channels/1/messages", "POST", {"allowed_mentions": {"parse": ["all"]}}),
        ("/interactions/1/token/callback", "POST", {"type": 3}),
        (
            "/interactions/1/token/callback",
            "POST",
            {"type": 8, "data": {"choices": [{"name": "x", "value": "x"}] * 26}},
        ),
        ("/users/@me/channels", "POST", None),
        ("/nowhere", "POST", {}),
    ],
)
def test_the_description_finds(description: Description, path: str, method: str, body: Any) -> None:
    assert description.problem(_sent(path, body, method=method)) is not None


@pytest.mark.parametrize(
    "body",
    [
        {"content": "x" * 2000, "allowed_mentions": {"parse": [], "users": [123456789012345678]}},
        {"attachments": [{"id": 0, "filename": "x.png"}]},
    ],
)
def test_the_description_allows(description: Description, body: Any) -> None:
    assert description.problem(_sent("/channels/1/messages", body, method="POST")) is None


@pytest.mark.parametrize(
    "registered",
    [
        [{**COMMAND, "name": "Sentiment"}],
        [{**COMMAND, "name": "two words"}],
        [{**COMMAND, "name": "x" * 33}],
        [{**COMMAND, "description": ""}],
        [{**COMMAND, "description": "x" * 101}],
        [{**COMMAND, "description": "x" * 99 + "…"}],
        [COMMAND, COMMAND],
        [{**MENU, "description": "x"}],
        [{**MENU, "name": "x" * 33}],
        [{**MENU, "name": f"Menu {k}"} for k in range(6)],
        [{**COMMAND, "options": [OPTION, {**OPTION, "name": "to", "required": True}]}],
        [{**COMMAND, "options": [OPTION, OPTION]}],
        [{**COMMAND, "options": [{**OPTION, "name": "Text"}]}],
        [{**COMMAND, "options": [{**OPTION, "choices": [{"name": "x", "value": "x" * 101}]}]}],
        [{**COMMAND, "options": [{**OPTION, "choices": [{"name": "x", "value": "x"}], "autocomplete": True}]}],
        [{**COMMAND, "options": [{**OPTION, "min_length": 5, "max_length": 4}]}],
        [{**COMMAND, "options": [{**OPTION, "name": f"x{k}", "description": "x" * 100} for k in range(80)]}],
    ],
)
def test_the_rules_find_bad_commands(registered: list[dict[str, Any]]) -> None:
    assert list(command_problems([COMMAND, MENU])) == []
    assert len(list(command_problems(registered))) >= 1


@pytest.mark.parametrize(
    "message",
    [
        {"content": "x"},
        {"content": "x", "allowed_mentions": {"parse": ["users"]}},
        {"content": "x", "allowed_mentions": {"parse": [], "roles": [1]}},
        {"embeds": [{"description": "x" * 3500}, {"description": "x" * 2501}], **SILENT},
        {"embeds": [{"fields": [{"name": "x", "value": ""}]}], **SILENT},
        {"attachments": [{"id": 0, "filename": "x.png", "description": "x" * 1025}], **SILENT},
        {"components": [{"components": [{"custom_id": "x"}, {"custom_id": "x"}]}], **SILENT},
    ],
)
@pytest.mark.parametrize(("path", "method"), [(EDIT, "PATCH"), ("/channels/1/messages", "POST")])
def test_the_rules_find_bad_messages(message: dict[str, Any], path: str, method: str) -> None:
    assert list(message_problems(SILENT)) == []
    assert len(list(problems(_sent(path, message, method=method)))) == 1
    callback = {"type": 4, "data": message}
    assert len(list(problems(_sent("/interactions/1/token/callback", callback, method="POST")))) == 1


async def test_each_test_checks_its_requests(env: Env) -> None:
    check_requests(env)
    env.http_requests.append(_sent(EDIT, {"content": "@everyone"}))
    with pytest.raises(AssertionError, match="could ping"):
        check_requests(env)
    env.http_requests.clear()
