"""Exchange messages over the pipes between a worker and the process that decodes pictures.

A message is a size, a JSON object of that size, and bytes whose number the object tells. It isn't pickled: whoever took
over the one process by a picture could run code in the other.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

_SIZE = struct.Struct("!I")


def write(stream: IO[bytes], message: dict[str, Any], data: bytes = b"") -> None:
    """Write an object and the bytes after it."""
    head = json.dumps(message).encode()
    stream.write(_SIZE.pack(len(head)) + head)
    stream.write(data)
    stream.flush()


def read_object(stream: IO[bytes]) -> dict[str, Any]:
    """Read an object; raise EOFError at the end, ValueError when it isn't one."""
    return dict(json.loads(read(stream, _SIZE.unpack(read(stream, _SIZE.size))[0])))


def read(stream: IO[bytes], count: int) -> bytes:
    """Read so many bytes; raise EOFError when there are fewer."""
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
