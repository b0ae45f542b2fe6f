"""``file://``: a store in a folder, by default ``store`` in veda's home; a shared disk serves a team."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from veda._house.backends import BackendURL
from veda._house.files import make_folder, sync_folder, write_durably
from veda.errors import BackendUnavailable, Damaged, NotFound
from veda.settings import home
from veda.store.port import Store


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

    def put_blob(self, data: bytes) -> str:
        """Write, fsync, rename, fsync the folder."""
        digest = hashlib.sha256(data).hexdigest()
        path = self._blob(digest)
        with self._translated():
            # A file of another size is what a dying disk left; it is written anew.
            if not path.is_file() or path.stat().st_size != len(data):
                make_folder(path.parent)
                write_durably(path, data)
        return digest

    def get_blob(self, digest: str) -> bytes:
        """Read a blob and compare it with its name."""
        with self._translated():
            try:
                data = self._blob(digest).read_bytes()
            except FileNotFoundError:
                raise NotFound(f"the store has no blob {digest[:12]}...", hint="push the package again") from None
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
                return (self._root / "versions" / name / version).read_bytes()
            except FileNotFoundError:
                raise NotFound(f"{name}@{version} is not in the store {self._root}", hint="veda push it") from None

    def versions(self, name: str) -> list[str]:
        """List the claims of a package."""
        with self._translated():
            folder = self._root / "versions" / name
            return [p.name for p in folder.iterdir() if not p.name.startswith(".")] if folder.is_dir() else []

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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


if TYPE_CHECKING:
    _fits: type[Store] = FileStore
