"""Test the host's commands."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from pathlib import Path
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner

from bot.bundled.models import CACHE_VARIABLE
from bot.cli.app import app
from bot.errors import UserError
from bot.store.heartbeat import HEARTBEAT
from bot.store.sql import SqlStore
from tests.models.tiny_models import tiny_classifier

cli = CliRunner()


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISCORD_TOKEN", raising=False)


def findings(*arguments: str) -> tuple[int, dict[str, str]]:
    """Return the doctor's exit code and the state of each check."""
    result = cli.invoke(app, ["doctor", "--json", *arguments])
    return result.exit_code, {check["name"]: check["state"] for check in json.loads(result.stdout)["checks"]}


@pytest.mark.usefixtures("bergamot")
def test_the_doctor_finds_all_but_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "")
    code, states = findings()
    assert code == 1
    assert [name for name, state in states.items() if state != "ok"] == ["Discord token"]
    assert len([name for name in states if " model " in name]) == 5


def test_the_doctor_finds_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "empty"))
    (tmp_path / "config.toml").write_text(
        '[store]\nurl = "sqlite+aiosqlite:////nowhere/at/all.db"\n[classify]\nmodels = ["path:/nowhere"]\n'
        '[imagine]\nmodels = ["hf:nobody/nothing@main"]\n',
        encoding="utf-8",
    )
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    code, levels = findings()
    assert code == 1
    assert levels["Discord token"] == levels["store"] == levels["classify model path:/nowhere"] == "error"
    assert levels["sentiment model bundled:minilm-sentiment"] == "error"
    assert levels["imagine model hf:nobody/nothing@main"] == "error"


@pytest.mark.usefixtures("unasked_translators")
def test_the_doctor_warns_of_code_that_runs(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        '[hub]\ntrusted_torchhub = ["a/trusted"]\n'
        '[classify]\nmodels = ["torchhub:a/trusted:v1#net", "torchhub:a/stranger:v1#net"]\n',
        encoding="utf-8",
    )
    _, levels = findings()
    assert levels["classify model torchhub:a/trusted:v1#net"] == "warning"
    assert levels["classify model torchhub:a/stranger:v1#net"] == "error"


@pytest.mark.usefixtures("unasked_translators")
def test_the_doctor_finds_a_model_that_the_command_has_no_use_for(tmp_path: Path) -> None:
    folder = tiny_classifier(tmp_path / "vit")
    (tmp_path / "config.toml").write_text(f'[sentiment]\nmodels = ["path:{folder}"]\n', encoding="utf-8")
    lines = cli.invoke(app, ["doctor"]).stdout
    assert "It is ViTForImageClassification, but the command takes text classification models" in lines


def test_the_doctor_reads_out_mistakes_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[queue]\ncapacity = 0\n", encoding="utf-8")
    result = cli.invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "queue.capacity" in result.stdout


@pytest.mark.usefixtures("unasked_translators")
def test_the_doctor_looks_at_the_store_and_leaves_it_alone(tmp_path: Path) -> None:
    async def make() -> None:
        store = SqlStore(f"sqlite+aiosqlite:///{tmp_path}/hubcord.db")
        await store.open()
        await store.close()

    def store_line() -> str:
        lines = cli.invoke(app, ["doctor"]).stdout.splitlines()
        return next(line for line in lines if " store: " in line)

    assert "will be made by the first start" in store_line()
    assert not (tmp_path / "hubcord.db").exists()
    asyncio.run(make())
    assert "its tables up to date" in store_line()
    with sqlite3.connect(tmp_path / "hubcord.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9000'")
    connection.close()
    assert "✗ store: The job store was written by a newer hubcord" in store_line()


@pytest.mark.usefixtures("unasked_translators")
def test_the_doctor_tells_a_store_in_use(tmp_path: Path) -> None:
    _beat(tmp_path, time.time())
    line = next(line for line in cli.invoke(app, ["doctor"]).stdout.splitlines() if " store: " in line)
    assert line == "✓ store: hubcord.db: reachable, its tables up to date, in use by a hubcord that is connected"


def test_health_before_the_first_start_makes_no_store(tmp_path: Path) -> None:
    assert _no_bot_is_connected()
    assert not (tmp_path / "hubcord.db").exists()
    (tmp_path / "hubcord.db").touch()
    assert _no_bot_is_connected()


@pytest.mark.parametrize(("age_s", "code"), [(0.0, 0), (3_600.0, 1)])
def test_health_is_a_recent_heartbeat(tmp_path: Path, age_s: float, code: int) -> None:
    _beat(tmp_path, time.time() - age_s)
    assert cli.invoke(app, ["health"]).exit_code == code


def _no_bot_is_connected() -> bool:
    result = cli.invoke(app, ["health"])
    return (result.exit_code, result.stderr) == (1, "No bot with this configuration is connected.\n")


def _beat(folder: Path, at: float) -> None:
    """Note in a store that a bot was connected at a time."""

    async def beat() -> None:
        store = SqlStore(f"sqlite+aiosqlite:///{folder}/hubcord.db")
        await store.open()
        store.set_value(HEARTBEAT, at)
        await store.close()

    asyncio.run(beat())


@pytest.mark.parametrize("configured", [False, True])
def test_run_tells_that_there_is_no_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, configured: bool
) -> None:
    if configured:
        (tmp_path / "config.toml").touch()
    monkeypatch.setenv("DISCORD_TOKEN", "x")
    monkeypatch.setattr("discord.utils.setup_logging", lambda **_: None)
    monkeypatch.setattr("bot.app.alone_with", Mock(side_effect=UserError("Another hubcord runs.")))
    with caplog.at_level("INFO", logger="bot.app"):
        assert cli.invoke(app, ["run"]).exit_code == 1
    told = "there is no config.toml here: the bundled models are used"
    assert caplog.messages == ([] if configured else [told])


def test_prepare_names_an_unknown_model() -> None:
    result = cli.invoke(app, ["prepare", "nonsense"])
    assert result.exit_code == 1
    assert "nonsense" in result.stderr
