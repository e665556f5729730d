"""Serve a model with Ray Serve.

python -m benchmarks.throughput.ray_server TASK FOLDER THREADS PORT BATCH WAIT_S
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.throughput.case import load_offline


def classifier(task: str, folder: Path, threads: int, batch_size: int, wait_s: float) -> Any:
    """Return the deployment of a model."""

    @serve.deployment(max_ongoing_requests=256, ray_actor_options={"num_cpus": 1})
    class Classifier:
        """Classify batches of items."""

        def __init__(self) -> None:
            self._classify = load_offline(task, folder, threads, batch_size)

        @serve.batch(max_batch_size=batch_size, batch_wait_timeout_s=wait_s)
        async def _batch(self, items: list[str]) -> list[Any]:
            return list(self._classify(items))

        async def __call__(self, request: Request) -> Any:
            return await self._batch((await request.json())["item"])

    return Classifier.bind()  # type: ignore[attr-defined]


if __name__ == "__main__":
    task, folder, threads, port, batch_size, wait_s = sys.argv[1:]
    stopped = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1")
    serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
    serve.run(classifier(task, Path(folder), int(threads), int(batch_size), float(wait_s)), route_prefix="/predict")
    stopped.wait()
    serve.shutdown()
    ray.shutdown()
