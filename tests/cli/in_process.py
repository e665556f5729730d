"""Run the command line in this process, as if it were one of its own."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import tempfile
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from bot.__main__ import main


class CommandLine:
    """Run the command line in a folder. What its workers say, which goes to a file, is part of its standard error."""

    def __init__(self, workers_say: Path) -> None:
        self._workers_say = workers_say

    def __call__(self, *arguments: str | Path, cwd: Path, stdin: str | bytes = b"") -> CompletedProcess[bytes]:
        said_before = self._workers_say.stat().st_size
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        with tempfile.TemporaryFile() as given, pytest.MonkeyPatch.context() as patch, contextlib.chdir(cwd):
            given.write(stdin.encode() if isinstance(stdin, str) else stdin)
            given.seek(0)
            patch.setattr(sys, "argv", ["hubcord", *map(str, arguments)])
            for name, stream in {"stdin": given, "stdout": out, "stderr": err}.items():
                patch.setattr(sys, name, stream)
            code = _exit_code(patch)
        said = self._workers_say.read_bytes()[said_before:]
        return CompletedProcess(arguments, code, out.buffer.getvalue(), err.buffer.getvalue() + said)


def _exit_code(patch: pytest.MonkeyPatch) -> int:
    """Run the command line; it sets logging up anew, as in a new process."""
    patch.setattr(logging.root, "handlers", [])
    patch.setattr(logging.root, "level", logging.WARNING)
    with pytest.raises(SystemExit) as end:
        main()
    assert isinstance(end.value.code, int)
    return end.value.code
