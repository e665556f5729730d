"""Test what the doctor says of devices, their memory and the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.config import parse_settings
from bot.doctor.machine import check_device, check_disk, check_torch, open_devices
from bot.hub.cards import Card
from bot.hub.weight_info import WeightInfo
from bot.machine.device import Device, _gpu_memory_bytes

GIB = 1 << 30
_SMI = """#!/bin/sh
case "$*" in
  *--query-gpu=index*) echo 0; echo 1;;
  *--id=0*|*--id=GPU-a*) echo 8192;;
  *) echo 24576;;
esac
"""


def card(name: str, gib: float, *, cached: bool = True) -> Card:
    """Return a model with so much of weights in fp16."""
    return Card(
        reference=name, name=name, cached=cached, weights=WeightInfo(int(gib * GIB), {"F16": int(gib * GIB / 2)})
    )


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nvidia-smi tell of two GPUs, of 8 and 24 GiB."""
    program = tmp_path / "nvidia-smi"
    program.write_text(_SMI, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("bot.machine.device._gpu_memory_bytes", _gpu_memory_bytes.__wrapped__)  # it remembers


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize(
    ("sizes", "state", "text"),
    [
        ([], "ok", "the models' weights take nothing yet, 7.7 GB may be used"),
        ([2, 3], "ok", "the models' weights take 5.4 GB, 7.7 GB may be used"),
        ([5, 6], "warning", "the models' weights take 11.8 GB, 7.7 GB may be used: they can't be in memory together."),
        ([1, 9], "error", "model 9 takes 9.7 GB, 8.6 GB are there."),
    ],
)
def test_the_plan_against_a_gpus_memory(sizes: list[int], state: str, text: str) -> None:
    check = check_device(Device("cuda:0"), "", [card(f"model {size}", size) for size in sizes])
    assert (check.state, check.text) == (state, text)
    assert bool(check.advice) == (state != "ok")


@pytest.mark.usefixtures("gpus")
def test_the_visible_gpus_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [Device(f"cuda:{n}").memory_bytes() for n in (0, 1)] == [8 * GIB, 24 * GIB]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,GPU-a")
    assert [Device(f"cuda:{n}").memory_bytes() for n in (0, 1)] == [24 * GIB, 8 * GIB]
    assert Device("cuda:0", memory_budget_bytes=GIB).planned_budget_bytes() == GIB


def test_what_nvidia_smi_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    check = check_device(Device("cuda:7"), "", [card("a", 100)])
    assert (check.state, check.text) == ("ok", "the models' weights take 107.4 GB; its memory isn't known")


async def test_a_device_that_torch_cannot_use() -> None:
    pytest.importorskip("torch")
    import torch

    if torch.cuda.device_count() > 7:
        pytest.skip("this machine has as many GPUs")
    ((cpu, fine), (gpu, why)) = await open_devices(parse_settings({"devices": {"use": ["cpu", "cuda:7"]}}).devices)
    assert (cpu.name, fine) == ("cpu", "")
    assert "NVIDIA" in why or "CUDA" in why
    assert check_device(gpu, why, []).state == "error"


def test_torch_is_named_as_it_says_itself() -> None:
    import torch

    check = check_torch()
    assert check.state == "ok"
    assert check.text.startswith(f"{torch.__version__}, built for ")
    assert (f"CUDA {torch.version.cuda}" if torch.version.cuda else "the CPU alone") in check.text


def test_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.doctor.machine.free_bytes", lambda: 3 * GIB)
    assert check_disk([card("a", 9), card("b", 2, cached=False)]).state == "ok"
    check = check_disk([card("a", 2, cached=False), card("b", 2, cached=False)])
    assert (check.state, check.text) == ("error", "4.3 GB to fetch, 3.2 GB free")
