"""``file://``: the catalogue in one ZODB FileStorage file, for all processes of one machine."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ZODB.DB import DB
from ZODB.FileStorage import FileStorage
from ZODB.POSException import POSError

from exia._house.backends import BackendURL
from exia._house.config import home
from exia._house.files import sync_folder
from exia.errors import BackendUnavailable, Damaged, ExiaError
from exia.objects.port import ObjectStore, Packed
from exia.objects.zodb import ZodbObjects, only_mappings

_MAGIC = b"FS30"  # how a FileStorage begins
logging.getLogger("ZODB.FileStorage").setLevel(
    logging.ERROR
)  # what a crash has left it mends, and says so at each read
_PATIENCE = 10.0  # seconds to wait for another writer
_Seen = tuple[int, int, int, int]


class FileObjects(ZodbObjects):
    """The embedded catalogue; one writer at a time, any number of readers, across processes.

    A FileStorage belongs to one process while it is open for writing, so it is opened for each
    write, under a lock of ours that waits. For reading it stays open until the file changes.
    """

    def __init__(self, url: BackendURL) -> None:
        self._path = url.file_path(home() / "models" / "catalogue.fs").absolute()
        self._lock = threading.RLock()
        self._open: DB | None = None
        self._seen: _Seen | None = None

    def pack(self) -> Packed:
        """Rewrite the file without what is no longer referred to."""
        with self._translated():
            if not self._path.exists():
                return Packed(0, 0)
            before = self._path.stat().st_size
            with self._writing() as database:
                database.pack()
            self._path.with_name(f"{self._path.name}.old").unlink(missing_ok=True)
            sync_folder(self._path.parent)
            return Packed(before, self._path.stat().st_size)

    def ping(self) -> str:
        """Read the names, and tell how many there are."""
        return f"{len(self.names())} models in {self._path}"

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._drop()

    @contextmanager
    def _database(self, *, write: bool) -> Iterator[DB | None]:
        if write:
            with self._writing() as database:
                yield database
            return
        with self._lock:
            yield self._current()

    def _current(self) -> DB | None:
        """Return the database as the file is now; it is opened again if somebody wrote to it."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        # After a fork the child must not share the parent's file position.
        seen = (os.getpid(), found.st_ino, found.st_size, found.st_mtime_ns)
        if self._open is None or seen != self._seen:
            self._drop()
            if found.st_size < len(_MAGIC) and self._is_stub():
                return None
            self._refuse_foreign()
            storage = FileStorage(str(self._path), read_only=True)
            if not len(storage):  # its first writer has not finished, or was killed before it had
                storage.close()
                return None
            try:
                self._open = DB(storage, class_factory=only_mappings)
            except BaseException:
                storage.close()
                raise
            self._seen = seen
        return self._open

    def _drop(self) -> None:
        database, self._open = self._open, None
        if database is not None and self._seen and self._seen[0] == os.getpid():
            database.close()

    @contextmanager
    def _writing(self) -> Iterator[DB]:
        new = not self._path.exists()
        made = [folder.parent for folder in self._path.parents if not folder.exists()]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, self._alone():
            if self._path.exists() and self._is_stub():
                self._path.unlink()  # its first writer was killed before it had written anything
            self._refuse_foreign()
            database = DB(FileStorage(str(self._path)), class_factory=only_mappings)
            if new:  # the file's own bytes are synced by each transaction, its name by nobody else
                for folder in (self._path.parent, *made):
                    sync_folder(folder)
            try:
                yield database
            finally:
                database.close()

    def _is_stub(self) -> bool:
        """Tell whether the file is no more than a beginning of a new one's first bytes."""
        return self._path.stat().st_size < len(_MAGIC) and _MAGIC.startswith(self._path.read_bytes())

    def _refuse_foreign(self) -> None:
        """Raise `Damaged` for a file of another kind, which FileStorage would leave open."""
        try:
            with self._path.open("rb") as file:
                head = file.read(4)
        except FileNotFoundError:
            return
        if head != _MAGIC:
            raise Damaged(f"{self._path} is no catalogue", hint="exia config show --origin")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock of writers; the kernel frees it when a process dies."""
        lock = os.open(f"{self._path}.writer", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            deadline = time.monotonic() + _PATIENCE
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise BackendUnavailable(
                            f"{self._path} is being written by another process for {_PATIENCE:g} s",
                            hint=f"fuser {self._path}",
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
                f"{exc.filename or self._path}: {exc.strerror or exc}", hint="is there space, and may you write?"
            ) from exc
        except (POSError, ValueError, EOFError) as exc:
            if isinstance(exc.__cause__, Damaged):
                raise exc.__cause__ from None
            raise Damaged(
                f"{self._path} cannot be read: {type(exc).__name__}", hint="restore it from a backup"
            ) from exc

    def __str__(self) -> str:
        return str(self._path)


if TYPE_CHECKING:
    _fits: type[ObjectStore] = FileObjects
