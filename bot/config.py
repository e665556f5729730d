"""Read config.toml and the environment into frozen settings."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast, get_args

from pydantic import AfterValidator, Field, SecretStr, ValidationError, create_model, model_validator
from pydantic.fields import FieldInfo

from bot.errors import ConfigError
from bot.machine.cgroup import cpu_limit
from bot.machine.device import Device, Precision, find_devices, usable_cpus
from bot.tasks.registry import TASKS
from bot.tasks.settings import Frozen, TaskSettings
from bot.tasks.task import SettingsT, Task

DEFAULT_FILE = Path("config.toml")
TOKEN_VARIABLE = "DISCORD_TOKEN"  # noqa: S105 - the name of the variable, not the token
_GIB = 1 << 30
_DEVICE_NAME = re.compile(r"cpu|mps|(cuda|xpu):\d+")
_DRIVERS = "SQLite's is aiosqlite; for PostgreSQL write postgresql+asyncpg://… and install hubcord[postgres]"
_SECRETS = {"token", "discord_token", "hf_token", "password", "secret"}


class DiscordSettings(Frozen):
    """Set up the connection to Discord. Without guilds, commands are registered everywhere.

    `blocked` are people and guilds that aren't served.
    """

    guilds: tuple[Annotated[int, Field(ge=1)], ...] = ()
    blocked: tuple[Annotated[int, Field(ge=1)], ...] = ()
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class Tier(Frozen):
    """Give the members with a Discord role, by its id, another share of the devices than 1.0."""

    role: int = Field(ge=1)
    weight: float = Field(gt=0, le=100)


def _roles_differ(tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
    for role, count in Counter(tier.role for tier in tiers).items():
        if count > 1:
            raise ValueError(f"role {role} has {count} weights")
    return tiers


class QueueSettings(Frozen):
    """Bound the queue. Times are in seconds; `guest_share` is of the time that an image takes.

    `capacity_mb` is for the pictures of all jobs. `per_user_total` is for all guilds together; 0 stands for twice
    `per_user`.
    """

    capacity: int = Field(default=1_000, ge=1)
    capacity_mb: int = Field(default=1_000, ge=1)
    per_guild: int = Field(default=300, ge=1)
    per_user: int = Field(default=20, ge=1)
    per_user_total: int = Field(default=0, ge=0)
    expire_s: float = Field(default=3_600, gt=0)
    batch_s: float = Field(default=1.0, gt=0)
    guest_share: float = Field(default=0.3, ge=0, le=0.9)
    job_timeout_s: float = Field(default=600, gt=0)
    shutdown_grace_s: float = Field(default=5, ge=0)
    tiers: Annotated[tuple[Tier, ...], AfterValidator(_roles_differ)] = ()

    @property
    def most_of_person(self) -> int:
        """Return how many jobs one person may have in all guilds together."""
        return self.per_user_total or 2 * self.per_user

    def weight(self, roles: Iterable[int]) -> float:
        """Return the share of the devices that a member with these roles has: the highest of their tiers, or 1.0."""
        held = set(roles)
        return max((tier.weight for tier in self.tiers if tier.role in held), default=1.0)


def _usable_database(url: str) -> str:
    from sqlalchemy.engine import make_url  # the command line's tasks need no database
    from sqlalchemy.exc import ArgumentError

    try:
        dialect = make_url(url).get_dialect(_is_async=True)
        dialect.import_dbapi()
    except ModuleNotFoundError as error:
        raise ValueError(f"the driver {error.name} isn't installed. {_DRIVERS}") from None
    except (ArgumentError, ImportError, AttributeError) as error:
        raise ValueError(f"this is no database URL that can be used ({type(error).__name__})") from None
    if not dialect.is_async:
        raise ValueError(f"the driver {dialect.driver} can't be used here. {_DRIVERS}")
    return url


class StoreSettings(Frozen):
    """Say where jobs are kept: an SQLAlchemy URL with an asynchronous driver."""

    url: Annotated[str, AfterValidator(_usable_database)] = "sqlite+aiosqlite:///hubcord.db"
    keep_days: float = Field(default=7, ge=0)


def _known_devices(use: Literal["auto"] | tuple[str, ...]) -> Literal["auto"] | tuple[str, ...]:
    if use != "auto" and not (use and all(_DEVICE_NAME.fullmatch(name) for name in use)):
        raise ValueError('allowed are "auto" and lists of names like "cpu", "cuda:0", "mps" and "xpu:0"')
    return use


class DeviceSettings(Frozen):
    """Say what computes. `use` is "auto" or a list like ["cuda:0", "cpu"]; sizes are in GiB, times in seconds.

    `precision` is for all; a device takes its "auto" for one that it doesn't have.
    """

    use: Annotated[Literal["auto"] | tuple[str, ...], AfterValidator(_known_devices)] = "auto"
    threads: int = Field(default=0, ge=0, le=1024)
    precision: Literal["auto", Precision] = "auto"
    memory_budget_gib: float = Field(default=0, ge=0)
    idle_unload_s: float = Field(default=900, gt=0)

    def devices(self) -> list[Device]:
        """Return the devices to start a worker for."""
        names = find_devices() if self.use == "auto" else list(self.use)
        budget = int(self.memory_budget_gib * _GIB) or None
        threads = self._threads(names.count("cpu"))
        return [Device(name, threads, budget, self.precision, workers=names.count(name)) for name in names]

    def _threads(self, cpu_workers: int) -> int | None:
        """Return the threads of a worker: as configured, else several workers on the CPU share its cores.

        One alone leaves the number to torch, unless a container has a limit, of which torch doesn't know.
        """
        cpus, limit = usable_cpus(), cpu_limit() or float("inf")
        if self.threads or (cpu_workers < 2 and limit >= cpus):
            return self.threads or None
        return max(int(min(cpus, limit)) // max(cpu_workers, 1), 1)


class HubSettings(Frozen):
    """Say whether the default models are fetched at the start, and which PyTorch Hub repositories may run code here."""

    fetch_at_start: bool = True
    trusted_torchhub: tuple[Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")], ...] = ()


class Settings(Frozen):
    """Hold everything that can be configured; a table for each task comes with `_settings_type`."""

    discord: DiscordSettings = DiscordSettings()
    queue: QueueSettings = QueueSettings()
    store: StoreSettings = StoreSettings()
    devices: DeviceSettings = DeviceSettings()
    hub: HubSettings = HubSettings()

    @model_validator(mode="after")
    def _needed_models_are_there(self) -> Self:
        for name, settings in self.tasks.items():
            for key, needed in settings.needs.items():
                if not self.tasks[needed].references:
                    raise ValueError(f"{name}.{key}: this needs a model, and [{needed}] has none")
        return self

    @property
    def tasks(self) -> dict[str, TaskSettings]:
        """Return each task's settings."""
        return {name: cast("TaskSettings", getattr(self, name)) for name in TASKS}

    @property
    def offered(self) -> dict[str, TaskSettings]:
        """Return the settings of the tasks that have a model: those whose commands are there."""
        return {name: settings for name, settings in self.tasks.items() if settings.references}

    def of(self, task: Task[Any, Any, SettingsT]) -> SettingsT:
        """Return the settings of a task."""
        return cast("SettingsT", getattr(self, task.name))


@lru_cache(maxsize=1)
def _settings_type() -> type[Settings]:
    tables: dict[str, Any] = {
        name: (task.settings, Field(default_factory=task.settings)) for name, task in TASKS.items()
    }
    return create_model("Settings", __base__=Settings, **tables)


def load_settings(path: Path | None = None) -> Settings:
    """Read a configuration file; without a path, `config.toml` if it is there, else the defaults.

    Raise ConfigError that names every mistake with its key and what is allowed.
    """
    if path is None:
        if not DEFAULT_FILE.is_file():
            return _settings_type()()
        path = DEFAULT_FILE
    return parse_settings(_read(path), source=str(path))


def parse_settings(values: Mapping[str, Any], *, source: str = "configuration") -> Settings:
    """Check values read from a file; raise ConfigError."""
    try:
        # As JSON, since strict validation takes a list for a tuple only there.
        return _settings_type().model_validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        lines = "\n".join(dict.fromkeys(f"  {line}" for line in _explain_all(error)))
        raise ConfigError("{source} has mistakes:\n{lines}", source=source, lines=lines) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError("There is no configuration file {path}.", path=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("{path} can't be read: {why}.", path=path, why=error) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("{path} is no valid TOML: {why}.", path=path, why=error) from None


def _explain_all(error: ValidationError) -> Iterator[str]:
    """Yield one line for each mistake; a table that fails only because of what is in it isn't named again."""
    found = [cast("dict[str, Any]", entry) for entry in error.errors(include_input=False)]
    for entry in found:
        inner = any(other["loc"][: len(entry["loc"])] == entry["loc"] for other in found if other is not entry)
        if not (inner and entry["type"] == "too_short"):
            yield _explain(entry)


def _explain(error: Mapping[str, Any]) -> str:
    """Turn one of pydantic's errors into `key: what is wrong`, without showing values that may be secret."""
    key = ".".join(str(part) for part in error["loc"] if not str(part).startswith(("function-", "tuple[", "literal[")))
    if key == "devices.use":
        return f'{key}: allowed are "auto" and lists of names like "cpu", "cuda:0", "mps" and "xpu:0".'
    if error["type"] == "extra_forbidden":
        if str(error["loc"][-1]).lower() in _SECRETS:
            return f"{key}: secrets belong in the environment, never in this file; remove it."
        return f"{key}: there is no such key. Allowed here: {', '.join(_allowed(error['loc'][:-1]))}."
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{key}: {message[:1].lower()}{message[1:]}." if key else f"{message}."


def _allowed(location: tuple[Any, ...]) -> list[str]:
    """Return the keys of the table at `location`; a number in it stands for an entry of a list of tables."""
    table: Any = _settings_type()
    for part in location:
        table = get_args(table)[0] if isinstance(part, int) else table.model_fields[part].annotation
    fields: dict[str, FieldInfo] = table.model_fields
    return [field.alias or name for name, field in fields.items()]


def discord_token(environment: Mapping[str, str] = os.environ) -> SecretStr:
    """Return the bot's token; raise ConfigError that tells how to get one."""
    token = environment.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise ConfigError(_HOW_TO_CONNECT, variable=TOKEN_VARIABLE)
    if not _TOKEN.fullmatch(token):
        raise ConfigError(
            "{variable} is no token: they have letters, digits and a few signs. Copy it anew.", variable=TOKEN_VARIABLE
        )
    return SecretStr(token)


_TOKEN = re.compile(r"[\w.+/=-]+", re.ASCII)
_HOW_TO_CONNECT = """There is no {variable} in the environment.
  1. To get a token, open https://discord.com/developers/applications, make an application, then Bot > Reset Token.
  2. Start the bot with it:  {variable}=... hubcord run
  3. Invite it: OAuth2 > URL Generator, scopes "bot" and "applications.commands", permissions
     "View Channels", "Send Messages", "Send Messages in Threads", "Embed Links" and "Attach Files"
     (permissions=274877959168).
To try everything without Discord: make demo"""
