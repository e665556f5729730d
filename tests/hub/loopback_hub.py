"""Serve small repositories as a Hugging Face Hub on this machine.

Weights are LFS files: the hub redirects to another origin, as the real one does. `requests` is the log; `faults` are
what goes wrong.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

_MIB = 1 << 20


@dataclass
class Repository:
    """Hold one repository at one commit.

    Only who brings the token `reader` sees a private one. A gated one is seen by all, its files by the `reader`.
    """

    folder: Path
    sha: str
    gated: bool = False
    private: bool = False
    reader: str = ""
    history: tuple[str, ...] = ()
    """The commits of its main branch before this one."""

    @property
    def revisions(self) -> tuple[str, ...]:
        """Return what its commit may be called: a branch, a tag, its hash, and that cut short."""
        return ("main", "v1.0", self.sha, self.sha[:8])

    def files(self) -> list[str]:
        """Return the names of all files."""
        return sorted(str(f.relative_to(self.folder)) for f in self.folder.rglob("*") if f.is_file())


@dataclass
class Fault:
    """Let `times` requests whose path contains `path` fail: by a status, or by a file that is cut or damaged.

    A file that is cut has promised to be whole, unless it is `honest`; one that trickles sends a byte every 0.1 s.
    Before anything comes, the server is silent for `silent_s`.
    """

    path: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut_after: int = 0
    honest: bool = False
    damaged: bool = False
    trickles: bool = False
    silent_s: float = 0.0
    times: int = 1_000


@dataclass
class LoopbackHub:
    """Know the repositories by name and log what was asked."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)
    """The new names of repositories that have moved."""
    ranges: list[str] = field(default_factory=list)
    """What parts of files were asked for."""
    tokens: set[tuple[str, str]] = field(default_factory=set)
    """Which token came to which server."""
    slow_s: float = 0.0
    """The time between two MiB of a large file."""
    url: str = ""
    files_url: str = ""

    def add(self, name: str, folder: Path, *, gated: bool = False, private: bool = False, reader: str = "") -> str:
        """Serve a folder as repository `name`; return its commit."""
        sha = hashlib.sha1(name.encode()).hexdigest()  # noqa: S324 - a commit's name, no secret
        self.repositories[name] = Repository(folder, sha, gated, private, reader)
        return sha

    def fault(self, path: str) -> Fault | None:
        """Return what goes wrong with this request."""
        for fault in self.faults:
            if fault.path in path and fault.times > 0:
                fault.times -= 1
                return fault
        return None


@contextlib.contextmanager
def serve_hub() -> Iterator[LoopbackHub]:
    """Serve until the block ends: the hub on one port, its large files on another."""
    hub = LoopbackHub()
    with _server(hub, _HubHandler) as hub.url, _server(hub, _FileHandler) as hub.files_url:
        yield hub


@contextlib.contextmanager
def _server(hub: LoopbackHub, handler: type[_Handler]) -> Iterator[str]:
    server = _Server(("127.0.0.1", 0), type("Handler", (handler,), {"hub": hub}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # some ask for many files at once


class _Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    fault: Fault | None = None
    form: dict[str, list[str]]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.hub.requests.append(f"{self.command} {self.path}")
        self.hub.tokens.add((type(self).__bases__[0].__name__, self.token))
        self.fault = self.hub.fault(self.path)
        time.sleep(self.fault.silent_s if self.fault else 0.0)
        if self.fault and self.fault.status:
            self.reply(self.fault.status, self.fault.body, **self.fault.headers)
            return
        self.route(unquote(urlsplit(self.path).path).strip("/").split("/"))

    @property
    def token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def do_POST(self) -> None:
        """Take a form; huggingface_hub's own client sends none to fetch."""
        length = int(self.headers.get("Content-Length", "0"))
        self.form = parse_qs(self.rfile.read(length).decode())
        self.do_GET()

    def route(self, parts: list[str]) -> None:
        raise NotImplementedError

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Stay quiet."""

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _FileHandler(_Handler):
    def route(self, parts: list[str]) -> None:
        repository = self.hub.repositories["/".join(parts[:2])]
        content = (repository.folder / "/".join(parts[2:])).read_bytes()
        asked = self.headers.get("Range", "").removeprefix("bytes=")
        self.hub.ranges += [f"bytes={asked}"] if asked else []
        start, _, end = asked.partition("-")
        body = content[int(start or 0) : int(end) + 1 if end else None]
        place = f"bytes {start}-{int(start or 0) + len(body) - 1}/{len(content)}" if asked else ""
        self._send(body, place, self.fault or Fault(""))

    def _send(self, body: bytes, place: str, fault: Fault) -> None:
        """Send a file or its part at a `place`; a connection that is cut has promised all."""
        if fault.damaged:
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.send_response(206 if place else 200)
        self.send_header("Content-Length", str(fault.cut_after if fault.honest else len(body)))
        if place:
            self.send_header("Content-Range", place)
        self.end_headers()
        if self.command == "HEAD":
            return
        while fault.trickles and len(body) > 1:
            self.wfile.write(body[:1])
            time.sleep(0.1)
            body = body[1:]
        while self.hub.slow_s and len(body) > _MIB:
            self.wfile.write(body[:_MIB])
            time.sleep(self.hub.slow_s)
            body = body[_MIB:]
        self.wfile.write(body[: fault.cut_after or None])
        self.close_connection = bool(fault.cut_after)


class _HubHandler(_Handler):
    def route(self, parts: list[str]) -> None:
        api = parts[:2] == ["api", "models"]
        name = "/".join(parts[2:4] if api else parts[:2])
        if parts == ["api", "whoami-v2"]:
            self._who()
            return
        if api and not parts[2:]:
            self._search()
            return
        if name in self.hub.moved:
            self.reply(307, Location=self.path.replace(name, self.hub.moved[name]))
            return
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and self.token != repository.reader):
            self.reply(401, X_Error_Message="Repository not found", X_Error_Code="RepoNotFound")
        elif api:
            self._api(name, repository, parts[4:])
        else:
            self._resolve(name, repository, revision=parts[3], path="/".join(parts[4:]))

    def _who(self) -> None:
        if self.token in {repository.reader for repository in self.hub.repositories.values()} - {""}:
            self._json({"type": "user", "name": "ada"})
        else:
            self.reply(401, X_Error_Message="Invalid credentials in Authorization header")

    def _search(self) -> None:
        wanted = parse_qs(urlsplit(self.path).query).get("search", [""])[0]
        names = [name for name in self.hub.repositories if wanted in name]
        self._json([{"id": name, "downloads": 1_234, "gated": False, "tags": ["license:mit"]} for name in names])

    def _api(self, name: str, repository: Repository, rest: list[str]) -> None:
        if rest[:1] == ["tree"]:
            self._json([entry_of(repository, file) for file in repository.files()])
        elif rest[:1] == ["commits"]:
            commits = (repository.sha, *repository.history)
            date = "2026-01-01T00:00:00.000Z"
            self._json([{"id": sha, "authors": [], "date": date, "title": "", "message": ""} for sha in commits])
        elif rest[:1] == ["paths-info"]:
            self._json([entry_of(repository, path) for path in self.form["paths"] if path in repository.files()])
        elif rest[:1] == ["revision"] and rest[1] not in repository.revisions:
            self.reply(404, X_Error_Code="RevisionNotFound")
        else:
            siblings = [{"rfilename": file} for file in repository.files()]
            self._json(
                {
                    "id": name,
                    "sha": repository.sha,
                    "siblings": siblings,
                    "private": repository.private,
                    "gated": "auto" if repository.gated else False,
                    "tags": ["license:apache-2.0"],
                }
            )

    def _resolve(self, name: str, repository: Repository, *, revision: str, path: str) -> None:
        if repository.gated and self.token != repository.reader:
            self.reply(403 if self.token else 401, X_Error_Code="GatedRepo", X_Error_Message="Access is restricted")
        elif revision not in repository.revisions:
            self.reply(404, X_Error_Code="RevisionNotFound")
        elif path not in repository.files():
            self.reply(404, X_Error_Code="EntryNotFound", X_Repo_Commit=repository.sha)
        else:
            self._file(name, repository, path)

    def _file(self, name: str, repository: Repository, path: str) -> None:
        content = (repository.folder / path).read_bytes()
        if not path.endswith(".safetensors"):
            self.reply(200, content, ETag=f'"{_git_hash(content)}"', X_Repo_Commit=repository.sha)
            return
        self.reply(
            302,
            Location=f"{self.hub.files_url}/{name}/{path}",
            X_Repo_Commit=repository.sha,
            X_Linked_Size=str(len(content)),
            X_Linked_ETag=f'"{hashlib.sha256(content).hexdigest()}"',
        )

    def _json(self, value: object) -> None:
        self.reply(200, json.dumps(value).encode(), Content_Type="application/json")


def entry_of(repository: Repository, file: str) -> dict[str, object]:
    """Return what the Hub lists of a file."""
    content = (repository.folder / file).read_bytes()
    entry: dict[str, object] = {"type": "file", "path": file, "size": len(content)}
    if file.endswith(".safetensors"):
        pointer = lfs_pointer(content)
        oid = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": oid, "size": len(content), "pointerSize": len(pointer)}
        content = pointer
    return entry | {"oid": _git_hash(content)}


def lfs_pointer(content: bytes) -> bytes:
    """Return what git holds in place of a large file."""
    oid = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n".encode()


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324 - as git does
