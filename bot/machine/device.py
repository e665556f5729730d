"""Describe a compute device, and find the machine's devices without importing torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from bot.machine.cgroup import memory_limit_bytes
from bot.machine.gc_control import collect_all
from bot.machine.malloc import give_back_memory

_NVIDIA_SMI_TIMEOUT_S = 10
_CPU_BUDGET_SHARE = 0.5
_CUDA_BUDGET_SHARE = 0.9
_FIRST_WITH_BF16 = (8, 0)
_GIB = 1 << 30
_FULL = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
"""Parts of torch's messages when memory runs out: CUDA's and MPS's, the CPU's on Linux and Windows, cuBLAS's."""
Precision = Literal["fp32", "bf16", "int8"]


@dataclass(frozen=True, slots=True)
class Device:
    """Name a device as torch does (`cpu`, `cuda:0`, `mps`) and say how to use it.

    `threads` is the number of CPU threads for arithmetic, `memory_budget_bytes` what its models may take together;
    None leaves both to the machine. `precision` is how finely models compute: a GPU takes fp16 for "auto", and for
    what it doesn't know; on the CPU "auto" measures (`bot.cpu.choice`). `workers` share the device's
    memory.
    """

    name: str
    threads: int | None = None
    memory_budget_bytes: int | None = None
    precision: Literal["auto", Precision] = "auto"
    workers: int = 1

    @property
    def is_cuda(self) -> bool:
        """Say whether this is an NVIDIA (or ROCm) device."""
        return self.name.startswith("cuda")

    @property
    def dtype(self) -> Any:
        """Return the torch dtype to load weights in: on a GPU float16 unless told otherwise, else float32."""
        import torch

        if self.precision == "bf16" and self._knows_bf16():
            return torch.bfloat16
        half = self.precision != "fp32" and (self.is_cuda or self.name == "mps")
        return torch.float16 if half else torch.float32

    def _knows_bf16(self) -> bool:
        import torch

        return not self.is_cuda or torch.cuda.get_device_capability(self.name) >= _FIRST_WITH_BF16

    def open(self) -> None:
        """Prepare this process for the device; raise RuntimeError when torch can't use it."""
        import torch

        if self.threads:
            torch.set_num_threads(self.threads)
        torch.zeros(1, device=self.name)

    def budget_bytes(self) -> int:
        """Return how many bytes the loaded models may take together."""
        if self.memory_budget_bytes:
            return self.memory_budget_bytes
        if self.is_cuda:
            import torch

            return int(torch.cuda.mem_get_info(self.name)[1] * _CUDA_BUDGET_SHARE / self.workers)
        return int(_main_memory_bytes() * _CPU_BUDGET_SHARE / self.workers)

    def planned_budget_bytes(self) -> int | None:
        """Return what `budget_bytes` will be, without torch; None when the device's memory isn't known."""
        if self.memory_budget_bytes:
            return self.memory_budget_bytes
        share, memory = _CUDA_BUDGET_SHARE if self.is_cuda else _CPU_BUDGET_SHARE, self.memory_bytes()
        return None if memory is None else int(memory * share / self.workers)

    def memory_bytes(self) -> int | None:
        """Return the memory of the CPU, or what nvidia-smi tells of a GPU; None when it isn't known."""
        if not self.is_cuda:
            return _main_memory_bytes()
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        index = int(self.name.partition(":")[2])
        return _gpu_memory_bytes(visible[index].strip() if index < len(visible) and visible[index] else str(index))

    def is_broken(self) -> bool:
        """Say whether an error has spoiled the device for this process: after some, CUDA refuses everything."""
        if not self.is_cuda:
            return False
        import torch

        try:
            torch.cuda.synchronize(self.name)
        except RuntimeError:
            return True
        return False

    def empty_cache(self) -> None:
        """Give memory that is kept for later back to the device and the system."""
        import torch

        collect_all()
        give_back_memory()
        if self.is_cuda:
            torch.cuda.empty_cache()


class DeviceBroken(Exception):
    """Tell that this process can't use its device any more."""


def is_out_of_memory(error: Exception) -> bool:
    """Say whether a device's memory ran out."""
    import torch

    if isinstance(error, RuntimeError) and any(sign in str(error) for sign in _FULL):
        return True
    return isinstance(error, torch.OutOfMemoryError | MemoryError)


def compute_alone() -> None:
    """Let the calling thread compute on one core from now on; new threads use as many as before.

    Helping threads would count among OpenMP's threads. Those would then be more than the cores, and no longer spin.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    others = threading.Thread(target=torch.set_num_threads, args=(threads,))  # it holds for the thread and later ones
    others.start()
    others.join()


def usable_cpus() -> int:
    """Return the number of processors that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def find_devices() -> list[str]:
    """Return the names of all CUDA devices that may be used, or `["cpu"]`.

    nvidia-smi is asked, so that the bot process needs no torch; `CUDA_VISIBLE_DEVICES` is honoured.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        count = len([part for part in visible.split(",") if part.strip() not in ("", "-1")])
    else:
        count = len(_nvidia_smi(["--query-gpu=index", "--format=csv,noheader"]))
    return [f"cuda:{index}" for index in range(count)] or ["cpu"]


@lru_cache
def _gpu_memory_bytes(gpu: str) -> int | None:
    """Ask nvidia-smi about a GPU, named by its number or UUID."""
    answer = _nvidia_smi(["--query-gpu=memory.total", "--format=csv,noheader,nounits", f"--id={gpu}"])
    return int(answer[0]) << 20 if answer and answer[0].strip().isdigit() else None


def _nvidia_smi(arguments: Sequence[str]) -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed program with fixed arguments
            [program, *arguments], capture_output=True, text=True, timeout=_NVIDIA_SMI_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line for line in answer.stdout.splitlines() if line.strip()]


def _main_memory_bytes() -> int:
    """Return the memory of the machine, or what this process may use of it."""
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        physical = 8 * _GIB
    return min(physical, memory_limit_bytes() or physical)
