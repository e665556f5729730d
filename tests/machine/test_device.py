"""Test how much of a machine's memory and processors counts as there to be used."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.config import parse_settings
from bot.machine.cgroup import cpu_limit, memory_limit_bytes
from bot.machine.device import Device, compute_alone

GIB = 1 << 30
VERSION_2 = "0::/bots/hubcord\n"
VERSION_1 = "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n0::/\n"


class Groups:
    """Be the files that tell of control groups."""

    def __init__(self, folder: Path, own: str, **files: str) -> None:
        self.mount, self.own = folder / "cgroup", folder / "own"
        self.own.write_text(own, encoding="utf-8")
        for name, text in files.items():
            path = self.mount / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n", encoding="utf-8")

    @property
    def memory(self) -> int | None:
        return memory_limit_bytes(self.mount, self.own)

    @property
    def cpus(self) -> float | None:
        return cpu_limit(self.mount, self.own)


def test_no_groups_limit_nothing(tmp_path: Path) -> None:
    groups = Groups(tmp_path, VERSION_2, **{"bots/hubcord/memory.max": "max", "bots/hubcord/cpu.max": "max 100000"})
    assert (groups.memory, groups.cpus) == (None, None)
    assert memory_limit_bytes(tmp_path, tmp_path / "nowhere") is None


def test_the_smallest_limit_of_a_group_and_its_parents_counts(tmp_path: Path) -> None:
    files = {"bots/hubcord/memory.max": str(4 * GIB), "bots/memory.max": str(3 * GIB), "bots/cpu.max": "150000 100000"}
    groups = Groups(tmp_path, VERSION_2, **files)
    assert (groups.memory, groups.cpus) == (3 * GIB, 1.5)


def test_a_container_of_the_first_version(tmp_path: Path) -> None:
    files = {
        "memory/memory.limit_in_bytes": str(2 * GIB),
        "cpu/cpu.cfs_quota_us": "200000",
        "cpu/cpu.cfs_period_us": "100000",
    }
    groups = Groups(tmp_path, VERSION_1, **files)
    assert (groups.memory, groups.cpus) == (2 * GIB, 2.0)


def test_a_container_without_limits_of_the_first_version(tmp_path: Path) -> None:
    files = {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}
    assert Groups(tmp_path, VERSION_1, **files).cpus is None


def test_workers_share_what_a_container_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.machine.device.memory_limit_bytes", lambda: 2 << 20)
    alone, *pair = (Device("cpu"), *parse_settings({"devices": {"use": ["cpu", "cpu"]}}).devices.devices())
    assert (alone.memory_bytes(), alone.budget_bytes()) == (2 << 20, 1 << 20)
    assert [device.budget_bytes() for device in pair] == [1 << 19] * 2
    assert [device.planned_budget_bytes() for device in pair] == [1 << 19] * 2


def test_a_thread_can_compute_alone_and_leave_the_others_their_threads() -> None:
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with ThreadPoolExecutor(1) as alone, ThreadPoolExecutor(1) as later:
            alone.submit(compute_alone).result()
            assert alone.submit(torch.get_num_threads).result() == 1
            assert later.submit(torch.get_num_threads).result() == torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
