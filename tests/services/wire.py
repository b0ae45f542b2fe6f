"""Ask servers in their own protocols with nothing but the standard library."""

from __future__ import annotations

import json
import socket
import struct
from http.client import HTTPConnection, HTTPException
from typing import Any

TIMEOUT = 2.0  #: Seconds; a server on loopback that needs more for a ping is not ready.


class NotReady(Exception):
    """The server answered, but not yet with what a ready one says."""


#: What a ping raises while a server starts; anything else is a mistake of ours and is not waited out.
NOT_YET = (NotReady, OSError, HTTPException, ValueError, struct.error)


def http_get(port: int, path: str, *, ok: tuple[int, ...] = (200, 204)) -> str:
    """Return the body of ``GET path``; raise `NotReady` for a status that is not in `ok`."""
    return http(port, "GET", path, ok=ok)


def http(port: int, method: str, path: str, body: str | None = None, *, ok: tuple[int, ...] = (200, 201, 204)) -> str:
    """Return the body of one request to 127.0.0.1; JSON goes out where there is a body that looks like it."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        headers = {"Content-Type": "application/json"} if body and body[0] in "{[" else {}
        connection.request(method, path, body.encode() if body else None, headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    finally:
        connection.close()
    if answer.status not in ok:
        raise NotReady(f"{method} {path}: {answer.status} {text[:200]}")
    return text


def redis(port: int, *words: str) -> str:
    """Return the first line that Redis answers to one command."""
    parts = [word.encode() for word in words]
    with _connect(port) as link:
        link.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return link.makefile("rb").readline().decode().strip()


def mysql_version(port: int) -> str:
    """Return the version in the greeting of a MySQL or MariaDB server."""
    with _connect(port) as link, link.makefile("rb") as stream:
        stream.read(4)
        if stream.read(1) != b"\x0a":
            raise NotReady("no greeting of protocol 10")
        return _until_zero(stream)


def postgresql_ready(port: int, user: str, database: str) -> None:
    """Log in without a password; raise `NotReady` with the server's own words while it starts."""
    body = struct.pack("!i", 196608) + f"user\0{user}\0database\0{database}\0\0".encode()
    with _connect(port) as link, link.makefile("rb") as stream:
        link.sendall(struct.pack("!i", len(body) + 4) + body)
        kind = stream.read(1)
        (size,) = struct.unpack("!i", stream.read(4) or b"\0\0\0\4")
        text = stream.read(size - 4)
        if kind != b"R":
            raise NotReady(text.replace(b"\0", b" ").decode(errors="replace"))
        link.sendall(b"X\0\0\0\4")


def mongodb_hello(port: int) -> bytes:
    """Return the answer to ``hello``, as BSON."""
    database = b"\x02$db\0" + struct.pack("<i", 6) + b"admin\0"
    document = b"\x10hello\0" + struct.pack("<i", 1) + database + b"\0"
    section = b"\0" + struct.pack("<i", len(document) + 4) + document
    message = struct.pack("<iiii", 20 + len(section), 1, 0, 2013) + b"\0\0\0\0" + section
    with _connect(port) as link, link.makefile("rb") as stream:
        link.sendall(message)
        (size,) = struct.unpack("<i", stream.read(4))
        answer = stream.read(size - 4)
    if b"isWritablePrimary" not in answer:
        raise NotReady("no writable primary yet")
    return answer


def ssh_banner(port: int) -> str:
    """Return the first line of an SSH server, such as ``SSH-2.0-OpenSSH_9.2p1``."""
    with _connect(port) as link, link.makefile("rb") as stream:
        line = stream.readline().decode(errors="replace").strip()
    if not line.startswith("SSH-2.0"):
        raise NotReady(f"no SSH banner: {line!r}")
    return line


def json_get(port: int, path: str) -> Any:
    return json.loads(http_get(port, path))


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)


def _until_zero(stream: Any) -> str:
    text = b""
    while (byte := stream.read(1)) not in (b"\0", b""):
        text += byte
    return text.decode()
