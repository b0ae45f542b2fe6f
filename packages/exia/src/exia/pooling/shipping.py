"""Objects between two processes: small ones through a socket, large arrays through shared memory."""

from __future__ import annotations

import os
import pickle
import socket
import struct
import tempfile
from typing import Any

#: Bytes from which on a buffer goes through shared memory.
LARGE = 64 * 1024
_HEAD = struct.Struct(">I")
_PART = struct.Struct(">?Q")
_MOST = 1 << 30  # one system call moves less than 2 GiB


class Channel:
    """One end of a conversation in which the two sides speak in turn.

    Both ends belong to one user and one machine, and unpickle what the other sends.
    """

    def __init__(self, sock: socket.socket, reads: int, writes: int) -> None:
        self._sock = sock
        self._reads = reads
        self._writes = writes

    def send(self, value: object) -> None:
        """Send `value`; raise what pickling it raises before anything is sent."""
        outside: list[pickle.PickleBuffer] = []
        body = pickle.dumps(value, protocol=5, buffer_callback=outside.append)
        parts = [memoryview(body), *(buffer.raw() for buffer in outside)]
        plan, inline, at = [_HEAD.pack(len(parts))], [], 0
        for part in parts:
            large = part.nbytes > LARGE
            plan.append(_PART.pack(large, part.nbytes))
            if large:
                self._put(part, at)
                at += part.nbytes
            else:
                inline.append(part)
        self._sock.sendall(b"".join([*plan, *inline]))

    def receive(self) -> Any:
        """Return what the other end sent; raise `EOFError` if it is gone."""
        (count,) = _HEAD.unpack(self._exactly(_HEAD.size))
        plan = [_PART.unpack(self._exactly(_PART.size)) for _ in range(count)]
        parts, at = [], 0
        for large, size in plan:
            if large:
                # A copy, so that what was received stays as it is while the next message comes.
                parts.append(self._get(size, at))
                at += size
            else:
                parts.append(self._exactly(size))
        return pickle.loads(parts[0], buffers=parts[1:])

    def close(self) -> None:
        """Hang up."""
        self._sock.close()
        for descriptor in (self._reads, self._writes):
            os.close(descriptor)

    def _exactly(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            n = self._sock.recv_into(view)
            if not n:
                raise EOFError
            view = view[n:]
        return data

    def _put(self, part: memoryview, at: int) -> None:
        while part:
            n = os.pwrite(self._writes, part[:_MOST], at)
            part, at = part[n:], at + n

    def _get(self, size: int, at: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            n = os.preadv(self._reads, [view[:_MOST]], at)
            if not n:
                raise EOFError
            view, at = view[n:], at + n
        return data


def shared_file() -> int:
    """Return the descriptor of a file in memory, or on disk where the system has none such."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("exia")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
