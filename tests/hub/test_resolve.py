"""Test that models are found: in folders, in torchvision, and on a Hub served on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.bundled.prepare import prepare
from bot.errors import BadInput, ModelUnavailable
from bot.hub.download.repository import is_needed
from bot.hub.reference import parse_reference, shown_model
from bot.hub.resolve import ModelFiles, find_model
from bot.machine.device import Device
from bot.tasks.classify.pipeline import ClassifyPipeline, load_classifier
from bot.workers.background_load import load
from bot.workers.model_cache import ModelCache
from tests.hub.finding import find_in_subprocess
from tests.hub.loopback_hub import LoopbackHub, serve_hub
from tests.models.tiny_models import only_pickle, tiny_classifier, tiny_sentiment
from tests.workers.line import CPU


@pytest.mark.parametrize(
    ("text", "name", "revision"),
    [
        ("hf:org/name@abc123", "org/name", "abc123"),
        ("hf:gpt2", "gpt2", None),
        ("torchvision:ResNet50_Weights.IMAGENET1K_V2", "ResNet50_Weights.IMAGENET1K_V2", None),
        ("path:/models/my model", "my model", None),
        (" bundled:emoji-sd ", "emoji-sd", None),
        ("path:/models/there/..", "models", None),
        ("path:/", "/", None),
    ],
)
def test_references(text: str, name: str, revision: str | None) -> None:
    reference = parse_reference(text)
    assert (reference.short_name, reference.revision) == (name, revision)


def test_the_folder_that_one_is_in_has_a_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_reference("path:.").short_name == tmp_path.name


@pytest.mark.parametrize(
    "text",
    [
        "", "resnet50", "hf:", "hf:a/b/c", "hf:../x@", "torchvision:a b", "ftp:x", "bundled:a/b", "torchhub:a/b#c",
        "hf:a/b#../x.safetensors", "hf:a/b#x/../../y.safetensors", "hf:a/b#/etc/x.safetensors",
    ],
)  # fmt: skip
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(BadInput, match="is no model reference"):
        parse_reference(text)


def test_a_folder_with_pickled_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable) as error:
        find_model(f"path:{only_pickle(tmp_path / 'pickled')}")
    assert "no weights in safetensors form" in error.value.values["hint"]


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable) as error:
        find_model(f"path:{tmp_path}")
    assert "no config.json" in error.value.values["hint"]


def test_a_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{half", encoding="utf-8")
    with pytest.raises(ModelUnavailable) as error:
        find_model(f"path:{tmp_path}")
    assert "Its configuration can't be read (JSONDecodeError" in error.value.values["hint"]


def test_bundled_models_show_their_revision() -> None:
    prepare(["minilm-sentiment"])
    files = find_model("bundled:minilm-sentiment")
    assert files.shown.startswith("minilm-sentiment@")
    assert files.size_bytes > 10_000_000


def test_an_unknown_bundled_model() -> None:
    with pytest.raises(ModelUnavailable):
        find_model("bundled:nothing")


def test_a_classifier_from_a_folder(tmp_path: Path) -> None:
    from PIL import Image

    files = find_model(f"path:{tiny_classifier(tmp_path / 'vit')}")
    classifier = load_classifier(files, CPU)
    (result,) = classifier([classifier.preprocess(Image.new("RGB", (40, 30)), top=2)])
    assert result.labels[0].label in {"cat", "dog", "tree"}
    assert (len(result.labels), result.width, result.height) == (2, 40, 30)


def test_torchvision_with_its_own_transforms_and_categories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are random here, put where torchvision's download would have put them."""
    import torch
    from PIL import Image
    from torchvision import models

    weights = models.ShuffleNet_V2_X0_5_Weights.DEFAULT
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(models.shufflenet_v2_x0_5().state_dict(), checkpoints / weights.url.rsplit("/", 1)[1])
    results = []
    spellings = (
        "shufflenet_v2_x0_5", "ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1", "ShuffleNet_V2_X0_5",
        "ShuffleNet_V2_X0_5_Weights", "shufflenet_v2_x0_5.IMAGENET1K_V1",
    )  # fmt: skip
    for name in spellings:
        classifier = load_classifier(find_model(f"torchvision:{name}"), CPU)
        results += classifier([classifier.preprocess(Image.linear_gradient("L").convert("RGB"), top=3)])
    assert results == results[:1] * len(spellings)
    assert results[0].model == "shufflenet_v2_x0_5@IMAGENET1K_V1"
    assert {label.label for label in results[0].labels} < set(weights.meta["categories"])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nonsense", "torchvision has no classification or detection model of this name."),
        ("ResNet50_Weights.NONSENSE", "torchvision has no classification or detection model of this name."),
        ("fasterrcnn_resnet50_fpn", "It is for object-detection, but the command takes"),
    ],
)
def test_what_torchvision_does_not_have(name: str, why: str) -> None:
    with pytest.raises(ModelUnavailable) as error:
        find_model(f"torchvision:{name}", model_filter=ClassifyPipeline.model_filter)
    assert error.value.values["hint"].startswith(f"torchvision:{name}: {why}")


def test_code_that_a_repository_brings_along_never_runs(tmp_path: Path) -> None:
    folder = tiny_classifier(tmp_path / "tricky")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    code = {"AutoConfig": "evil.Config", "AutoModelForImageClassification": "evil.Model"}
    config |= {"auto_map": code, "model_type": "evil", "architectures": ["EvilForImageClassification"]}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n", encoding="utf-8")
    with pytest.raises(ModelUnavailable, match="can't be loaded"):
        ModelCache(CPU, budget_bytes=1 << 30, idle_unload_s=60.0).get(f"path:{folder}", load_classifier)
    assert not (tmp_path / "ran").exists()


def test_the_cache_evicts_the_least_recently_used(tmp_path: Path) -> None:
    folders = {name: f"path:{tiny_sentiment(tmp_path / name)}" for name in "abc"}
    loaded: list[str] = []

    def loader(files: Any, _device: Device) -> Any:
        import torch

        loaded.append(files.reference.short_name)
        return torch.nn.Linear(1000, 1000)

    cache = ModelCache(CPU, budget_bytes=9_000_000, idle_unload_s=0.0)
    for name in ("a", "b", "a", "c"):
        with cache.in_use():
            cache.get(folders[name], loader)
    assert set(cache.sizes) == {folders["a"], folders["c"]}
    assert loaded == ["a", "b", "c"]
    cache.unload_idle()
    assert cache.sizes == {}


def test_the_cache_keeps_what_a_batch_uses_that_gives_way_to_another(tmp_path: Path) -> None:
    folders = {name: f"path:{tiny_sentiment(tmp_path / name)}" for name in "abc"}

    def loader(_files: Any, _device: Device) -> Any:
        import torch

        return torch.nn.Linear(1000, 1000)

    cache = ModelCache(CPU, budget_bytes=9_000_000, idle_unload_s=60.0)
    with cache.in_use() as host_loading_s:
        cache.get(folders["a"], loader)
        for name in "bc":
            with cache.in_use() as guest_loading_s:
                cache.get(folders[name], loader)
            assert list(guest_loading_s) == [folders[name]]
        assert set(cache.sizes) == {folders["a"], folders["c"]}
    assert list(host_loading_s) == [folders["a"]]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackHub]:
    folder = tmp_path_factory.mktemp("repositories")
    with serve_hub() as hub:
        hub.add("org/sentiment", tiny_sentiment(folder / "sentiment"))
        hub.add("org/emoji", Path(__file__).parents[2] / "models" / "emoji-sd")
        yield hub


def test_a_repository_is_fetched_once_and_pinned_ones_need_no_request(hub: LoopbackHub, tmp_path: Path) -> None:
    sha = hub.repositories["org/sentiment"].sha
    (found,) = find_in_subprocess(hub, tmp_path, f"hf:org/sentiment@{sha}")
    assert found["shown"] == f"org/sentiment@{sha[:7]}"
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(found["files"])
    assert found["last"] == [1.0]
    hub.requests.clear()
    (again,) = find_in_subprocess(hub, tmp_path, f"hf:org/sentiment@{sha}")
    assert again["shown"] == found["shown"]
    assert hub.requests == []


def test_a_branch_that_is_cached_takes_one_request_and_no_file_is_asked_for_in_vain(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    hub.requests.clear()
    find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main")
    files = hub.repositories["org/sentiment"].files()
    asked = [request for request in hub.requests if request.startswith("HEAD")]
    assert len(asked) == len(set(asked)) <= len(files)
    assert len([request for request in hub.requests if "/api/" in request]) == 2
    hub.requests.clear()
    find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main")
    assert hub.requests == ["GET /api/models/org/sentiment/revision/main"]


@pytest.mark.parametrize(
    ("path", "is_wanted"),
    [
        ("unet/diffusion_pytorch_model.safetensors", True),
        ("unet/diffusion_pytorch_model.fp16.safetensors", False),
        ("unet/diffusion_pytorch_model.bin", False),
        ("text_encoder/model-00001-of-00002.safetensors", True),
        ("text_encoder/model.safetensors.index.json", True),
        ("vae_1_0/diffusion_pytorch_model.safetensors", False),
        ("sd_xl_base_1.0.safetensors", False),
        ("model_index.json", True),
        ("README.md", True),
        ("unet/evil.py", False),
        ("adapter_config.json", False),
    ],
)
def test_what_is_needed_of_a_pipeline(path: str, is_wanted: bool) -> None:
    assert is_needed(path, ["unet", "text_encoder"]) is is_wanted


@pytest.mark.parametrize(
    ("path", "is_wanted"),
    [
        ("model.safetensors", True),
        ("model-00002-of-00002.safetensors", True),
        ("onnx/model.safetensors", False),
        ("pytorch_model.bin", False),
        ("model.fp16.safetensors", False),
        ("source.spm", True),
        ("vocab-src.json", True),
        ("tf_model.h5", False),
    ],
)
def test_what_is_needed_of_a_model(path: str, is_wanted: bool) -> None:
    assert is_needed(path, []) is is_wanted


def test_a_pipeline_repository_brings_all_its_parts(hub: LoopbackHub, tmp_path: Path) -> None:
    (found,) = find_in_subprocess(hub, tmp_path, "hf:org/emoji@main")
    assert {"unet", "vae", "text_encoder", "tokenizer", "scheduler", "model_index.json"} <= set(found["files"])
    assert found["size"] > 1_000_000
    assert found["shares"] == sorted(found["shares"])
    assert found["last"] == [1.0]
    hub.requests.clear()
    commit = hub.repositories["org/emoji"].sha
    (again,) = find_in_subprocess(hub, tmp_path, f"hf:org/emoji@{commit}")
    assert again["files"] == found["files"]
    assert hub.requests == []


@pytest.mark.parametrize(
    ("revision", "shown"),
    [
        (None, "org/name"),
        ("0123456789abcdef0123456789abcdef01234567", "org/name@0123456"),
        ("v0.20.1-final", "org/name@v0.20.1-final"),
        ("IMAGENET1K_V2", "org/name@IMAGENET1K_V2"),
    ],
)
def test_commits_are_cut_short_and_names_are_not(revision: str | None, shown: str) -> None:
    assert shown_model("org/name", revision) == shown


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (RuntimeError("size mismatch for w"), ModelUnavailable),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), RuntimeError),
        (NotImplementedError("no such kernel"), NotImplementedError),
    ],
)
def test_weights_of_other_shapes_are_told_apart_from_trouble_of_the_device(
    error: RuntimeError, raised: type[Exception]
) -> None:
    def loader(_files: ModelFiles, _device: Device) -> None:
        raise error

    with pytest.raises(raised) as found:
        load(ModelFiles(parse_reference("path:/home/me/mood")), loader, CPU)
    assert type(found.value) is raised


def test_what_cannot_be_loaded_is_named_for_the_host_alone() -> None:
    def loader(_files: ModelFiles, _device: Device) -> None:
        raise OSError("cut short")

    with pytest.raises(ModelUnavailable, match="The model mood can't be loaded for this") as error:
        load(ModelFiles(parse_reference("path:/home/me/mood")), loader, CPU)
    told = {name: error.value.values[name] for name in ("reference", "hint", "reason")}
    assert told == {
        "reference": "path:/home/me/mood",
        "hint": "path:/home/me/mood: OSError: cut short",
        "reason": "OSError",
    }
