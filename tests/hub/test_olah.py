"""Fetch, load and answer from a Hub that none of us wrote: olah, a mirror server, over a git repository with LFS.

It needs other versions of our packages, so it lives in a venv of its own, with its `olah-cli` on the PATH:

    python -m venv olah && olah/bin/pip install olah==0.5.4
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.fakes.skipping import skip_without
from tests.hub.finding import TOKEN, find_in_subprocess, hub_environment
from tests.hub.loopback_hub import lfs_pointer, serve_hub
from tests.models.tiny_models import tiny_sentiment

OLAH, GIT = shutil.which("olah-cli"), shutil.which("git")
_CONFIG = """
[basic]
repos-path = "{folder}/cache"
mirrors-path = ["{folder}/mirrors"]
[accessibility]
offline = true
"""
_START_S = 60.0


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    if not (OLAH and GIT):
        skip_without("olah", "olah-cli or git isn't on the PATH")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("olah")


@pytest.fixture(scope="module")
def commit(folder: Path) -> str:
    """Make the repository org/sentiment, its weights in LFS, with the tag v1; return its commit."""
    repository = tiny_sentiment(folder / "mirrors" / "models" / "org" / "sentiment")
    weights = repository / "model.safetensors"
    content, pointer = weights.read_bytes(), lfs_pointer(weights.read_bytes())
    weights.write_bytes(pointer)
    _git(repository, "init", "--quiet", "--initial-branch=main")
    _git(repository, "add", ".")
    _git(repository, "commit", "--quiet", "--message=model")
    _git(repository, "tag", "v1")
    oid = pointer.split(b"sha256:")[1][:64].decode()
    stored = repository / ".git" / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
    stored.parent.mkdir(parents=True)
    stored.write_bytes(content)
    return _git(repository, "rev-parse", "HEAD")


def _git(repository: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(
        [str(GIT), *who, *arguments], cwd=repository, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def olah(folder: Path, commit: str) -> Iterator[str]:
    """Serve the repository; yield the address."""
    (folder / "olah.toml").write_text(_CONFIG.format(folder=folder), encoding="utf-8")
    with _serve(folder, "org/sentiment", commit, "--config", "olah.toml") as url:
        yield url


@contextlib.contextmanager
def _serve(folder: Path, name: str, revision: str, *options: str) -> Iterator[str]:
    """Run olah until the block ends; yield its address when it knows this repository."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [str(OLAH), "--host", "127.0.0.1", "--port", str(port), *options]
    with (folder / "olah.log").open("w", encoding="utf-8") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            _wait_for(f"{url}/api/models/{name}/revision/{revision}", server)
            yield url
        finally:
            server.terminate()
            server.wait(20)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(httpx2.TransportError):
            httpx2.get(url).raise_for_status()
            return
        time.sleep(0.2)
    pytest.fail("olah doesn't answer")


@pytest.mark.parametrize("revision", ["", "@main", "@v1", "@{commit}"])
def test_a_model_is_found_by_branch_tag_and_commit(olah: str, commit: str, tmp_path: Path, revision: str) -> None:
    (found,) = find_in_subprocess(olah, tmp_path, "sentiment hf:org/sentiment" + revision.format(commit=commit))
    assert found["shown"] == f"org/sentiment@{commit[:7]}"
    assert found["last"] == [1.0]


def test_a_commit_that_is_cached_needs_no_server(olah: str, commit: str, tmp_path: Path) -> None:
    reference = f"hf:org/sentiment@{commit}"
    find_in_subprocess(olah, tmp_path, reference)
    (found,) = find_in_subprocess("http://127.0.0.1:9", tmp_path, reference)
    assert found["shown"] == f"org/sentiment@{commit[:7]}"


def test_what_is_not_there_is_told(olah: str, tmp_path: Path) -> None:
    missing, revision = find_in_subprocess(olah, tmp_path, "hf:org/nothing@main", "hf:org/sentiment@v9")
    assert missing["error"] == revision["error"] == "This model isn't available on this server yet."


def test_the_command_line_answers_with_it(olah: str, commit: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "bot", "sentiment", "good day", "--model", f"hf:org/sentiment@{commit}", "--json"],
        env=hub_environment(olah, tmp_path) | {"PATH": os.environ["PATH"]},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["model"] == f"org/sentiment@{commit[:7]}"


def test_through_a_mirror_of_another_hub(tmp_path: Path) -> None:
    """Here olah asks our own Hub for what it doesn't have yet, keeps it, and passes tokens and refusals on."""
    with serve_hub() as hub:
        sha = hub.add("org/model", tiny_sentiment(tmp_path / "model"))
        hub.add("org/gated", tmp_path / "model", gated=True, reader=TOKEN)
        origin = ["--hf-scheme", "http", "--hf-netloc", hub.url.removeprefix("http://")]
        with _serve(tmp_path, "org/model", sha, *origin) as mirror:
            first, shut = find_in_subprocess(mirror, tmp_path / "one", "hf:org/model@main", "hf:org/gated@main")
            hub.requests.clear()
            second, opened = find_in_subprocess(
                mirror, tmp_path / "two", "hf:org/model@main", "hf:org/gated@main", HF_TOKEN=TOKEN
            )
    assert first["shown"] == second["shown"] == f"org/model@{sha[:7]}"
    assert "licence must be accepted" in shut["hint"]
    assert "shown" in opened
    assert not [request for request in hub.requests if request.startswith("GET /org/model")]
