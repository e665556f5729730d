"""Run a PostgreSQL server of our own for tests, where its programs are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HOMES = (Path("/usr/lib/postgresql"), Path("/opt/homebrew/opt"), Path("/usr/local/opt"))
_QUICK = "-c fsync=off -c listen_addresses='' -c max_connections=40"


def find_programs() -> Path | None:
    """Return the folder of `initdb` and `pg_ctl`, or None when PostgreSQL isn't installed."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    for home in _HOMES:
        folders += sorted(home.glob("*/bin"), reverse=True)
    return next((folder for folder in folders if _complete(folder)), None)


def _complete(folder: Path) -> bool:
    return (folder / "initdb").exists() and (folder / "pg_ctl").exists() and (folder / "postgres").exists()


class Server:
    """Hold a server that listens on a socket in its own folder."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._user = _somebody_else() if os.geteuid() == 0 else None
        if self._user is not None:  # PostgreSQL refuses to run as root
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)

    def make(self) -> None:
        """Make the data folder."""
        self._run("initdb", "-U", "hubcord", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")

    def start(self) -> None:
        """Start, or start again."""
        self._run("pg_ctl", "-w", "-l", f"{self._folder}/log", "-o", f"{_QUICK} -k {self._folder}", "start")

    def stop(self) -> None:
        """Stop at once, as a crash would."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def url(self, database: str) -> str:
        """Return SQLAlchemy's URL of a database."""
        return f"postgresql+asyncpg://hubcord@/{database}?host={self._folder}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [self._programs / program, "-D", self._folder / "data", *arguments]
        who = {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self._folder, **who)  # type: ignore[call-overload]


def _somebody_else() -> pwd.struct_passwd:
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


@contextmanager
def running(programs: Path) -> Iterator[Server]:
    """Run a server until the block ends. Its folder has a short name, since it holds a socket."""
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        server = Server(programs, Path(folder))
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
