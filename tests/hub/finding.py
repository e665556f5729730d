"""Find models in a fresh process: huggingface_hub reads its environment when it is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.hub.loopback_hub import LoopbackHub

TOKEN = "hf_mayreadthis"
_SCRIPT = """
import json, logging, sys
from bot.errors import UserError
from bot.hub.model_filter import ANYTHING
from bot.hub.resolve import find_model
from bot.tasks.registry import TASKS
logging.basicConfig(level=logging.DEBUG)
out = []
for argument in sys.argv[1:]:
    task, _, reference = argument.rpartition(" ")
    shares = []
    try:
        accepts = TASKS[task].model_filter if task else ANYTHING
        files = find_model(reference, lambda done, total: shares.append(done / (total or 1)), accepts)
        out.append({"shown": files.shown, "size": files.size_bytes, "last": shares[-1:], "shares": shares,
                    "files": sorted(p.name for p in files.folder.rglob("*"))})
    except UserError as error:
        out.append({"error": str(error), **error.values})
print(json.dumps(out))
"""


def hub_environment(hub: LoopbackHub | str, home: Path) -> dict[str, str]:
    """Return the environment of a process that uses a Hub on this machine, with empty caches of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return inherited | {
        "HF_ENDPOINT": hub if isinstance(hub, str) else hub.url,
        "HF_HOME": str(home),
        "HUBCORD_CACHE": str(home / "hubcord"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def find_in_subprocess(
    hub: LoopbackHub | str, home: Path, *references: str, **environment: str
) -> list[dict[str, Any]]:
    """Find models, each `REFERENCE` or `TASK REFERENCE`; check that the token is in no output and no log."""
    run = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *references],
        env=hub_environment(hub, home) | environment,
        capture_output=True,
        check=False,
        text=True,
    )
    assert TOKEN not in run.stdout + run.stderr
    assert run.returncode == 0, run.stderr
    answers: list[dict[str, Any]] = json.loads(run.stdout)
    return answers
