"""Choose the device for a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.workers.executor import DeviceHandle


def choose_device(model: str, free: Sequence[DeviceHandle], sizes: Mapping[str, int]) -> DeviceHandle:
    """Return the free device that has the model in memory, else one with room for it, else the emptiest.

    `sizes` are the bytes of the models that were ever loaded; one that wasn't is taken to need nothing.
    """

    def rank(device: DeviceHandle) -> tuple[bool, bool, int]:
        used = sum(device.loaded.values())
        lacks_room = device.budget_bytes is not None and used + sizes.get(model, 0) > device.budget_bytes
        return model not in device.loaded, lacks_room, used

    return min(free, key=rank)
