"""Serve a model with LitServe.

python -m benchmarks.throughput.litserve_server TASK FOLDER THREADS PORT BATCH WAIT_S
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import litserve

from benchmarks.throughput.case import load_offline


class Api(litserve.LitAPI):
    """Classify batches of items."""

    def __init__(self, task: str, folder: Path, threads: int, batch_size: int, wait_s: float) -> None:
        super().__init__(max_batch_size=batch_size, batch_timeout=wait_s)
        self._what = (task, folder, threads, batch_size)

    def setup(self, device: str) -> None:  # noqa: ARG002 - there is only the CPU
        """Load the model in the server's worker process."""
        self._classify = load_offline(*self._what)

    def decode_request(self, request: dict[str, str]) -> str:
        """Return the item of a request."""
        return request["item"]

    def batch(self, inputs: list[str]) -> list[str]:
        """Leave the items as they are."""
        return inputs

    def predict(self, x: list[str]) -> list[Any]:
        """Classify a batch."""
        return list(self._classify(x))

    def unbatch(self, output: list[Any]) -> list[Any]:
        """Leave the answers as they are."""
        return output

    def encode_response(self, output: Any) -> dict[str, Any]:
        """Wrap an answer."""
        return {"answer": output}


if __name__ == "__main__":
    task, folder, threads, port, batch_size, wait_s = sys.argv[1:]
    api = Api(task, Path(folder), int(threads), int(batch_size), float(wait_s))
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(port), generate_client_file=False, log_level="warning")
