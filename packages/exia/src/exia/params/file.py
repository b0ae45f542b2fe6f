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
from exia._house.files import replacing, sync_folder
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
        with self._translated():
            try:
                with (self._folder(name) / "current").open("rb") as file:
                    return _head(file.readline(), self._folder(name))
            except FileNotFoundError:
                return None

    def body(self, name: str, version: int) -> bytes:
        with self._translated():
            # A power loss may have taken the version's own name, and left the file under the other.
            for path in (self._path(name, version), self._folder(name) / "current"):
                try:
                    first, _, body = path.read_bytes().partition(b"\n")
                except FileNotFoundError:
                    continue
                if _head(first, path).version == version:
                    return body
        raise ParamsNotFound(
            f"there is no version {version} of parameters {name!r}", hint=f"exia params history {name}"
        )

    def publish(self, name: str, version: int, body: bytes) -> None:
        new = Head(version, digest_of(body))
        folder = self._folder(name)
        with self._translated():
            self._make(folder)
            with self._alone(folder):
                now = self.head(name)
                if now == new:
                    return
                if (now.version if now else 0) != version - 1:
                    raise ParamsChanged(
                        f"parameters {name!r} are at version {now.version if now else 0}: somebody changed them first",
                        hint=f"exia params diff {name}",
                    )
                if now and not self._path(name, now.version).exists():
                    os.link(folder / "current", self._path(name, now.version))
                # What a writer left that was killed before it moved the pointer is replaced: nobody was told of it.
                self._path(name, version).unlink(missing_ok=True)
                with replacing(folder / "current") as file:
                    file.write(json.dumps(new._asdict()).encode() + b"\n" + body)
                    file.flush()
                    # One file under two names: the bytes are synced once, and both names by one sync of the folder.
                    os.link(file.name, self._path(name, version))

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

    def _make(self, folder: Path) -> None:
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for path in made:
            sync_folder(path.parent)

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


def _head(line: bytes, where: Path) -> Head:
    try:
        found = json.loads(line)
        return Head(found["version"], found["digest"])
    except (ValueError, KeyError, TypeError):
        raise Damaged(f"{where} cannot be read", hint="restore it from a backup") from None


if TYPE_CHECKING:
    _fits: type[ParamStore] = FileParams
