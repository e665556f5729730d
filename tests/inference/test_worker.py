"""Test what a worker process says by itself."""

from __future__ import annotations

import logging
import subprocess
import sys

QUIET = f"""
from bot.inference.worker import _quiet_libraries
_quiet_libraries({logging.WARNING})
from huggingface_hub.utils import logging
logging.get_logger("huggingface_hub.utils._http").warning("Retrying in 1s")
"""


def test_the_hub_library_says_nothing_of_its_retries() -> None:
    run = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, check=True, timeout=60)
    assert run.stderr == b""
