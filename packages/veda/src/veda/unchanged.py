"""Whether a workspace is as it was when its package was written: then packing again has nothing to do."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from veda._house.files import write_durably
from veda.settings import home
from veda.workspace import SourceFile

_COARSE = 50_000_000  # ns; a file that changed so shortly before may change again without another time stamp


class Unchanged:
    """What is remembered of one package file: the state of the workspace that it was made from.

    Files count as the same while size, mode, inode, mtime and ctime are: the last two grow with
    every write, and a state that was seen too soon after a write is not remembered.
    """

    def __init__(self, target: Path, files: Sequence[SourceFile], others: Mapping[str, Any]) -> None:
        self._target = target.absolute()
        self._began = time.time_ns()
        digest = hashlib.sha256(json.dumps([str(self._target), dict(others)], sort_keys=True).encode())
        for f in files:
            digest.update(f"{f.path}\0{f.mode} {f.size} {f.stamp}\n".encode("utf-8", "surrogatepass"))
        self._state = digest.hexdigest()
        self._newest = max((t for f in files for t in f.stamp[:2]), default=0)
        name = hashlib.sha256(str(self._target).encode("utf-8", "surrogatepass")).hexdigest()
        self._note = home() / "packed" / name

    def holds(self) -> bool:
        """Tell whether the package file is the one that was made from this very state."""
        try:
            return self._note.read_bytes() == self._said()
        except OSError:
            return False

    def remember(self) -> None:
        """Write it down, where veda's home can be written to."""
        if self._newest + _COARSE < self._began:
            with suppress(OSError):
                write_durably(self._note, self._said())

    def _said(self) -> bytes:
        info = self._target.stat()
        return json.dumps([self._state, info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino]).encode()
