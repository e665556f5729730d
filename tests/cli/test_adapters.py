"""Test adapters from a Hub on this machine, by the command line: fetched, applied, told of, and refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.cli.pin import pinned
from bot.hub.reference import shown_model
from tests.conftest import ROOT
from tests.hub.finding import hub_environment
from tests.hub.loopback_hub import Fault, LoopbackHub, serve_hub
from tests.models.bare_pipelines import bare_adapter
from tests.models.tiny_pipelines import tiny_lora, tiny_sdxl

pytestmark = pytest.mark.filterwarnings("ignore")  # what libraries say of their own next versions
EMOJI = ROOT / "models" / "emoji-sd"
CARD = "---\nlicense: mit\nbase_model: org/model\ninstance_prompt: pixel art\n---\nA style."
CONFIG = """
[imagine]
models = ["path:{emoji}"]
[[imagine.loras]]
name = "wild"
model = "hf:org/styles@{sha}#wild.safetensors"
weight = 0.9
[[imagine.loras]]
name = "unfit"
model = "hf:org/styles@main#unfit.safetensors"
[[imagine.loras]]
name = "several"
model = "hf:org/styles@main"
[[imagine.loras]]
name = "whole"
model = "hf:org/model@main"
[[imagine.loras]]
name = "gone"
model = "path:gone.safetensors"
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackHub]:
    folder = tmp_path_factory.mktemp("repositories")
    tiny_lora(folder / "styles" / "wild.safetensors", EMOJI)
    tiny_lora(folder / "styles" / "unfit.safetensors", tiny_sdxl(folder / "model"))
    bare_adapter(folder / "carded", CARD)
    with serve_hub() as hub:
        hub.add("org/styles", folder / "styles")
        hub.add("org/model", folder / "model")
        hub.add("org/carded", folder / "carded")
        yield hub


class Shell:
    """Run the command line in a folder with a configuration and empty caches."""

    def __init__(self, hub: LoopbackHub, folder: Path) -> None:
        self._folder = folder
        self._environment = hub_environment(hub, folder / "home") | {"COLUMNS": "200"}
        text = CONFIG.format(emoji=EMOJI, sha=hub.repositories["org/styles"].sha)
        self.configure(text)

    def configure(self, text: str) -> None:
        """Write the configuration."""
        (self._folder / "config.toml").write_text(text, encoding="utf-8")

    def adapter(self, name: str) -> dict[str, Any]:
        """Return what is listed of an adapter."""
        listed: list[dict[str, Any]] = json.loads(self("models", "list", "--json")[0])
        return next(entry for entry in listed if entry["adapter"] == name)

    def __call__(self, *arguments: str, code: int = 0, stdin: str = "") -> tuple[str, str]:
        run = subprocess.run(
            [sys.executable, "-m", "bot", *arguments],
            cwd=self._folder, env=self._environment, input=stdin, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert run.returncode == code, run.stderr
        return run.stdout, run.stderr

    def pictures(self, *prompts: str, options: Sequence[str] = ()) -> list[tuple[dict[str, Any], bytes]]:
        """Return what is told of each picture, and its pixels."""
        out, _err = self("imagine", "-", "--seed", "5", "--steps", "2", "--json", *options, stdin="\n".join(prompts))
        return [(told, self._pixels(told["files"][0])) for told in map(json.loads, out.splitlines())]

    def _pixels(self, file: str) -> bytes:
        with Image.open(self._folder / file) as image:
            return image.tobytes()


@pytest.fixture
def shell(hub: LoopbackHub, tmp_path: Path) -> Shell:
    return Shell(hub, tmp_path)


def test_an_adapter_is_fetched_once_and_changes_the_picture(hub: LoopbackHub, shell: Shell) -> None:
    hub.requests.clear()
    prompts = ("a red heart", "a red heart <lora:wild:0.5>", "a red heart <lora:wild>")
    (plain, without), (told, styled), (usual, strong) = shell.pictures(*prompts)
    assert (plain["loras"], plain["scheduler"]) == ([], "DPM++ 2M")
    assert (told["loras"], usual["loras"]) == (["wild:0.5"], ["wild:0.9"])
    assert len({without, styled, strong}) == 3
    assert any(request.endswith("wild.safetensors") for request in hub.requests)
    assert not any("unfit" in request for request in hub.requests)
    hub.requests.clear()
    assert shell.pictures("a red heart", options=["--lora", "wild:0.5"])[0][1] == styled
    assert hub.requests == [], "a pinned adapter in the cache takes no request"


def test_what_cannot_be_used_is_one_line(shell: Shell) -> None:
    prompts = (f"a red heart <lora:{name}>" for name in ("unfit", "several", "whole"))
    out, err = shell("imagine", "-", "--steps", "2", code=1, stdin="\n".join(prompts))
    unfit, several, whole = err.splitlines()
    assert out == ""
    assert "The adapter “unfit” doesn't fit emoji-sd. Choose another adapter or another model. org/styles" in unfit
    assert "This adapter isn't available on this server yet. hf:org/styles@main: There are 2 adapters" in several
    assert "hf:org/model@main: It is StableDiffusionXLPipeline, but the command takes LoRA adapters" in whole


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("wild:9", "“9” is no weight of an adapter."),
        ("nothing", "There is no adapter “nothing” here. Choose one of: wild, unfit, several, whole, gone."),
    ],
)
def test_a_bad_option_is_one_line(shell: Shell, name: str, complaint: str) -> None:
    out, err = shell("imagine", "a red heart", "--steps", "2", "--lora", name, code=2)
    assert complaint in err
    assert (out, len(err.splitlines())) == ("", 1)


def test_a_damaged_adapter_is_thrown_away(hub: LoopbackHub, shell: Shell) -> None:
    hub.faults = [Fault("wild.safetensors", damaged=True)]
    wild = f"hf:org/styles@{hub.repositories['org/styles'].sha}#wild.safetensors"
    _out, err = shell("models", "pull", wild, code=1)
    assert "The file wild.safetensors arrived damaged." in err
    assert not shell.adapter("wild")["cached"]
    hub.faults = []
    shell("models", "pull", wild)
    assert shell.adapter("wild")["cached"]


def test_adapters_are_listed_pulled_and_examined(hub: LoopbackHub, shell: Shell) -> None:
    sha = hub.repositories["org/styles"].sha
    wild = f"hf:org/styles@{sha}#wild.safetensors"
    _out, err = shell("models", "pull", wild)
    assert err == f"{wild}: {shown_model('org/styles#wild.safetensors', sha)}\n"
    (card,) = [card for card in json.loads(shell("models", "list", "--json")[0]) if card["reference"] == wild]
    assert (card["task"], card["default"], card["cached"], card["trouble"]) == ("imagine", False, True, "")
    assert (card["adapter"], card["models"]) == ("wild", [f"path:{EMOJI}"])
    assert "adapter wild for emoji-sd: org/styles#wild.safetensors@" in shell("models", "list")[0]
    assert json.loads(shell("models", "info", "wild", "--json")[0])["reference"] == wild
    assert card["weights"]["size_bytes"] > 0
    checks = json.loads(shell("doctor", "--json", code=1)[0])["checks"]
    found = {check["name"]: (check["state"], check["text"]) for check in checks}
    assert found[f"imagine model {wild}"][0] == "ok"
    assert found["imagine model path:gone.safetensors"] == ("error", "There is no such folder or file.")


def test_an_adapter_is_for_the_model_that_its_card_names(hub: LoopbackHub, shell: Shell) -> None:
    """Its card comes with it; from then on it is refused for others at once: nothing is fetched or loaded for that."""
    model, carded = (f"hf:{name}@{hub.repositories[name].sha}" for name in ("org/model", "org/carded"))
    shell.configure(f"""
[imagine]
models = ["path:{EMOJI}", "{model}"]
loras = [{{ name = "carded", model = "{carded}" }}]
""")
    assert shell.adapter("carded")["models"] == [f"path:{EMOJI}", model], "nothing is known yet"
    shell("models", "pull", model, carded)
    hub.requests.clear()
    card = shell.adapter("carded")
    assert (card["models"], card["base_models"], card["licence"]) == ([model], ["org/model"], "mit")
    _out, err = shell("imagine", "a heart", "--lora", "carded", code=1)
    assert err == (
        "The adapter “carded” doesn't fit emoji-sd. Choose another adapter or another model. "
        f"{carded}: its card says that it is for org/model\n"
    )
    _out, err = shell("imagine", "a heart", "--model", model, "--scheduler", "x", code=2)
    assert err.startswith("There is no scheduler “x”.")
    assert hub.requests == []
    shown, _err = shell("models", "info", "carded")
    assert "Base model" in shown
    assert "pixel art" in shown


def test_pinning_keeps_the_name_of_the_file() -> None:
    before = 'model = "hf:org/styles@main#wild.safetensors"'
    assert pinned(before, lambda _: "0" * 40) == f'model = "hf:org/styles@{"0" * 40}#wild.safetensors"'
