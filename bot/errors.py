"""Define the errors that are written for people.

UserError                 shown word for word, in Discord and on the command line
├── BadInput              what was given can't be used
├── Refused               the queue doesn't take the job now (`retry_after_s`)
├── ModelUnavailable      the model isn't there, or can't be used for this
├── OutOfMemory           the device has no room for this job
├── JobCancelled          somebody stopped the job
├── JobExpired            the job waited longer than its limit
└── ConfigError           the configuration file has mistakes

Everything else is logged in full and shown as a reference number only.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from bot.i18n.texts import gettext as _

_BRIEF_CHARS = 300
_MOST_NAMES = 20


class UserError(Exception):
    """Say in one or two sentences what went wrong and what to do now.

    `template` is the English sentence with `{named}` gaps. It is kept apart from its values, so that it can be
    translated where it is shown, in whatever process it was raised.
    """

    def __init__(self, template: str, **values: Any) -> None:
        super().__init__(template)
        self.template = template
        self.values = values

    def __str__(self) -> str:
        return _(self.template, **self.values)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.template, self.values)


def _rebuild(kind: type[UserError], template: str, values: dict[str, Any]) -> UserError:
    return kind(template, **values)


class BadInput(UserError):
    """What was given can't be used."""


class Refused(UserError):
    """The queue doesn't take the job now. `retry_after_s` among the values says when to try again."""


class ModelUnavailable(UserError):
    """The model isn't there, or can't be used for this."""


class OutOfMemory(UserError):
    """The device has no room for this job."""


class JobCancelled(UserError):
    """Somebody stopped the job."""


class JobExpired(UserError):
    """The job waited longer than its limit."""


class ConfigError(UserError):
    """The configuration file has mistakes; the text names them all."""


def join_names(names: Iterable[str]) -> str:
    """Return names for a sentence; of many the first ones, so that it stays one that people read."""
    first = list(islice(names, _MOST_NAMES + 1))
    return ", ".join(first if len(first) <= _MOST_NAMES else [*first[:-1], "…"])


def one_line(error: BaseException) -> str:
    """Return an error's kind and the beginning of what it says, in one line, for the person who hosts the bot."""
    line = " ".join(f"{type(error).__name__}: {error}".split())
    return line if len(line) <= _BRIEF_CHARS else f"{line[:_BRIEF_CHARS]}…"
