"""Trees of files on disk: written whole or not at all, and compared with their manifest."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from veda._house.files import make_folder, sync_folder
from veda._house.progress import Progress, no_progress
from veda.chunks import each_chunk
from veda.errors import BackendUnavailable, BadInput, Conflict, Damaged, VedaError
from veda.manifest import Chunk, FileEntry, Manifest

_EACH = 64  # files up to which each is fsynced; beyond it one sync of the disk is faster


def write_tree(
    manifest: Manifest,
    stored: Callable[[Chunk], bytes],
    target: Path,
    *,
    read_only: bool = False,
    check: Callable[[Path], None] = lambda folder: None,
    progress: Progress = no_progress,
) -> None:
    """Write the files of `manifest` into a folder beside `target`, make it durable, and rename it to `target`.

    Parameters
    ----------
    stored
        Gives the bytes of a chunk as they are stored; called by several threads.
    check
        Called with the folder before it gets its name; what it raises leaves nothing behind.

    Raises
    ------
    BadInput
        If the disk does not take it; nothing is left behind.
    Conflict
        If `target` came into being meanwhile.
    """
    parent = target.absolute().parent
    building = parent / f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
    try:
        make_folder(parent)
        building.mkdir(mode=0o755)
        folders = _folders(manifest, building)
        each = len(manifest.files) <= _EACH

        def write(files: Sequence[tuple[FileEntry, memoryview]]) -> None:
            for file, data in files:
                _write(f"{building}/{file.path}", file, data, read_only, sync=each)

        for _ in each_chunk(manifest, stored, write, progress):
            pass
        check(building)
        if not each:
            os.sync()
        for folder in reversed(folders):
            sync_folder(folder)
        _move(building, target)
        sync_folder(parent)
    except VedaError:  # some of ours are OSErrors too: what `stored` met, not what the disk did
        raise
    except OSError as exc:
        raise BadInput(f"{target} cannot be written: {exc.strerror}") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)


def check_tree(manifest: Manifest, folder: Path) -> None:
    """Compare `folder` with `manifest`, byte for byte; raise `Damaged` with the first difference."""
    wanted = {f.path: f for f in manifest.files}
    found = dict(_present(folder))
    for path in sorted(wanted.keys() ^ found.keys()):
        raise Damaged(f"{folder}: {path!r} is {'missing' if path in wanted else 'not part of the package'}")
    for path, entry in wanted.items():
        info = found[path]
        mode = "0755" if info.st_mode & stat.S_IXUSR else "0644"
        if not stat.S_ISREG(info.st_mode) or (info.st_size, mode) != (entry.size, entry.mode):
            raise Damaged(f"{folder}: {path!r} has another size or mode than the package says")
        read_file(entry, folder)


def read_file(entry: FileEntry, folder: Path) -> bytes:
    """Return the bytes of a file of the tree in `folder`; raise `Damaged` if they are not those of the package."""
    try:
        data = (folder / entry.path).read_bytes()
    except OSError as exc:
        raise Damaged(f"{folder}: {entry.path!r} cannot be read: {exc.strerror}") from None
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise Damaged(f"{folder}: the bytes of {entry.path!r} are not those of the package")
    return data


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Say of what the disk does not take below `place` that it is `BackendUnavailable`."""
    try:
        yield
    except VedaError:
        raise
    except OSError as exc:
        raise BackendUnavailable(
            f"{place} cannot be written: {exc.strerror or exc}",
            hint="make room or mend the permissions there, then run the same command again",
        ) from exc


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on `path` that the kernel lets go when the process ends, however it ends."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def clear_unfinished(target: Path) -> None:
    """Remove what killed processes left of `target`; the caller holds its lock."""
    for stale in target.parent.glob(f".{target.name}.*.tmp"):
        if stale.is_dir() and not stale.is_symlink():
            shutil.rmtree(stale, ignore_errors=True)
        else:
            stale.unlink(missing_ok=True)


def _folders(manifest: Manifest, root: Path) -> list[Path]:
    """Make the folders of all files and return them, each after the one that it is in; `root` is the first."""
    needed = {""}
    for file in manifest.files:
        above = file.path.rpartition("/")[0]
        while above not in needed:
            needed.add(above)
            above = above.rpartition("/")[0]
    folders = [root / folder for folder in sorted(needed - {""})]
    for folder in folders:
        folder.mkdir(mode=0o755)
    return [root, *folders]


def _write(path: str, file: FileEntry, data: memoryview, read_only: bool, sync: bool) -> None:
    mode = int(file.mode, 8) & (0o555 if read_only else 0o777)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
        os.fchmod(descriptor, mode)  # says it whatever the umask is
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _move(building: Path, target: Path) -> None:
    try:
        building.rename(target)
    except OSError as exc:
        if target.is_dir():
            raise Conflict(f"{target} exists already", hint="name a folder that does not exist") from None
        raise exc


def _present(folder: Path, below: str = "") -> Iterator[tuple[str, os.stat_result]]:
    for entry in os.scandir(folder):
        info = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            yield from _present(Path(entry.path), f"{below}{entry.name}/")
        else:
            yield f"{below}{entry.name}", info
