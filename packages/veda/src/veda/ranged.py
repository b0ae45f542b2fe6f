"""Look into a package on a web server by one range request, however large the package is."""

from __future__ import annotations

import struct
import urllib.error
import urllib.request
import zlib
from typing import Any

from veda.errors import ArchiveRefused, BackendUnavailable, NotAllowed, NotFound
from veda.manifest import MAX_MANIFEST, Manifest

_HEAD = 2 << 20  # bytes of the first request: the manifest of some 8,000 files
_LOCAL = struct.Struct("<4s5H3I2H")
_WAIT = 30.0  # seconds


def read_head(url: str) -> Manifest:
    """Return the manifest of the package at an ``http://`` or ``https://`` URL; its chunks are not fetched.

    Raises
    ------
    NotFound, NotAllowed, BackendUnavailable
        If the server has no such file, does not give it, or does not answer.
    ArchiveRefused
        If it is no package; what a chunk holds is judged only when the package is fetched.
    """
    data = _get(url, 0, _HEAD)
    if len(data) < _LOCAL.size or data[:4] != b"PK\3\4":
        raise ArchiveRefused("not-an-archive", f"{url} is no package")
    *_, crc, packed, size, name_length, extra = _LOCAL.unpack_from(data)
    start = _LOCAL.size + name_length
    name = data[_LOCAL.size : start]
    if extra or packed != size or not name.endswith(b".dist-info/MANIFEST.json") or size > MAX_MANIFEST:
        raise ArchiveRefused("no-manifest", "the first member is not a manifest")
    if start + size > len(data):
        data += _get(url, len(data), start + size - len(data))
    body = data[start : start + size]
    if len(body) != size or zlib.crc32(body) != crc:
        raise ArchiveRefused("member-damaged", "the bytes of the manifest do not fit their checksum")
    return Manifest.from_bytes(body)


def _get(url: str, start: int, count: int) -> bytes:
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-{start + count - 1}"})
    try:
        with urllib.request.urlopen(request, timeout=_WAIT) as answer:
            return _read(answer, start, count)
    except urllib.error.HTTPError as exc:
        exc.close()
        if exc.code in (401, 403):
            raise NotAllowed(f"{url}: the server answered {exc.code}") from None
        if exc.code in (404, 410):
            raise NotFound(f"there is no file at {url}") from None
        raise BackendUnavailable(f"{url}: the server answered {exc.code}") from None
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "reason", None) or exc
        raise BackendUnavailable(f"{url}: {reason}", hint="is the address right, and the server up?") from None


def _read(answer: Any, start: int, count: int) -> bytes:
    # A server that knows no ranges sends the file from its beginning; no more of it is read than was asked for.
    if answer.status != 206 and start:
        answer.read(start)
    data: bytes = answer.read(count)
    return data
