"""Test what the configuration accepts and how it complains."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from bot.config import Settings, discord_token, load_settings, parse_settings
from bot.errors import ConfigError
from bot.tasks.imagine.task import IMAGINE
from bot.tasks.registry import TASKS

EXAMPLE = Path(__file__).parents[1] / "config.example.toml"
PAIR = {"from": "en", "to": "de", "model": "hf:a/t5", "prefix": "to German: "}
LORA = {"name": "ink", "model": "path:ink.safetensors"}


def test_the_example_is_valid() -> None:
    settings = load_settings(EXAMPLE)
    assert settings.tasks.keys() == TASKS.keys()
    assert settings.of(IMAGINE).models[0].startswith("hf:CompVis/stable-diffusion-v1-4@")


def test_the_example_has_every_key_with_its_default() -> None:
    """Models apart: the example names the hubs', the defaults are the bundled ones."""
    shown: dict[str, Any] = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    plain = parse_settings({})
    for table, field in type(plain).model_fields.items():
        values = getattr(plain, table)
        assert isinstance(values, BaseModel), field
        keys = set(type(values).model_fields)
        assert set(shown[table]) == keys, table
        for key in keys - {"models", "pairs"}:
            default = getattr(values, key)
            assert shown[table][key] == (list(default) if isinstance(default, tuple) else default), (table, key)


def _alternatives(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each commented alternative begins and ends, in lines: a model in a list, or a table."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if re.match(r'\s*# "\w+:', line):
            yield number, number + 1
        elif line.startswith("# [["):
            yield number, next((n for n in range(number, len(lines)) if not lines[n].startswith("#")), len(lines))


def _uncommented(text: str, *places: tuple[int, int]) -> str:
    taken = {number for start, end in places for number in range(start, end)}
    return "\n".join(
        line.replace("# ", "", 1) if number in taken else line for number, line in enumerate(text.splitlines())
    )


def test_each_alternative_of_the_example_is_valid_and_adds_a_model() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    before = parse_settings(tomllib.loads(text))
    places = list(_alternatives(text))
    assert len(places) > 10
    for place in places:
        after = parse_settings(tomllib.loads(_uncommented(text, place)))
        (added,) = {r for t in after.tasks.values() for r in t.references} - {
            r for t in before.tasks.values() for r in t.references
        }
        described = " ".join(text.splitlines()[place[0] : place[1]]).partition(f'"{added}"')[2]
        assert re.search(r"\w.*, \d+(\.\d+)? GB$", described), added
    assert parse_settings(tomllib.loads(_uncommented(text, *places)))


def test_without_a_file_the_bundled_models_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert all(reference.startswith("bundled:") for task in settings.tasks.values() for reference in task.references)


def test_config_toml_in_the_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text("[queue]\nper_user = 3\n", encoding="utf-8")
    assert load_settings().queue.per_user == 3


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"quue": {}}, "quue: there is no such key. Allowed here: discord, queue,"),
        ({"queue": {"capasity": 1}}, "queue.capasity: there is no such key. Allowed here: capacity, capacity_mb"),
        ({"queue": {"capacity": 0}}, "queue.capacity: input should be greater than or equal to 1"),
        ({"queue": {"capacity": "5"}}, "queue.capacity: input should be a valid integer"),
        ({"queue": {"capacity": True}}, "queue.capacity: input should be a valid integer"),
        ({"queue": {"expire_s": -1}}, "queue.expire_s: input should be greater than 0"),
        ({"queue": 3}, "queue: input should be an object"),
        ({"devices": {"use": "gpu"}}, 'devices.use: allowed are "auto" and lists of names like "cpu"'),
        ({"devices": {"use": ["cuda"]}}, "devices.use: allowed are"),
        ({"devices": {"use": []}}, "devices.use: allowed are"),
        ({"devices": {"precision": "int4"}}, "devices.precision: input should be 'auto', 'fp32', 'bf16' or 'int8'"),
        ({"devices": {"precision": 8}}, "devices.precision: input should be 'auto', 'fp32'"),
        ({"imagine": {"models": ["foo"]}}, "imagine.models.0: a model reference is hf:ORG/NAME@REVISION"),
        ({"imagine": {"models": []}}, "imagine.models: "),
        ({"imagine": {"defaults": [{"model": "x"}]}}, "imagine: there is no model “x” here. Choose one of: emoji-sd."),
        ({"imagine": {"defaults": [{"model": "emoji-sd", "size": "9"}]}}, "imagine.defaults.0.size: “9” is no size."),
        ({"imagine": {"defaults": [{"model": "emoji-sd", "scheduler": "x"}]}}, "there is no scheduler “x”. Choose"),
        ({"imagine": {"loras": [LORA | {"for": ["x"]}]}}, "imagine: there is no model “x” here."),
        ({"imagine": {"loras": [LORA, LORA | {"name": "INK"}]}}, "imagine: two adapters have the same name."),
        (
            {"imagine": {"loras": [LORA | {"model": "torchvision:resnet50"}]}},
            "imagine.loras.0.model: an adapter is hf:",
        ),
        ({"imagine": {"loras": [LORA | {"name": "a b"}]}}, "imagine.loras.0.name: string should match"),
        ({"imagine": {"loras": [LORA | {"weight": 3}]}}, "imagine.loras.0.weight: input should be less than"),
        ({"imagine": {"loras": [LORA | {"wait": 3}]}}, "there is no such key. Allowed here: name, model, weight, for,"),
        ({"imagine": {"alt_text": "x"}}, "imagine.alt_text: input should be 'prompt' or 'caption'"),
        ({"imagine": {"alt_text": "caption"}}, "\n  imagine.alt_text: this needs a model, and [describe] has none."),
        ({"queue": {"tiers": [{"role": 5}]}}, "queue.tiers.0.weight: field required"),
        ({"queue": {"tiers": [{"role": "5", "weight": 1}]}}, "queue.tiers.0.role: input should be a valid integer"),
        ({"queue": {"tiers": [{"role": 0, "weight": 1}]}}, "queue.tiers.0.role: input should be greater than or"),
        ({"queue": {"tiers": [{"role": 5, "weight": 0}]}}, "queue.tiers.0.weight: input should be greater than 0"),
        ({"queue": {"tiers": [{"role": 5, "weight": 101}]}}, "queue.tiers.0.weight: input should be less than or"),
        ({"queue": {"tiers": [{"role": 5, "wieght": 1}]}}, "queue.tiers.0.wieght: there is no such key. Allowed here:"),
        ({"queue": {"tiers": [{"role": 5, "weight": 1}] * 2}}, "queue.tiers: role 5 has 2 weights"),
        ({"translate": {"pairs": [{"form": "en"}]}}, "there is no such key. Allowed here: from, to, model"),
        ({"translate": {"pairs": [{"from": "en"}]}}, "translate.pairs.0.to: field required"),
        (
            {"translate": {"pairs": [PAIR | {"to": ["de", "fr"]}]}},
            "translate.pairs.0.prefix: it says which language to",
        ),
        ({"translate": {"pairs": [PAIR | {"prefix": " "}]}}, "translate.pairs.0.prefix: it is empty; leave it out"),
        ({"discord": {"token": "abc"}}, "discord.token: secrets belong in the environment"),
        ({"discord": {"log_level": "LOUD"}}, "discord.log_level: input should be 'DEBUG', 'INFO'"),
        ({"hub": {"trusted_torchhub": ["pytorch"]}}, "hub.trusted_torchhub.0: string should match"),
        ({"store": {"url": "nonsense"}}, "store.url: this is no database URL"),
        ({"store": {"url": "sqlite:///x.db"}}, "store.url: the driver pysqlite can't be used here. SQLite's is"),
    ],
)
def test_a_mistake_is_named_with_its_key(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_settings(values)
    assert complaint in str(error.value)


def test_the_highest_tier_counts() -> None:
    queue = parse_settings({"queue": {"tiers": [{"role": 5, "weight": 2}, {"role": 6, "weight": 0.5}]}}).queue
    assert [queue.weight(roles) for roles in ((), (7,), (6,), (7, 6, 5))] == [1.0, 1.0, 0.5, 2.0]


def test_all_mistakes_are_named_at_once_and_values_are_not_shown() -> None:
    values = {
        "queue": {"capacity": 0, "x": "secret-one"},
        "discord": {"token": "secret-two"},
        "store": {"url": "secret-3"},
    }
    with pytest.raises(ConfigError) as error:
        parse_settings(values)
    text = str(error.value)
    assert all(key in text for key in ("queue.capacity", "queue.x", "discord.token", "store.url"))
    assert "secret-" not in text


@pytest.mark.parametrize(
    ("content", "complaint"), [(b"[queue", "is no valid TOML"), (b"\xff\xfe", "can't be read"), (None, "There is no")]
)
def test_a_file_that_is_no_configuration(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    path = tmp_path / "config.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=complaint):
        load_settings(path)


def test_the_precision_is_given_to_every_device() -> None:
    settings = parse_settings({"devices": {"use": ["cuda:0", "cpu"], "precision": "int8"}})
    assert [device.precision for device in settings.devices.devices()] == ["int8", "int8"]
    assert parse_settings({}).devices.precision == "auto"


def test_settings_never_change() -> None:
    settings: Settings = parse_settings({})
    with pytest.raises(ValueError, match="frozen"):
        settings.queue.capacity = 5  # type: ignore[misc]


def test_a_missing_token_tells_how_to_get_one() -> None:
    with pytest.raises(ConfigError, match="Reset Token") as error:
        discord_token({})
    assert "permissions=274877959168" in str(error.value)


def test_a_token_is_not_shown() -> None:
    token = discord_token({"DISCORD_TOKEN": " abc.def "})
    assert "abc" not in repr(token)
    assert token.get_secret_value() == "abc.def"


@pytest.mark.parametrize(
    ("devices", "limit", "threads"),
    [
        ({"use": ["cpu"]}, None, [None]),
        ({"use": ["cpu", "cpu"]}, None, [2, 2]),
        ({"use": ["cpu", "cuda:0", "cpu"]}, None, [2, 2, 2]),
        ({"use": ["cpu"] * 9}, None, [1] * 9),
        ({"use": ["cpu", "cpu"], "threads": 3}, None, [3, 3]),
        ({"use": ["cpu"]}, 8.0, [None]),
        ({"use": ["cpu"]}, 2.5, [2]),
        ({"use": ["cpu", "cpu"]}, 2.0, [1, 1]),
        ({"use": ["cuda:0"]}, 0.5, [1]),
    ],
)
def test_workers_on_the_cpu_share_its_cores(
    devices: dict[str, Any], limit: float | None, threads: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.config.usable_cpus", lambda: 4)
    monkeypatch.setattr("bot.config.cpu_limit", lambda: limit)
    settings = parse_settings({"devices": devices})
    assert [device.threads for device in settings.devices.devices()] == threads
