"""A model of a disk that forgets what was not fsynced; `power` and `sqlite_power` write to it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

SECTOR = 512  #: A write is torn at a sector's end; a sector itself is whole, as SQLite and others assume.

#: When a name (a file made, renamed, removed) survives:
#: ``strict``: after an fsync of its folder, which is all that POSIX promises;
#: ``journalled``: after an fsync of anything that came later, as on ext4 and xfs.
Names = Literal["strict", "journalled"]


@dataclass(eq=False)
class Inode:
    """A file: its bytes as programs see them, and what of them is durable."""

    content: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    is_folder: bool = False

    def write(self, offset: int, data: bytes) -> None:
        """Write `data` at `offset`; a gap before it reads as zeros."""
        self.pending.append((offset, bytes(data)))
        _apply(self.content, offset, data)

    def truncate(self, size: int) -> None:
        """Cut or grow the file to `size` bytes."""
        self.pending.append((size, None))
        _apply(self.content, size, None)

    def sync(self) -> None:
        """Make the bytes durable."""
        self.durable = bytes(self.content)
        self.pending.clear()

    def after_loss(self, draw: random.Random) -> bytes:
        """Return the bytes that a power loss leaves: each pending write is there, lost or torn."""
        left = bytearray(self.durable)
        for offset, data in self.pending:
            fate = draw.random()
            if data is not None and fate < 0.25:
                data = data[: SECTOR * draw.randint(0, max(0, len(data) - 1) // SECTOR)]
            if fate < 0.75:
                _apply(left, offset, data)
        return bytes(left)


class VolatileDisk:
    """Files and folders by absolute path, with what would be left of them after a power loss."""

    def __init__(self, names: Names = "strict") -> None:
        self.model = names
        self.names: dict[str, Inode] = {}
        self._durable: dict[str, Inode] = {}
        self._pending: list[dict[str, Inode | None]] = []
        self._top: set[str] = set()  # what stands on folders that are not ours to lose

    def load(self, files: Mapping[str, bytes | None]) -> None:
        """Take over `files`, path to bytes and None for a folder, as durable."""
        for path, content in files.items():
            inode = Inode(is_folder=content is None)
            inode.content[:] = content or b""
            inode.sync()
            self._top |= {path} if _parent(path) not in self.names else set()
            self.names[path] = self._durable[path] = inode

    def create(self, path: str, *, folder: bool = False) -> Inode:
        """Make `path`, a file or a folder."""
        assert _parent(path) in self.names, f"{path} has no folder"
        inode = self.names[path] = Inode(is_folder=folder)
        self._pending.append({path: inode})
        return inode

    def link(self, path: str, inode: Inode) -> None:
        """Give `inode` one more name."""
        self.names[path] = inode
        self._pending.append({path: inode})

    def unlink(self, path: str) -> None:
        """Remove a name."""
        if self.names.pop(path, None) is not None:
            self._pending.append({path: None})

    def rename(self, old: str, new: str) -> None:
        """Move a file, or a folder with all that it holds, in one step."""
        change: dict[str, Inode | None] = {}
        for path in [p for p in self.names if p == old or p.startswith(old + "/")]:
            inode = self.names.pop(path)
            self.names[new + path[len(old) :]] = inode
            change[path] = None
            change[new + path[len(old) :]] = inode
        if change:
            self._pending.append(change)

    def sync(self, inode: Inode) -> None:
        """Fsync a file."""
        inode.sync()
        if self.model == "journalled":
            self._settle(self._pending)

    def sync_folder(self, folder: str) -> None:
        """Fsync a folder: the names in it are durable."""
        self._settle(self._pending if self.model == "journalled" else [c for c in self._pending if _in(c, folder)])

    def sync_all(self) -> None:
        """Make everything durable, as ``sync`` does."""
        for inode in self.names.values():
            inode.sync()
        self._settle(self._pending)

    def after_loss(self, seed: int | str) -> dict[str, bytes | None]:
        """Return what a power loss now would leave: path to bytes, None for a folder."""
        draw = random.Random(seed)
        names = dict(self._durable)
        # Names reach the disk in the order in which they were changed, in each folder by itself.
        kept: dict[str, int] = {}
        seen: dict[str, int] = {}
        for change in self._pending:
            folder = _folder(change) if self.model == "strict" else ""
            kept.setdefault(folder, draw.randint(0, sum(1 for c in self._pending if self._same(c, folder))))
            seen[folder] = seen.get(folder, 0) + 1
            if seen[folder] <= kept[folder]:
                _change(names, change)
        left: dict[str, bytes | None] = {}
        for path in sorted(names):
            if path in self._top or _parent(path) in left:
                inode = names[path]
                left[path] = None if inode.is_folder else inode.after_loss(draw)
        return left

    def _same(self, change: dict[str, Inode | None], folder: str) -> bool:
        return self.model == "journalled" or _folder(change) == folder

    def _settle(self, changes: list[dict[str, Inode | None]]) -> None:
        done = list(changes)
        for change in done:
            _change(self._durable, change)
        self._pending = [c for c in self._pending if not any(c is d for d in done)]


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    if data is None:
        del content[offset:]
    else:
        content[offset : offset + len(data)] = data


def _change(names: dict[str, Inode], change: dict[str, Inode | None]) -> None:
    for path, inode in change.items():
        if inode is None:
            names.pop(path, None)
        else:
            names[path] = inode


def _folder(change: dict[str, Inode | None]) -> str:
    # A rename belongs to the folder that it goes to; a removal to the one that it leaves.
    made = [p for p, inode in change.items() if inode is not None] or list(change)
    return _parent(made[0])


def _parent(path: str) -> str:
    return str(PurePosixPath(path).parent)


def _in(change: dict[str, Inode | None], folder: str) -> bool:
    return _folder(change) == folder
