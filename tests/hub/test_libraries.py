"""Test that what is read from the libraries' sources is what they say when they are imported."""

from __future__ import annotations

import gc
import inspect
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.errors import ModelUnavailable
from bot.hub.libraries.builder_facts import builder_facts
from bot.hub.libraries.class_names import mapped_classes
from bot.hub.libraries.class_source import ClassSource, class_source
from bot.hub.libraries.source import package_source, parsed
from bot.hub.reference import ModelReference
from bot.tasks.registry import TASKS

_FAST = """
import sys
from bot.hub.cards import local_card
from bot.tasks.registry import TASKS
for task, reference in (("imagine", "bundled:emoji-sd"), ("translate", "bundled:bergamot-en-pt"),
                        ("classify", "torchvision:resnet50")):
    assert not local_card(reference, TASKS[task].model_filter).trouble
print(*{name.partition(".")[0] for name in sys.modules})
"""


def test_the_pipelines_that_diffusers_knows() -> None:
    with warnings.catch_warnings(action="ignore"):
        from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING as KNOWN

    read = mapped_classes("diffusers", "pipelines/auto_pipeline.py", "AUTO_TEXT2IMAGE_PIPELINES_MAPPING")
    assert read == {pipeline.__name__ for pipeline in KNOWN.values()}


def test_what_diffusers_pipelines_and_schedulers_take() -> None:
    with warnings.catch_warnings(action="ignore"):
        import diffusers
        from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING as KNOWN

    for pipeline in KNOWN.values():
        source = class_source("diffusers", "pipelines", pipeline.__name__)
        assert source.parameters["__call__"] == _parameters(pipeline.__call__)
        takes_adapters = any(base.endswith("LoraLoaderMixin") for base in source.bases)
        assert takes_adapters == hasattr(pipeline, "load_lora_weights"), pipeline
    schedulers = [kind for name in dir(diffusers) if name.endswith("Scheduler") and (kind := getattr(diffusers, name))]
    for kind in (kind for kind in schedulers if hasattr(kind, "_get_compatibles")):
        source = class_source("diffusers", "schedulers", kind.__name__)
        assert (source.values.get("_compatibles", "[]") != "[]") == (kind._get_compatibles() != [kind]), kind
        assert source.parameters["__init__"] == _parameters(kind.__init__)
    assert len(schedulers) > 30
    assert class_source("diffusers", "schedulers", "(No.Such") == ClassSource()


def _parameters(method: Callable[..., object]) -> set[str]:
    parameters = inspect.signature(method).parameters.values()
    return {parameter.name for parameter in parameters if parameter.kind != parameter.VAR_KEYWORD}


def test_the_detectors_and_describers_that_transformers_knows() -> None:
    from transformers.models.auto import modeling_auto

    for task, mapping in (("detect", "MODEL_FOR_OBJECT_DETECTION"), ("describe", "MODEL_FOR_IMAGE_TEXT_TO_TEXT")):
        known = getattr(modeling_auto, f"{mapping}_MAPPING_NAMES").values()
        assert all(TASKS[task].model_filter.matches(name) for name in known)
        assert not TASKS[task].model_filter.matches("BertForSequenceClassification")


def test_every_classifier_and_detector_of_torchvision() -> None:
    import torch
    from torchvision import models

    kept = Path(torch.hub.get_dir()) / "checkpoints"
    for name in (*models.list_models(module=models), *models.list_models(module=models.detection)):
        default = models.get_model_weights(name).DEFAULT
        facts = builder_facts(ModelReference("torchvision", name))
        assert (facts.builder, facts.weights, facts.url) == (name, default.name, default.url)
        assert facts.file == kept / default.url.rpartition("/")[2]
        for weights in type(default):
            assert builder_facts(ModelReference("torchvision", str(weights))).url == weights.url


@pytest.mark.parametrize("name", ["nothing", "raft_large", "ResNet50_Weights.NOTHING", "os.path"])
def test_what_torchvision_does_not_have(name: str) -> None:
    with pytest.raises(ModelUnavailable):
        builder_facts(ModelReference("torchvision", name))


def test_a_card_needs_none_of_the_heavy_libraries(bergamot: object) -> None:
    done = subprocess.run([sys.executable, "-c", _FAST], capture_output=True, text=True, check=True)
    assert not {"torch", "torchvision", "transformers", "diffusers"} & set(done.stdout.split())
    assert bergamot


@pytest.fixture
def threads_take_turns() -> Iterator[None]:
    """Let threads take turns as often as they can, inside the parser too: garbage collection may call Python."""
    switch_s, callback = sys.getswitchinterval(), lambda *_: sum(range(10))
    sys.setswitchinterval(1e-6)
    gc.callbacks.append(callback)
    yield
    gc.callbacks.remove(callback)
    sys.setswitchinterval(switch_s)


@pytest.mark.usefixtures("threads_take_turns")
def test_sources_are_read_in_several_threads_at_once() -> None:
    files = list((package_source("torchvision") / "models").rglob("*.py")) * 2
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(parsed, files))) == len(files)
