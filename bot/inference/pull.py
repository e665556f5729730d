"""Fetch one model ahead of time, in a process of its own or in this one."""

from __future__ import annotations

import os
import signal
from collections.abc import Container
from dataclasses import dataclass
from multiprocessing.connection import Connection

from bot.errors import UserError
from bot.inference.accepts import Accepts
from bot.inference.fetch_process import OnFetch
from bot.inference.hub import find_model
from bot.inference.registry import TASKS


@dataclass(frozen=True, slots=True)
class Fetched:
    """Tell how many bytes were fetched, and of how many."""

    done: int
    total: int


def pull_main(connection: Connection, reference: str, task: str, trusted: tuple[str, ...]) -> None:
    """Fetch a model for a task, and say how far it is, at last what it became or why not: a process's entry point."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    os.dup2(2, 1)  # libraries print here
    try:
        shown = pull_model(
            reference, TASKS[task].accepts, trusted, lambda done, total: connection.send(Fetched(done, total))
        )
        connection.send(shown)
    except UserError as error:
        connection.send(error)
    except BrokenPipeError:
        pass  # the parent is gone


def pull_model(reference: str, accepts: Accepts, trusted: Container[str], on_fetch: OnFetch) -> str:
    """Fetch a model and return its name and revision; raise ModelUnavailable."""
    return find_model(reference, on_fetch, accepts, trusted).shown
