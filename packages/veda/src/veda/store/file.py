"""``file://``: a store in a folder, by default ``store`` in veda's home; a shared disk serves a team."""

from __future__ import annotations

import builtins
import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from veda._house.backends import BackendURL
from veda._house.files import make_folder, sync_folder, write_durably
from veda.errors import BackendUnavailable, BadInput, Damaged, NotFound
from veda.settings import home
from veda.store.port import MAX_OBJECT, Entry, Store
from veda.tree import locked


class FileStore:
    """Blobs under ``blobs/sha256/ab/...``, claims under ``versions/<name>/<version>``."""

    remote = False

    def __init__(self, url: BackendURL) -> None:
        self._root = url.file_path(home() / "store").absolute()
        with self._translated():
            # Folders are made when something is put: a mistyped address must not make any.
            standing = next(p for p in (self._root, *self._root.parents) if p.exists())
            if not standing.is_dir():
                raise NotADirectoryError(20, f"{standing} is not a folder")

    def has_blob(self, digest: str) -> bool:
        """Tell whether the file is there."""
        with self._translated():
            return self._blob(digest).is_file()

    def missing(self, digests: Collection[str]) -> set[str]:
        """Look for each file."""
        return {digest for digest in digests if not self.has_blob(digest)}

    def put_blob(self, data: bytes, digest: str = "") -> str:
        """Write, fsync, rename, fsync the folder."""
        digest = digest or hashlib.sha256(data).hexdigest()
        path = self._blob(digest)
        with self._translated():
            # A file of another size is what a dying disk left; it is written anew.
            if not path.is_file() or path.stat().st_size != len(data):
                make_folder(path.parent)
                write_durably(path, data)
        return digest

    def get_blob(self, digest: str, limit: int | None = None) -> bytes:
        """Read a blob and compare it with its name."""
        with self._translated():
            try:
                data = _read(self._blob(digest), limit)
            except FileNotFoundError:
                raise NotFound(f"the store has no blob {digest[:12]}...", hint="push the package again") from None
        if limit is not None and len(data) > limit:
            raise Damaged(f"blob {digest[:12]}... in {self._root} has more than the {limit} bytes it may have")
        if hashlib.sha256(data).hexdigest() != digest:
            raise Damaged(
                f"blob {digest[:12]}... in {self._root} is damaged", hint=f"rm {self._blob(digest)}, then push it again"
            )
        return data

    def claim(self, name: str, version: str, data: bytes) -> bytes:
        """Link a finished file to the claim's name: the kernel lets one link win."""
        path = self._root / "versions" / name / version
        with self._translated():
            make_folder(path.parent)
            made = path.parent / f".{version}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
            write_durably(made, data)
            try:
                os.link(made, path)
            except FileExistsError:
                pass
            finally:
                made.unlink()
            sync_folder(path.parent)
        return self.get_claim(name, version)

    def get_claim(self, name: str, version: str) -> bytes:
        """Read a claim."""
        with self._translated():
            try:
                return _read(self._root / "versions" / name / version, MAX_OBJECT)
            except FileNotFoundError:
                raise NotFound(f"{name}@{version} is not in the store {self._root}", hint="veda push it") from None

    def versions(self, name: str) -> builtins.list[str]:
        """List the claims of a package."""
        with self._translated():
            folder = self._root / "versions" / name
            return [p.name for p in folder.iterdir() if not p.name.startswith(".")] if folder.is_dir() else []

    def read(self, key: str) -> tuple[bytes, str]:
        """Read a file; its mark is the digest of its bytes."""
        with self._translated():
            try:
                data = _read(self._at(key), MAX_OBJECT)
            except (FileNotFoundError, IsADirectoryError):
                raise NotFound(f"{key} is not in the store {self._root}") from None
        if len(data) > MAX_OBJECT:
            raise Damaged(f"{key} in {self._root} is larger than {MAX_OBJECT} bytes")
        return data, hashlib.sha256(data).hexdigest()

    def replace(self, key: str, data: bytes, mark: str | None) -> bool:
        """Compare and write below a lock of the kernel, which ends with the process."""
        path = self._at(key)
        with self._translated():
            make_folder(path.parent)
            with locked(path.with_name(f".{path.name}.lock")):
                try:
                    there: str | None = hashlib.sha256(path.read_bytes()).hexdigest()
                except FileNotFoundError:
                    there = None
                if there != mark:
                    return False
                write_durably(path, data)
        return True

    def list(self, prefix: str) -> builtins.list[Entry]:
        """Walk the folder."""
        found = []
        with self._translated():
            for folder, _, names in os.walk(self._at(prefix)):
                for name in names:
                    if not name.startswith("."):
                        info = (path := Path(folder) / name).stat()
                        key = path.relative_to(self._root).as_posix()
                        found.append(Entry(key, info.st_size, info.st_mtime))
        return sorted(found, key=lambda e: e.key)

    def remove(self, key: str) -> None:
        """Unlink the file."""
        with self._translated():
            path = self._at(key)
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                sync_folder(path.parent)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        """Where the store is."""
        return self._root

    def _at(self, key: str) -> Path:
        parts = key.rstrip("/").split("/")
        if any(part in ("", "..") or part.startswith(".") for part in parts):
            raise BadInput(f"{key!r} is no key of a store")
        return self._root.joinpath(*parts)

    def _blob(self, digest: str) -> Path:
        return self._root / "blobs" / "sha256" / digest[:2] / digest

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            if isinstance(exc, NotFound | BackendUnavailable):
                raise
            raise BackendUnavailable(
                f"file store {self._root}: {exc.strerror or exc}", hint="veda doctor, or set VEDA_STORE"
            ) from exc


def _read(path: Path, limit: int | None) -> bytes:
    """Read a file, but of one that is larger than `limit` bytes only one byte more."""
    with path.open("rb") as file:
        return file.read() if limit is None else file.read(limit + 1)


if TYPE_CHECKING:
    _fits: type[Store] = FileStore
