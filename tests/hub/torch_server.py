"""Stand in for the servers of torchvision and PyTorch Hub, for this process and for those that it starts.

A Hub on this machine serves their files; so they can be slow, cut or damaged.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bot.hub.download.torch_weights import fetch_from_torch_here
from bot.hub.libraries import builder_facts
from bot.hub.reference import parse_reference
from bot.tasks.classify.pipeline import ClassifyPipeline
from tests.hub.loopback_hub import LoopbackHub

ROOT = Path(__file__).parents[2]
_SITE = """
import httpx2
from bot.hub.libraries import builder_facts

URLS, FILES = {urls!r}, {files!r}
read, send = builder_facts._constant, httpx2.Client.send


def sent_here(client, request, **options):
    if request.url.host == "github.com":
        request.url = httpx2.URL(str(request.url).replace("https://github.com", FILES))
    return send(client, request, **options)


builder_facts._constant = lambda node: URLS.get(read(node), read(node))
httpx2.Client.send = sent_here
"""
"""What each process does at its start. torch's own addresses can't be changed without importing it."""


def pretend_servers(
    hub: LoopbackHub, folder: Path, monkeypatch: pytest.MonkeyPatch, urls: Mapping[str, str] | None = None
) -> None:
    """Let a Hub serve the repositories of github.com, and torchvision's weights by other addresses."""
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(_SITE.format(urls=dict(urls or {}), files=hub.files_url), encoding="utf-8")
    read, send = builder_facts._constant, httpx2.Client.send

    def sent_here(client: httpx2.Client, request: httpx2.Request, **options: Any) -> httpx2.Response:
        if request.url.host == "github.com":
            request.url = httpx2.URL(str(request.url).replace("https://github.com", hub.files_url))
        return send(client, request, **options)

    monkeypatch.setattr(httpx2.Client, "send", sent_here)
    monkeypatch.setattr(builder_facts, "_constant", lambda node: (urls or {}).get(read(node), read(node)))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(ROOT)]))
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))


def serve_weights(hub: LoopbackHub, folder: Path, name: str, state: Any) -> str:
    """Serve weights under a name that ends with the beginning of their hash; return their address."""
    import torch

    content = io.BytesIO()
    torch.save(state, content)
    prefix = hashlib.sha256(content.getvalue()).hexdigest()[:8]
    served = folder / "weights"
    served.mkdir(exist_ok=True)
    (served / f"{name}-{prefix}.pth").write_bytes(content.getvalue())
    hub.add("torch/weights", served)
    return f"{hub.files_url}/torch/weights/{name}-{prefix}.pth"


def serve_repository(hub: LoopbackHub, folder: Path, name: str, hubconf: str, *refs: str) -> None:
    """Serve a repository as GitHub's archive of these tags and commits."""
    for ref in refs:
        path = folder / "github" / "zipball" / ref
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.mkdir("owner-repo-abc")
            archive.writestr("owner-repo-abc/hubconf.py", hubconf)
    hub.add(name, folder / "github")


def fetch_here(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch a classifier as the process that fetches does it, but in this one: importing torch takes seconds."""
    import torch

    monkeypatch.setattr(torch.hub, "download_url_to_file", torch.hub.download_url_to_file)  # which is replaced
    reference = parse_reference(text)
    fetch_from_torch_here(reference, ClassifyPipeline.model_filter, (reference.name,), lambda *_: None)
