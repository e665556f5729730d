"""Test image classifiers of PyTorch Hub, with a repository made here and served where GitHub's would be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.cpu.choice import CHOICES
from bot.errors import BadInput, ModelUnavailable
from bot.hub.reference import parse_reference
from bot.hub.resolve import ModelFiles, find_model
from bot.tasks.classify.pipeline import ClassifyPipeline, load_classifier
from tests.hub.loopback_hub import Fault, LoopbackHub, serve_hub
from tests.hub.torch_server import fetch_here, pretend_servers, serve_repository
from tests.workers.line import CPU

COMMIT = "1234567890abcdef1234567890abcdef12345678"
HUBCONF = """
dependencies = ["torch"]
import torch

class _Bright(torch.nn.Module):
    def __init__(self, labels):
        super().__init__()
        self.labels = labels
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, pixels):
        logits = torch.zeros(len(pixels), self.labels)
        logits[:, 281] = pixels.mean((1, 2, 3)) * self.scale
        return logits

def bright(pretrained=False):
    assert pretrained
    print("hello from the hub's code")
    return _Bright(1000)

def few(pretrained=False):
    return torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())

def linear(pretrained=False):
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(16), torch.nn.Flatten(), torch.nn.Linear(768, 1000))

def broken(pretrained=False):
    import zipfile
    raise zipfile.BadZipFile("File is not a zip file")

def asserting(pretrained=False):
    assert not pretrained, "no weights here"

def no_classifier(pretrained=False):
    return torch.nn.Identity()
"""


@pytest.fixture(autouse=True)
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """Serve the repository as GitHub's archive of a tag and a commit."""
    with serve_hub() as hub:
        serve_repository(hub, tmp_path, "owner/repo", HUBCONF, "refs/tags/v1.0", COMMIT)
        hub.faults.append(Fault("v9", 404))
        pretend_servers(hub, tmp_path, monkeypatch)
        yield hub


def find(text: str) -> ModelFiles:
    return find_model(text, model_filter=ClassifyPipeline.model_filter, trusted=("owner/repo",))


def load(text: str) -> Any:
    return load_classifier(find(text), CPU)


def test_the_form() -> None:
    reference = parse_reference("torchhub:owner/repo:v1.0#bright")
    assert (reference.name, reference.revision, reference.entry) == ("owner/repo", "v1.0", "bright")
    assert reference.text == "torchhub:owner/repo:v1.0#bright"
    assert reference.short_name == "owner/repo#bright"


@pytest.mark.parametrize("text", ["owner/repo#bright", "owner/repo:v1", "repo:v1#bright", "owner/repo:#x", "a/b:v#x y"])
def test_a_tag_or_commit_and_an_entry_must_be_named(text: str) -> None:
    with pytest.raises(BadInput):
        parse_reference(f"torchhub:{text}")


@pytest.mark.parametrize(("revision", "ref"), [("v1.0", "refs/tags/v1.0"), (COMMIT, COMMIT)])
def test_a_classifier_with_the_preparation_and_labels_of_imagenet(
    github: LoopbackHub, capsys: pytest.CaptureFixture[str], revision: str, ref: str
) -> None:
    classifier = load(f"torchhub:owner/repo:{revision}#bright")
    prepared = classifier.preprocess(Image.new("RGB", (640, 480), "white"), top=1)
    (result,) = classifier([prepared])
    assert prepared.pixels.shape == (3, 224, 224)
    assert prepared.pixels[0, 0, 0].item() == pytest.approx((1 - 0.485) / 0.229)
    assert result.labels[0].label == "tabby"
    assert result.model == f"owner/repo#bright@{revision[:7]}"
    assert github.requests == [f"{method} /owner/repo/zipball/{ref}" for method in ("HEAD", "GET")]
    assert capsys.readouterr().out == ""


def test_labels_that_nobody_knows_are_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch_here("torchhub:owner/repo:v1.0#few", monkeypatch)
    classifier = load("torchhub:owner/repo:v1.0#few")
    prepared = classifier.preprocess(Image.new("RGB", (64, 64), "red"), top=3)
    assert classifier([prepared])[0].labels[0].label == "class 0"


def test_a_model_of_linear_layers_alone_in_every_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch_here("torchhub:owner/repo:v1.0#linear", monkeypatch)
    files = find("torchhub:owner/repo:v1.0#linear")
    for precision in CHOICES:
        classifier = load_classifier(files, replace(CPU, precision=precision))
        prepared = classifier.preprocess(Image.new("RGB", (64, 64), "red"), top=3)
        assert len(classifier([prepared])[0].labels) == 3


def test_nothing_runs_of_a_repository_that_is_not_trusted(github: LoopbackHub) -> None:
    with pytest.raises(ModelUnavailable) as error:
        find_model("torchhub:owner/repo:v1.0#bright", trusted=("owner/other",))
    assert 'add "owner/repo" to trusted_torchhub' in error.value.values["hint"]
    assert github.requests == []


def test_what_can_not_be_fetched_is_told() -> None:
    with pytest.raises(ModelUnavailable) as error:
        load("torchhub:owner/repo:v1.0#broken")
    assert "BadZipFile: File is not a zip file" in error.value.values["hint"]


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("v1.0#no_classifier", "it is no image classifier"),
        ("v1.0#asserting", "AssertionError: no weights here"),
        ("v1.0#nothing", "Cannot find callable nothing"),
        ("v9#bright", "404"),
    ],
)
def test_what_can_not_be_loaded_is_told(entry: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelUnavailable) as error:
        fetch_here(f"torchhub:owner/repo:{entry}", monkeypatch)
    assert why in error.value.values["hint"]
