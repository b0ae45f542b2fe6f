"""``file://``: a folder per name, with a file per version and one that says which is the newest."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from exia._house.backends import BackendURL
from exia._house.config import home
from exia._house.files import write_durably
from exia.errors import BackendUnavailable, Damaged, ExiaError, ParamsChanged, ParamsNotFound
from exia.params.port import Head, ParamStore, checked_name, digest_of
from exia.params.watch import FolderWatch

_PATIENCE = 10.0  # seconds to wait for another writer


class FileParams:
    """The embedded store; the kernel tells who waits that a file was replaced."""

    def __init__(self, url: BackendURL) -> None:
        self._root = url.file_path(home() / "params").absolute()

    def names(self) -> list[str]:
        with self._translated():
            return sorted(path.parent.name for path in self._root.glob("*/current"))

    def head(self, name: str) -> Head | None:
        path = self._folder(name) / "current"
        with self._translated():
            try:
                found = json.loads(path.read_bytes())
                return Head(found["version"], found["digest"])
            except FileNotFoundError:
                return None
            except (ValueError, KeyError, TypeError):
                raise Damaged(f"{path} cannot be read", hint="restore it from a backup") from None

    def body(self, name: str, version: int) -> bytes:
        with self._translated():
            try:
                return self._path(name, version).read_bytes()
            except FileNotFoundError:
                raise ParamsNotFound(
                    f"there is no version {version} of parameters {name!r}", hint=f"exia params history {name}"
                ) from None

    def publish(self, name: str, version: int, body: bytes) -> None:
        new = Head(version, digest_of(body))
        folder = self._folder(name)
        with self._translated():
            folder.mkdir(parents=True, exist_ok=True)
            with self._alone(folder):
                now = self.head(name)
                if now == new:
                    return
                if (now.version if now else 0) != version - 1:
                    raise ParamsChanged(
                        f"parameters {name!r} are at version {now.version if now else 0}: somebody changed them first",
                        hint=f"exia params diff {name}",
                    )
                # What a writer left that was killed before it moved the pointer is replaced: nobody was told of it.
                write_durably(self._path(name, version), body)
                write_durably(folder / "current", json.dumps(new._asdict()).encode())

    def wait(self, name: str, seen: Head | None, timeout: float, stop: threading.Event) -> Head | None:
        end = time.monotonic() + timeout
        with FolderWatch(self._folder(name)) as watch:  # first watch, then look: nothing falls in between
            while True:
                found = self.head(name)
                left = end - time.monotonic()
                if found != seen or left <= 0 or stop.is_set():
                    return found
                watch.wait(min(left, 0.25))

    def ping(self) -> str:
        there = next((p for p in (self._root, *self._root.parents) if p.exists()), self._root)
        if not os.access(there, os.W_OK):
            raise BackendUnavailable(f"{there} cannot be written", hint=f"chown or chmod {there}")
        return f"{len(self.names())} sets in {self._root}"

    def close(self) -> None:
        """Nothing is kept open."""

    def _folder(self, name: str) -> Path:
        return self._root / checked_name(name)

    def _path(self, name: str, version: int) -> Path:
        return self._folder(name) / f"v{version:08d}.json"

    @contextmanager
    def _alone(self, folder: Path) -> Iterator[None]:
        """Hold the lock of writers; the kernel frees it when a process dies."""
        lock = os.open(folder / ".writer", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            deadline = time.monotonic() + _PATIENCE
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise BackendUnavailable(
                            f"{folder} is being written by another process for {_PATIENCE:g} s",
                            hint=f"fuser {folder}/.writer",
                        ) from None
                    time.sleep(0.002)
            yield
        finally:
            os.close(lock)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ExiaError:
            raise
        except OSError as exc:
            raise BackendUnavailable(
                f"{exc.filename or self._root}: {exc.strerror or exc}", hint="is there space, and may you write?"
            ) from exc


if TYPE_CHECKING:
    _fits: type[ParamStore] = FileParams
