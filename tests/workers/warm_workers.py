"""Start worker processes that have imported the heavy libraries already, which else takes each of them seconds."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.context import ForkServerContext
from pathlib import Path

_HEAVY = [
    "bot.workers.main",
    "torch",
    "torchvision.transforms.v2",
    "transformers.models.auto.modeling_auto",
    "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
]


def start_fork_server(said: Path) -> ForkServerContext:
    """Start the process whose forks are workers, each new but for its imports; what they print is appended to a file.

    Their environment is the one of now.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_HEAVY)
    ours = os.dup(2)
    with said.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        first = context.Process(target=int)
        first.start()
    finally:
        os.dup2(ours, 2)
        os.close(ours)
    first.join()
    return context
