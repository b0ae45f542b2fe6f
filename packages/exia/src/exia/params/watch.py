"""Wait until something in a folder changes: inotify where the kernel has it, else a look every 20 ms."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_CLOEXEC, _NONBLOCK = os.O_CLOEXEC, os.O_NONBLOCK
_CREATED, _MOVED_TO = 0x100, 0x80
_LOOK = 0.02


class FolderWatch:
    """Files that are renamed into one folder; a folder that is not there yet is looked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor = -1

    def __enter__(self) -> Self:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            descriptor = libc.inotify_init1(_CLOEXEC | _NONBLOCK)
            if (
                descriptor >= 0
                and libc.inotify_add_watch(descriptor, os.fsencode(self._folder), _CREATED | _MOVED_TO) >= 0
            ):
                self._descriptor = descriptor
            elif descriptor >= 0:
                os.close(descriptor)
        except (OSError, AttributeError):  # another kernel
            pass
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def wait(self, timeout: float) -> None:
        """Return when something changed, or after `timeout` seconds at most."""
        if self._descriptor < 0:
            time.sleep(min(timeout, _LOOK))
            return
        if select.select([self._descriptor], [], [], timeout)[0]:
            with contextlib.suppress(BlockingIOError):
                os.read(self._descriptor, 65_536)
