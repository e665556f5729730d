"""Read how much memory and processor time this process may use at most, as containers and services are limited."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_MOUNT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def memory_limit_bytes(mount: Path = _MOUNT, own: Path = _OWN) -> int | None:
    """Return the smallest limit on the memory of this process's control groups; None when there is none."""
    texts = (
        _read(folder / name)
        for folder in _folders("memory", mount, own)
        for name in ("memory.max", "memory.limit_in_bytes")
    )
    return min((int(text) for text in texts if text.isdigit()), default=None)


def cpu_limit(mount: Path = _MOUNT, own: Path = _OWN) -> float | None:
    """Return the smallest limit on the processors of this process's control groups; None when there is none."""
    found = []
    for folder in _folders("cpu", mount, own):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        quota, period = quota or _read(folder / "cpu.cfs_quota_us"), period or _read(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit():
            found.append(int(quota) / int(period))
    return min(found, default=None)


def _folders(controller: str, mount: Path, own: Path) -> Iterator[Path]:
    """Yield the folders of the groups and their parents, of both versions of Linux's control groups.

    Inside of a container the parents are the container itself; what is above isn't there.
    """
    for line in _read(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = mount / controller if controllers else mount
        group = PurePosixPath(path.lstrip("/"))
        yield from (top / part for part in (group, *group.parents))


def _read(path: Path) -> str:
    """Return what a file says; nothing when it isn't there."""
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8").strip()
    return ""
