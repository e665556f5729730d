"""Measure how fast the bot process is ready for the gateway, how much memory it takes, and that it has no torch.

    python -m benchmarks.startup [--rounds 5] [--json]

A REST stand-in on loopback answers the login; the clock stops when the bot asks for the gateway's address. The worker
processes start meanwhile, as they do in real life.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psutil

SCRIPT = """
import asyncio, sys
import discord.http
discord.http.Route.BASE = sys.argv[1]
from bot.app import serve
asyncio.run(serve(None))
"""
_LONGEST_S = 60.0
_USER = {"id": "1", "username": "bot", "discriminator": "0", "avatar": None, "bot": True}
_ANSWERS: dict[str, Any] = {
    "/users/@me": _USER,
    "/oauth2/applications/@me": {
        "id": "1", "name": "bot", "description": "", "icon": None, "summary": "", "verify_key": "", "owner": _USER,
        "bot_public": True, "bot_require_code_grant": False, "flags": 0, "hook": True, "team": None,
    },
    "/applications/1/commands": [],
}  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        first = measure(folder)
        rounds = [measure(folder) for _ in range(options.rounds)]
    best = {
        "first_ready_s": first["ready_s"],
        "ready_s": min(r["ready_s"] for r in rounds),
        "rss_mb": max(r["rss_mb"] for r in rounds),
        "torch": rounds[0]["torch"],
    }
    if options.json:
        print(json.dumps(best))
        return
    print(f"ready for the gateway after {best['ready_s']:.2f} s (best of {options.rounds}), "
          f"{best['rss_mb']:.0f} MB resident, torch loaded: {best['torch']}; "
          f"the first start, which makes the job store, took {best['first_ready_s']:.2f} s")  # fmt: skip


def measure(folder: str) -> dict[str, Any]:
    """Start a bot once in a folder and look at it when it asks for the gateway."""
    seen: dict[str, float] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(seen))
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    started = time.perf_counter()
    log = Path(folder, "log.txt")
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, f"http://127.0.0.1:{server.server_address[1]}"],
            cwd=folder, env=_environment(), stderr=said,
        )  # fmt: skip
    while "gateway" not in seen:
        if process.poll() is not None or time.perf_counter() - started > _LONGEST_S:
            process.kill()
            sys.exit(f"The bot never asked for the gateway. It said:\n{log.read_text(encoding='utf-8')}")
        time.sleep(0.002)
    bot = psutil.Process(process.pid)
    result = {
        "ready_s": seen["gateway"] - started,
        "rss_mb": bot.memory_info().rss / 1e6,
        "torch": any("torch" in mapped.path for mapped in bot.memory_maps()),
    }
    process.terminate()
    process.wait(20)
    server.shutdown()
    return result


def _environment() -> dict[str, str]:
    return {**os.environ, "DISCORD_TOKEN": "none.such.token", "PYTHONPATH": str(Path(__file__).parents[1])}


def _handler(seen: dict[str, float]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answer what discord.py asks before it connects."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer with what is known of the path."""
            path = self.path.partition("?")[0]
            if path.startswith("/gateway"):
                seen.setdefault("gateway", time.perf_counter())
            body = json.dumps(_ANSWERS.get(path, {})).encode()
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(200 if path in _ANSWERS else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Stay quiet."""

    return Handler


if __name__ == "__main__":
    main()
