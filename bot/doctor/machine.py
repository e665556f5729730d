"""Look at torch, the devices' memory and the disk."""

from __future__ import annotations

import asyncio
import runpy
import sys
from collections.abc import Sequence

from bot.config import DeviceSettings
from bot.doctor.check import Check, in_thread
from bot.hub.cache import free_bytes
from bot.hub.cards import Card
from bot.hub.file_size import format_size
from bot.hub.libraries.source import package_source
from bot.machine.device import Device

_TORCH_LIMIT_S = 60.0
_OPEN = "import sys; from bot.machine.device import Device; Device(sys.argv[1]).open()"
_INSTALL = "Install the build for this machine: https://pytorch.org/get-started/locally ."


def check_torch() -> Check:
    """Say which torch is installed and what for, by a file of it that has nothing but that."""
    file = package_source("torch") / "version.py"
    if not file.is_file():
        return Check("torch", "error", "It isn't installed.", _INSTALL)
    built = runpy.run_path(str(file))
    kinds = {"CUDA": built.get("cuda"), "ROCm": built.get("hip"), "XPU": built.get("xpu")}
    made_for = [f"{kind} {number}" for kind, number in kinds.items() if number] or ["the CPU alone"]
    return Check("torch", "ok", f"{built['__version__']}, built for {' and '.join(made_for)}")


async def open_devices(settings: DeviceSettings) -> list[tuple[Device, str]]:
    """Return the devices that would be used, and why torch can't use one."""
    devices = list(dict.fromkeys(await in_thread(settings.devices)))
    return list(zip(devices, await asyncio.gather(*map(_why_closed, devices)), strict=True))


async def _why_closed(device: Device) -> str:
    """Return why torch can't use a device; empty when it can. A process of its own tries: CUDA may abort it."""
    if device.name == "cpu":
        return ""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _OPEN, device.name, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, errors = await asyncio.wait_for(process.communicate(), _TORCH_LIMIT_S)
    except TimeoutError:
        process.kill()
        return f"no answer within {_TORCH_LIMIT_S:.0f} s"
    lines = errors.decode(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it ended") if process.returncode else ""


def check_device(device: Device, closed: str, cards: Sequence[Card]) -> Check:
    """Compare the memory that the models' weights take with what a device has and what may be used of it."""
    name, budget = f"device {device.name}", device.planned_budget_bytes()
    if closed:
        return Check(name, "error", f"torch can't use it: {closed}.", f"Check the driver with nvidia-smi. {_INSTALL}")
    sizes = {card.reference: card.weights.memory_bytes(device) for card in cards}
    largest, total = max(sizes, key=sizes.__getitem__, default=""), sum(sizes.values())
    plan = f"the models' weights take {format_size(total) or 'nothing yet'}"
    if budget is None:
        return Check(name, "ok", f"{plan}; its memory isn't known")
    room = f"{format_size(budget)} may be used"
    if sizes and sizes[largest] > (device.memory_bytes() or budget):
        text = (
            f"{largest} takes {format_size(sizes[largest])}, {format_size(device.memory_bytes() or budget)} are there."
        )
        return Check(name, "error", text, "Name a smaller model in the configuration.")
    if total > budget:
        advice = "Name fewer or smaller models if changing between them is slow, or raise memory_budget_gib."
        return Check(name, "warning", f"{plan}, {room}: they can't be in memory together.", advice)
    return Check(name, "ok", f"{plan}, {room}")


def check_disk(cards: Sequence[Card]) -> Check:
    """Compare what must still be fetched with the room on the Hub cache's disk."""
    needed = sum(card.weights.size_bytes for card in cards if not card.cached)
    free = free_bytes()
    text = f"{format_size(needed) or 'nothing'} to fetch, {format_size(free)} free"
    if needed > free:
        return Check("disk", "error", text, "Free some space (`hubcord models du` shows what takes it) or set HF_HOME.")
    return Check("disk", "ok", text)
