"""Test what a model asks of the network on its way into memory: a new one every file once, a cached one nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.finding import hub_environment
from tests.hub.loopback_hub import LoopbackHub, serve_hub
from tests.models.tiny_models import tiny_classifier, tiny_sentiment
from tests.models.tiny_translators import tiny_marian

_SCRIPT = """
import json, sys
calls = []
sys.addaudithook(lambda event, details: calls.append(str(details)) if event in ("socket.connect", "socket.getaddrinfo")
                 else None)
from bot.machine.device import Device
from bot.workers.model_cache import ModelCache
from bot.tasks.imagine.renderer import Painter
from bot.tasks.classify import pipeline as classify
from bot.tasks.sentiment import pipeline as sentiment
from bot.tasks.translate import translator as translate
cache = ModelCache(Device("cpu", threads=1, precision="fp32"), budget_bytes=1 << 32, idle_unload_s=60.0)
loaders = {"sentiment": sentiment._TextClassifier, "classifier": classify.load_classifier, "emoji": Painter,
           "marian": lambda files, device: translate.Translator(files, device, {})}
for reference in sys.argv[1:]:
    cache.get(reference, loaders[reference.partition("/")[2].partition("@")[0]])
print(json.dumps(calls))
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LoopbackHub]:
    """Serve a model for each loader, with the files that libraries like to look for."""
    sentiment = tiny_sentiment(tmp_path / "sentiment")
    (sentiment / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    (sentiment / "additional_chat_templates").mkdir()
    (sentiment / "additional_chat_templates" / "tools.jinja").write_text("{{ tools }}", encoding="utf-8")
    emoji = shutil.copytree(Path(__file__).parents[2] / "models" / "emoji-sd", tmp_path / "emoji")
    with serve_hub() as hub:
        hub.add("org/sentiment", sentiment)
        hub.add("org/classifier", tiny_classifier(tmp_path / "classifier"))
        hub.add("org/emoji", emoji)
        hub.add("org/marian", tiny_marian(tmp_path / "marian"))
        yield hub


def load_in_subprocess(hub: LoopbackHub, home: Path) -> list[str]:
    """Load all models by their commits; return what the process connected to."""
    references = [f"hf:{name}@{repository.sha}" for name, repository in hub.repositories.items()]
    run = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *references],
        env=hub_environment(hub, home), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    calls: list[str] = json.loads(run.stdout.splitlines()[-1])
    return calls


def test_new_models_take_no_needless_request_and_cached_ones_none_at_all(hub: LoopbackHub, tmp_path: Path) -> None:
    assert load_in_subprocess(hub, tmp_path / "home") == [], "only the process that fetches asks"
    assert [request for request, times in Counter(hub.requests).items() if times > 1] == []
    for name in hub.repositories:
        assert [request for request in hub.requests if f"/api/models/{name}/" in request] == [
            f"GET /api/models/{name}/tree/{hub.repositories[name].sha}?recursive=true&expand=false"
        ]
    assert not [request for request in hub.requests if "additional_chat_templates" in request]
    hub.requests.clear()
    assert load_in_subprocess(hub, tmp_path / "home") == []
    assert hub.requests == []
