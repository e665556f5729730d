"""Test that models of torchvision and PyTorch Hub are fetched with their share told, whole, and once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from bot.errors import JobCancelled, ModelUnavailable
from bot.hub.cards import local_card
from bot.hub.download import process as fetch_process
from bot.hub.download.fetch_ahead import FetchAhead
from bot.hub.libraries.builder_facts import builder_facts
from bot.hub.reference import parse_reference
from bot.hub.resolve import find_model, is_here
from bot.tasks.classify.pipeline import ClassifyPipeline, load_classifier
from bot.workers.model_cache import ModelCache
from tests.fakes.waiting import until
from tests.hub.finding import hub_environment
from tests.hub.loopback_hub import Fault, LoopbackHub, serve_hub
from tests.hub.torch_server import fetch_here, pretend_servers, serve_repository, serve_weights
from tests.workers.line import CPU

SHUFFLENET = "torchvision:shufflenet_v2_x0_5"
SCALED = "torchhub:owner/repo:v1.0#scaled"
TRUSTED = ("owner/repo",)
HUBCONF = """
dependencies = ["torch"]
import torch

def scaled(pretrained=False):
    layers = [torch.nn.Conv2d(3, 1000, 20, stride=20), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
    model = torch.nn.Sequential(*layers)
    model.load_state_dict(torch.hub.load_state_dict_from_url({url!r}, check_hash=True))
    return model
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """Serve small weights of torchvision, and a repository of PyTorch Hub whose code fetches more."""
    import huggingface_hub.constants  # noqa: F401 - it reads the environment once, which is changed below
    import torch
    from torchvision import models

    weights = models.ShuffleNet_V2_X0_5_Weights.DEFAULT.value
    with serve_hub() as hub:
        url = serve_weights(hub, tmp_path, "shufflenet", models.shufflenet_v2_x0_5().state_dict())
        linear = {"0.weight": torch.rand(1_000, 3, 20, 20), "0.bias": torch.zeros(1_000)}
        hubconf = HUBCONF.format(url=serve_weights(hub, tmp_path, "scaled", linear))
        serve_repository(hub, tmp_path, "owner/repo", hubconf, "refs/tags/v1.0")
        for name, value in hub_environment(hub, tmp_path / "home").items():
            monkeypatch.setenv(name, value)
        pretend_servers(hub, tmp_path, monkeypatch, {weights.url: url})
        monkeypatch.setattr(weights, "url", url)
        yield hub


@pytest.mark.parametrize("text", [SHUFFLENET, SCALED])
def test_the_share_is_told_and_nothing_is_fetched_twice(hub: LoopbackHub, text: str) -> None:
    told: list[tuple[int, int]] = []
    hub.slow_s = 0.6
    assert not is_here(text)
    cache = ModelCache(CPU, budget_bytes=1 << 30, idle_unload_s=60.0, trusted=TRUSTED)
    classifier = cache.get(text, load_classifier, lambda *fetched: told.append(fetched), ClassifyPipeline.model_filter)
    (result,) = classifier([classifier.preprocess(Image.new("RGB", (64, 64), "red"), top=1)])
    assert len(result.labels) == 1
    assert is_here(text)
    assert all(before[0] <= after[0] for before, after in pairwise(told))
    assert len({done for done, total in told if 0 < done < total > 4 << 20}) > 3
    assert told[-1][0] == told[-1][1]
    asked = list(hub.requests)
    assert len([request for request in asked if request.startswith("GET") and ".pth" in request]) == 1
    find_model(text, model_filter=ClassifyPipeline.model_filter, trusted=TRUSTED)
    assert hub.requests == asked


def test_a_download_that_was_stopped_goes_on(hub: LoopbackHub) -> None:
    hub.slow_s = 0.4

    def stop(done: int, _total: int) -> None:
        if done > 2 << 20:
            raise JobCancelled("Cancelled.")

    with pytest.raises(JobCancelled):
        find_model(SHUFFLENET, stop)
    file = builder_facts(parse_reference(SHUFFLENET)).file
    (part,) = file.parent.glob("*.incomplete")
    begun = part.stat().st_size
    find_model(SHUFFLENET)
    assert hub.ranges == [f"bytes={begun}-"]
    assert begun > 2 << 20
    assert file.is_file()


@pytest.mark.usefixtures("hub")
def test_weights_that_were_removed_are_noticed_and_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_here(SCALED, monkeypatch)
    (weights,) = (tmp_path / "torch").rglob("scaled*.pth")
    weights.unlink()
    assert not is_here(SCALED)
    assert not local_card(SCALED).cached
    find_model(SCALED, trusted=TRUSTED)
    assert weights.is_file()
    assert is_here(SCALED)
    assert local_card(SCALED).cached


DAMAGED = Fault(".pth", damaged=True), "arrived damaged"
CUT = Fault(".pth", cut_after=100), "ConnectionError: peer closed"
GONE = Fault(".pth", 404), "404"
ROUND = Fault(".pth", 302, {"Location": "/round.pth"}), "ConnectionError: Exceeded maximum allowed redirects"


@pytest.mark.parametrize(
    ("text", "troubles"),
    [
        (SHUFFLENET, [DAMAGED, CUT, GONE, ROUND]),
        (SCALED, [DAMAGED, CUT]),  # each takes a process that imports torch
    ],
)
def test_what_goes_wrong_is_told(hub: LoopbackHub, text: str, troubles: list[tuple[Fault, str]]) -> None:
    for fault, why in troubles:
        hub.faults.append(fault)
        with pytest.raises(ModelUnavailable) as error:
            find_model(text, model_filter=ClassifyPipeline.model_filter, trusted=TRUSTED)
        assert why in error.value.values["hint"]
        assert not is_here(text)
        hub.faults.clear()
    find_model(text, model_filter=ClassifyPipeline.model_filter, trusted=TRUSTED)
    assert is_here(text)


def test_a_server_that_says_nothing_is_given_up(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_process, "STALL_S", 2.0)
    hub.faults.append(Fault(".pth", trickles=True))
    with pytest.raises(ModelUnavailable) as error:
        find_model(SHUFFLENET)
    assert "Nothing came for 2 seconds" in error.value.values["hint"]


def test_offline_nothing_is_asked_and_what_is_here_is_used(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    find_model(SHUFFLENET)
    hub.requests.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    find_model(SHUFFLENET)
    assert local_card(SHUFFLENET).trouble == ""
    for text in ("torchvision:resnet18", SCALED):
        with pytest.raises(ModelUnavailable) as error:
            find_model(text, trusted=TRUSTED)
        why = "It isn't in the cache, and HF_HUB_OFFLINE forbids fetching it. 1. Unset HF_HUB_OFFLINE"
        assert str(error.value.values["hint"]).startswith(f"{text}: {why}")
        assert local_card(text).trouble.startswith(why)
    assert hub.requests == []


async def test_the_defaults_are_fetched_at_the_start_with_their_shares(hub: LoopbackHub) -> None:
    hub.slow_s = 0.6
    told: list[dict[str, float]] = []
    models = dict.fromkeys([SHUFFLENET, SCALED], ClassifyPipeline.model_filter)
    async with FetchAhead(models, lambda shares: told.append(dict(shares)), print, TRUSTED) as ahead:
        ahead.start()
        await until(lambda: not told[-1], within_s=60)
    assert all(is_here(text) for text in models)
    for text in models:
        assert len({shares[text] for shares in told if 0 < shares.get(text, 0.0) < 1}) > 1


def test_they_are_pulled_on_the_command_line(hub: LoopbackHub, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[hub]\ntrusted_torchhub = ["owner/repo"]\n', encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "bot", "models", "pull", SHUFFLENET, SCALED, "torchhub:owner/other:v1#x"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert f"{SCALED}: owner/repo#scaled@v1.0" in run.stderr
    assert is_here(SHUFFLENET)
    assert is_here(SCALED)
    assert "it isn't trusted" in run.stderr
    assert not [request for request in hub.requests if "other" in request]
