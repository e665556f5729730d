"""Test `hubcord models` against a Hub on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.cli.pin import difference, pinned, references_in
from tests.hub.finding import TOKEN, hub_environment
from tests.hub.loopback_hub import Fault, LoopbackHub, serve_hub
from tests.models.tiny_models import only_pickle, tiny_classifier, tiny_sentiment

CARD = "---\nlicense: apache-2.0\nlanguage: en\n---\n# Moods\n\nMeant for short texts.\n"
CONFIG = """
# what we like
[sentiment]
models = ["hf:org/sentiment@main"]  # small
[classify]
models = ["hf:org/gated"]
"""


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("repositories")
    sentiment = tiny_sentiment(folder / "sentiment")
    (sentiment / "README.md").write_text(CARD, encoding="utf-8")
    return {"sentiment": sentiment, "classifier": tiny_classifier(folder / "classifier")}


@pytest.fixture
def hub(repositories: dict[str, Path], tmp_path: Path) -> Iterator[LoopbackHub]:
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    with serve_hub() as hub:
        hub.add("org/sentiment", repositories["sentiment"])
        hub.add("org/gated", repositories["classifier"], gated=True, reader=TOKEN)
        yield hub


class Shell:
    """Run `hubcord models` in a folder with empty caches of its own."""

    def __init__(self, hub: LoopbackHub, folder: Path) -> None:
        self._folder = folder
        self._environment = hub_environment(hub, folder / "home") | {"COLUMNS": "200"}

    def start(self, *arguments: str, token: str = "") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "bot", "models", *arguments],
            cwd=self._folder, env=self._environment | {"HF_TOKEN": token}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, *arguments: str, code: int = 0, token: str = "") -> tuple[str, str]:
        with self.start(*arguments, token=token) as process:
            out, err = process.communicate()
        assert process.returncode == code, err
        assert TOKEN not in out + err
        return out, err

    def json(self, *arguments: str, token: str = "", code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", token=token, code=code)[0])


@pytest.fixture
def models(hub: LoopbackHub, tmp_path: Path) -> Shell:
    return Shell(hub, tmp_path)


def test_a_model_is_described_before_its_weights_are_fetched(hub: LoopbackHub, models: Shell) -> None:
    card = models.json("info", "hf:org/sentiment@main")
    assert (card["kind"], card["licence"], card["languages"]) == ("BertForSequenceClassification", "apache-2.0", ["en"])
    assert (card["cached"], card["gated"], card["trouble"]) == (False, False, "")
    assert card["revision"] == hub.repositories["org/sentiment"].sha
    assert card["memory_bytes"] == 4 * sum(card["weights"]["parameters"].values()) > 4_000
    assert "Meant for short texts." in card["text"]
    whole = [request for request in hub.requests if request == "GET /org/sentiment/model.safetensors"]
    assert len(whole) == len(hub.ranges) == 1


def test_a_gated_model_is_described_as_far_as_the_hub_shows_it(models: Shell) -> None:
    shut = models.json("info", "hf:org/gated", code=1)
    assert (shut["gated"], shut["licence"]) == (True, "apache-2.0")
    assert "licence must be accepted" in shut["trouble"]
    assert models.json("info", "hf:org/gated", token=TOKEN)["trouble"] == ""


def test_a_builder_of_torchvision_is_described(models: Shell) -> None:
    card = models.json("info", "torchvision:ResNet50_Weights.IMAGENET1K_V2")
    assert (card["kind"], card["revision"], card["cached"]) == ("resnet50", "IMAGENET1K_V2", False)
    assert card["weights"]["parameters"] == {"F32": 25_557_032}
    assert "torchvision has no" in models("info", "torchvision:nothing", code=1)[0]
    assert "There is no such folder" in models("info", "path:nowhere", code=1)[0]


def test_what_looks_like_markup_and_what_terminals_obey_is_shown_as_it_is(models: Shell, tmp_path: Path) -> None:
    folder = tiny_sentiment(tmp_path / "[red]odd[")
    text = "---\nlicense: '[/x]'\nlanguage: '[bold]'\n---\nred \x1b[31m\n"
    (folder / "README.md").write_text(text, encoding="utf-8")
    out, _ = models("info", f"path:{folder}")
    assert "[/x]" in out
    assert "[bold]" in out
    assert "\x1b" not in out
    assert "[red]odd[" in models("pull", f"path:{folder}")[1]


def test_a_search_without_a_hub_is_one_line(hub: LoopbackHub, models: Shell) -> None:
    hub.faults.append(Fault("api/models", 503, times=1))
    hub.faults.append(Fault("api/models", 401))
    _, error = models("search", "x", "--task", "sentiment", code=1)
    assert error.startswith("The Hub can't be searched: ")
    assert "Retrying" not in error


def test_what_is_pulled_is_listed_and_takes_room_until_it_is_removed(hub: LoopbackHub, models: Shell) -> None:
    before = models.json("list")
    assert [entry["reference"] for entry in before[:2]] == ["hf:org/sentiment@main", "hf:org/gated"]
    assert [entry["cached"] for entry in before[:2]] == [False, False]
    assert hub.requests == []
    pulled = models.json("pull", "hf:org/sentiment@main")
    assert pulled["model"] == f"org/sentiment@{hub.repositories['org/sentiment'].sha[:7]}"
    hub.requests.clear()
    listed = models.json("list")[0]
    assert (listed["cached"], listed["licence"]) == (True, "apache-2.0")
    assert listed["weights"]["size_bytes"] > 4_000
    hub.faults.append(Fault("", 503))
    assert models.json("info", "hf:org/sentiment@main")["cached"]
    hub.faults.clear()
    hub.requests.clear()
    (cached,) = models.json("du")
    assert (cached["name"], cached["configured"]) == ("org/sentiment", True)
    sha = hub.repositories["org/sentiment"].sha
    assert "isn't in the cache" in models("remove", f"hf:org/sentiment@{sha[:6]}")[0]
    assert "freed" in models("remove", f"hf:org/sentiment@{sha[:7]}")[0]
    assert models.json("du") == []
    assert "isn't in the cache" in models("remove", "hf:org/sentiment")[0]
    assert hub.requests == []


def test_damaged_folders_are_listed_as_such(models: Shell, tmp_path: Path) -> None:
    for name, file, content in (("a", "config.json", "{half"), ("b", "model.safetensors", "half")):
        tiny_sentiment(tmp_path / name)
        (tmp_path / name / file).write_text(content, encoding="utf-8")
    (tmp_path / "config.toml").write_text('[sentiment]\nmodels = ["path:a", "path:b"]\n', encoding="utf-8")
    listed = models.json("list")[:2]
    assert [(card["trouble"][:27], card["loads"]) for card in listed] == [
        ("Its files can't be read (JS", False)
    ] * 1 + [("Its files can't be read (Va", False)]
    assert "Its configuration can't be read" in models("pull", "path:a", code=1)[1]


def test_pulling_all_goes_on_after_one_that_fails_and_says_so(hub: LoopbackHub, models: Shell) -> None:
    (Path(models._folder) / "config.toml").write_text(
        CONFIG + '[imagine]\nmodels = ["path:nowhere"]\n[[translate.pairs]]\nfrom = "en"\nto = "de"\n'
        'model = "hf:org/nothing@main"\n',
        encoding="utf-8",
    )
    out, err = models("pull", "--all", code=1)
    assert f"hf:org/sentiment@main: org/sentiment@{hub.repositories['org/sentiment'].sha[:7]}" in out + err
    assert "hf:org/gated: This model isn't available" in err
    assert "path:nowhere: This model isn't available" in err
    assert "hf:org/nothing@main: There is no such repository, or it is private." in err


def test_two_pulls_at_once_fetch_every_file_once(hub: LoopbackHub, models: Shell) -> None:
    hub.add("org/emoji", Path(__file__).parents[2] / "models" / "emoji-sd")
    both = [models.start("pull", "hf:org/emoji@main") for _ in range(2)]
    for process in both:
        _, err = process.communicate()
        assert process.returncode == 0, err
    assert hub.requests.count("GET /org/emoji/unet/diffusion_pytorch_model.safetensors") == 1


def test_pinning_writes_the_newest_commits_and_shows_the_difference(hub: LoopbackHub, models: Shell) -> None:
    config = Path(models._folder) / "config.toml"
    shown, _ = models("pin", "--dry-run")
    assert config.read_text(encoding="utf-8") == CONFIG
    assert models("pin")[0] == shown
    sentiment, gated = (hub.repositories[name].sha for name in ("org/sentiment", "org/gated"))
    assert f'+models = ["hf:org/sentiment@{sentiment}"]  # small' in shown
    assert config.read_text(encoding="utf-8") == CONFIG.replace("sentiment@main", f"sentiment@{sentiment}").replace(
        "org/gated", f"org/gated@{gated}"
    )
    assert "Everything is pinned" in models("pin")[0]


def test_a_commit_of_another_branch_stays_and_one_of_main_moves(hub: LoopbackHub, models: Shell) -> None:
    old, other = "a" * 40, "b" * 40
    hub.repositories["org/sentiment"].history = (old,)
    config = Path(models._folder) / "config.toml"
    before = f'[sentiment]\r\nmodels = ["hf:org/sentiment@{old}"]\r\n# "hf:org/sentiment@{other}", "hf:a/b/c"\r\n'
    config.write_bytes(before.encode())
    config.chmod(0o640)
    models("pin")
    assert config.read_bytes().decode() == before.replace(old, hub.repositories["org/sentiment"].sha)
    assert config.stat().st_mode & 0o777 == 0o640
    assert not list(config.parent.glob("*.new"))


def test_what_cannot_be_pinned_stays_as_it_is(hub: LoopbackHub, models: Shell) -> None:
    """One that is gone, and one whose newest commit has no safetensors any more."""
    hub.add("org/pickled", only_pickle(Path(models._folder) / "pickled"))
    config = Path(models._folder) / "config.toml"
    config.write_text(CONFIG + f'# "hf:org/pickled@{"a" * 40}", "hf:org/nothing@main"\n', encoding="utf-8")
    _, err = models("pin", code=1)
    assert f"hf:org/pickled@{'a' * 40}: This model isn't available" in err
    assert "It has no weights in safetensors form" in err
    assert "hf:org/nothing@main: This model isn't available" in err
    pinned_text = config.read_text(encoding="utf-8")
    assert f'# "hf:org/pickled@{"a" * 40}", "hf:org/nothing@main"' in pinned_text
    assert hub.repositories["org/sentiment"].sha in pinned_text


def test_answers_that_make_no_sense_are_told_as_such(hub: LoopbackHub, models: Shell) -> None:
    config = Path(models._folder) / "config.toml"
    page = b"<html><h1>Log in to this network</h1></html>"
    for body in (b"{}", b"[1]", page):
        hub.faults[:] = [Fault("api/models", 200, body=body)]
        assert "isn't a Hub" in models("info", "hf:org/sentiment@main", code=1)[1]
    for body in (b"[1]", page):
        hub.faults[:] = [Fault("api/models", 200, body=body)]
        assert "The Hub can't be searched" in models("search", "x", "--task", "sentiment", code=1)[1]
    for body in (b"{}", b'{"id": "org/x", "sha": null, "siblings": [{"rfilename": "model.safetensors"}]}'):
        hub.faults[:] = [Fault("api/models", 200, body=body)]
        out, err = models("pin", code=1)
        assert "isn't a Hub" in err
        assert out == "Nothing was changed.\n"
        assert config.read_text(encoding="utf-8") == CONFIG


def test_searching(hub: LoopbackHub, models: Shell) -> None:
    found = models.json("search", "sent", "--task", "sentiment")
    assert found == [{"reference": "hf:org/sentiment", "downloads": 1_234, "licence": "mit", "gated": False}]
    assert "pipeline_tag=text-classification" in hub.requests[0]
    assert "There is no command sing" in models("search", "x", "--task", "sing", code=2)[1]
    hub.faults.append(Fault("api/models", 400))  # of 500 huggingface_hub asks again and again
    assert "The Hub can't be searched" in models("search", "x", "--task", "sentiment", code=1)[1]


def test_only_whole_references_in_quotes_are_pinned() -> None:
    toml = "models = ['hf:a/b', \"hf:a/b-large@v1\"]  # hf:a/b is good\n"
    assert [reference.text for reference in references_in(toml)] == ["hf:a/b", "hf:a/b-large@v1"]
    after = pinned(toml, lambda reference: f"new-{reference.revision}")
    assert after == "models = ['hf:a/b@new-None', \"hf:a/b-large@new-v1\"]  # hf:a/b is good\n"
    assert difference(toml, toml, "config.toml") == ""
