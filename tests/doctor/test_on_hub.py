"""Test what the doctor finds of models and the Hub's token, as a process against a Hub on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub.finding import TOKEN, hub_environment
from tests.hub.loopback_hub import Fault, LoopbackHub, serve_hub
from tests.models.tiny_models import only_pickle, tiny_classifier, tiny_sentiment

Found = dict[str, dict[str, Any]]
_NAMES = ("sentiment@main", "gated", "private", "nothing", "sentiment@v9", "pickled", "classifier")
RESNET = "torchvision:resnet18"
_IMPATIENT = """
import bot.doctor.check, bot.hub.cards
bot.hub.cards._TIMEOUT_S = 2.0
bot.doctor.check.LIMIT_S = 4.0
from bot.__main__ import main
main()
"""
CONFIG = f"[sentiment]\nmodels = {json.dumps([f'hf:org/{name}' for name in _NAMES])}\n"


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("repositories")
    return {
        "sentiment": tiny_sentiment(folder / "sentiment"),
        "classifier": tiny_classifier(folder / "classifier"),
        "pickled": only_pickle(folder / "pickled", architecture="BertForSequenceClassification"),
    }


@pytest.fixture
def hub(repositories: dict[str, Path], tmp_path: Path) -> Iterator[LoopbackHub]:
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    with serve_hub() as hub:
        for name, folder in repositories.items():
            hub.add(f"org/{name}", folder)
        hub.add("org/gated", repositories["sentiment"], gated=True, reader=TOKEN)
        hub.add("org/private", repositories["sentiment"], private=True, reader=TOKEN)
        yield hub


def doctor(hub: LoopbackHub, folder: Path, *program: str, **environment: str) -> Found:
    """Return what the doctor finds, by name; models by their reference. `program` is how Python starts it."""
    run = subprocess.run(
        [sys.executable, *(program or ("-m", "bot")), "doctor", "--json"],
        cwd=folder, env=hub_environment(hub, folder / "home") | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert TOKEN not in run.stdout + run.stderr
    assert run.stderr == ""
    report = json.loads(run.stdout)
    assert (run.returncode, report["ok"]) == (1, False)  # there is no Discord token
    return {check["name"].removeprefix("sentiment model hf:org/"): check for check in report["checks"]}


def test_each_models_access(hub: LoopbackHub, tmp_path: Path) -> None:
    found = doctor(hub, tmp_path)
    assert found["HF token"]["text"] == "none; public models need none"
    assert {name: found[name]["state"] for name in _NAMES} == dict.fromkeys(_NAMES, "error") | {
        "sentiment@main": "warning"
    }
    assert found["sentiment@main"]["advice"].startswith("Run `hubcord models pull hf:org/sentiment@main`")
    assert found["gated"]["text"] == "Its licence must be accepted first."
    assert found["gated"]["advice"].startswith(f"1. Accept it at {hub.url}/org/gated . 2. Then give hubcord a token")
    assert "or it is private" in found["private"]["text"] == found["nothing"]["text"]
    assert found["sentiment@v9"]["text"] == "It has no revision v9."
    assert "no weights in safetensors form" in found["pickled"]["text"]
    assert "It is ViTForImageClassification" in found["classifier"]["text"]
    assert not any("GET" in request and ".bin" in request for request in hub.requests)


def test_a_token_that_may_and_one_that_is_refused(hub: LoopbackHub, tmp_path: Path) -> None:
    found = doctor(hub, tmp_path, HF_TOKEN=TOKEN)
    assert found["HF token"]["text"] == "of ada"
    assert (found["gated"]["state"], found["private"]["state"]) == ("warning", "warning")
    found = doctor(hub, tmp_path, HF_TOKEN="hf_wrong")
    assert (found["HF token"]["state"], found["HF token"]["text"]) == ("warning", "The Hub refuses it.")
    assert found["gated"]["text"] == "Its licence must be accepted first."


def test_offline_nothing_is_asked(hub: LoopbackHub, tmp_path: Path) -> None:
    classify = f'\n[classify]\nmodels = ["{RESNET}"]\n'
    (tmp_path / "config.toml").write_text(CONFIG + classify, encoding="utf-8")
    found = doctor(hub, tmp_path, HF_TOKEN=TOKEN, HF_HUB_OFFLINE="1", TORCH_HOME=str(tmp_path))
    assert found["HF token"]["text"] == "set; not tried: HF_HUB_OFFLINE is on"
    for name in ("sentiment@main", f"classify model {RESNET}"):
        assert "HF_HUB_OFFLINE forbids fetching it" in found[name]["text"]
    assert hub.requests == []


def test_what_is_cached_is_right_without_a_hub(hub: LoopbackHub, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[sentiment]\nmodels = ["hf:org/sentiment@main"]\n', encoding="utf-8")
    pull = [sys.executable, "-m", "bot", "models", "pull", "--all"]
    subprocess.run(pull, cwd=tmp_path, env=hub_environment(hub, tmp_path / "home"), check=False, capture_output=True)
    found = doctor(hub, tmp_path, HF_ENDPOINT="http://127.0.0.1:9", HF_TOKEN=TOKEN)
    assert found["sentiment@main"]["state"] == "ok"
    assert found["HF token"]["state"] == "warning"
    assert "can't be asked (ConnectError: " in found["HF token"]["text"]


def test_answers_that_make_no_sense_and_a_home_that_cannot_be_read_are_lines(hub: LoopbackHub, tmp_path: Path) -> None:
    odd = {"whoami": b"[1]", "revision": b"{}", "models": b"[]"}
    hub.faults += [Fault(path, 200, body=body) for path, body in odd.items()]
    found = doctor(hub, tmp_path, HF_TOKEN=TOKEN)
    assert "can't be asked (NotAHubError: TypeError: " in found["HF token"]["text"]
    assert all("isn't a Hub" in found[name]["text"] for name in _NAMES)
    (tmp_path / "token").mkdir()
    found = doctor(hub, tmp_path, HF_TOKEN_PATH=str(tmp_path / "token"))
    assert found["HF token"]["state"] == "error"
    assert "It can't be read (IsADirectoryError: " in found["HF token"]["text"]


def test_a_hub_that_never_answers_costs_the_limit_once(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.faults.append(Fault("", silent_s=40))
    started = time.monotonic()
    found = doctor(hub, tmp_path, "-c", _IMPATIENT, HF_TOKEN=TOKEN)
    assert time.monotonic() - started < 14, "one model after the other takes longer"
    away = f"The Hub at {hub.url} can't be reached (ReadTimeout: timed out)."
    assert found["sentiment@main"]["text"] == found["gated"]["text"] == away
    assert "it doesn't answer" in found["HF token"]["text"]
