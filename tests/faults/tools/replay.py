"""Play recorded system calls to a `VolatileDisk`."""

from __future__ import annotations

import os.path
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.tools.calls import Call
from tests.faults.tools.volatile import Inode, VolatileDisk

#: What must be traced so that a replay knows each byte and each name.
CALLS = (
    "open", "openat", "creat", "close", "dup", "dup2", "dup3", "fcntl", "chdir",
    "read", "readv", "lseek", "write", "writev", "pwrite64", "pwritev", "sendfile", "copy_file_range",
    "truncate", "ftruncate", "fallocate", "fsync", "fdatasync", "sync", "syncfs", "mmap",
    "clone", "clone3", "fork", "vfork",
    "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat", "rmdir",
    "mkdir", "mkdirat",
)  # fmt: skip


_FORKS = {"clone", "clone3", "fork", "vfork"}


@dataclass
class _Open:
    """An open file; `inode` is None for what is outside the recorded folder."""

    path: str
    inode: Inode | None = None
    offset: int = 0
    append: bool = False
    is_stdout: bool = False


class Replay:
    """The files of one recorded run, as far as its calls have been played."""

    def __init__(self, disk: VolatileDisk, folder: Path, cwd: Path, calls: Iterable[Call]) -> None:
        self.disk = disk
        self.folder = str(folder)
        self._said = bytearray()
        self._start = {1: _Open("stdout", is_stdout=True)}
        self._tables: dict[int, dict[int, _Open]] = {}
        # A child may run before the call that made it returns, as after vfork.
        self._made_by = {call.result: call for call in calls if call.name in _FORKS and call.result > 0}
        self._cwd = str(cwd)
        self._changed = False

    def said(self) -> list[str]:
        """Return the complete lines of stdout so far."""
        return self._said.decode(errors="replace").split("\n")[:-1]

    def play(self, call: Call) -> bool:
        """Do to the disk what `call` has done; tell whether a power loss after it can differ from one before."""
        self._changed = False
        if call.result < 0:
            return False
        files = self._table(call.thread)
        do = getattr(self, f"_do_{call.name}", None)
        if do is not None:
            do(call, files)
        return self._changed

    def _table(self, thread: int) -> dict[int, _Open]:
        """Return the open files of a thread; a new process starts with a copy of its parent's."""
        if thread not in self._tables:
            made_by = self._made_by.get(thread)
            if made_by is None:
                self._tables[thread] = self._start
            else:
                files = self._table(made_by.thread)
                shared = any("CLONE_FILES" in text for text in made_by.arguments)
                self._tables[thread] = files if shared else dict(files)
        return self._tables[thread]

    # Names

    def _do_openat(self, call: Call, files: dict[int, _Open]) -> None:
        self._opened(call, files, self._at(call, files, 0), call.arguments[2])

    def _do_open(self, call: Call, files: dict[int, _Open]) -> None:
        self._opened(call, files, self._absolute(call.path(0)), call.arguments[1])

    def _do_creat(self, call: Call, files: dict[int, _Open]) -> None:
        self._opened(call, files, self._absolute(call.path(0)), "O_CREAT|O_TRUNC")

    def _opened(self, call: Call, files: dict[int, _Open], path: str, flags: str) -> None:
        words = flags.split("|")
        opened = files[call.result] = _Open(path, append="O_APPEND" in words)
        if not self._mine(path):
            return
        if path not in self.disk.names:
            self._changed = True
            # A folder made before the recording is known; what is not must have been made by this call.
            self.disk.create(path)
        opened.inode = self.disk.names[path]
        if "O_TRUNC" in words and opened.inode.content:
            self._changed = True
            opened.inode.truncate(0)

    def _do_mkdir(self, call: Call, files: dict[int, _Open]) -> None:
        self._made(self._absolute(call.path(0)))

    def _do_mkdirat(self, call: Call, files: dict[int, _Open]) -> None:
        self._made(self._at(call, files, 0))

    def _made(self, path: str) -> None:
        if self._mine(path):
            self._changed = True
            self.disk.create(path, folder=True)

    def _do_rename(self, call: Call, files: dict[int, _Open]) -> None:
        self._renamed(self._absolute(call.path(0)), self._absolute(call.path(1)))

    def _do_renameat(self, call: Call, files: dict[int, _Open]) -> None:
        self._renamed(self._at(call, files, 0), self._at(call, files, 2))

    _do_renameat2 = _do_renameat

    def _renamed(self, old: str, new: str) -> None:
        if self._mine(old) != self._mine(new):
            raise RuntimeError(f"{old} was moved across the edge of {self.folder}; record a folder that holds both")
        if self._mine(old):
            self._changed = True
            self.disk.rename(old, new)

    def _do_link(self, call: Call, files: dict[int, _Open]) -> None:
        self._linked(self._absolute(call.path(0)), self._absolute(call.path(1)))

    def _do_linkat(self, call: Call, files: dict[int, _Open]) -> None:
        self._linked(self._at(call, files, 0), self._at(call, files, 2))

    def _linked(self, old: str, new: str) -> None:
        if self._mine(new):
            self._changed = True
            self.disk.link(new, self.disk.names[old])

    def _do_symlink(self, call: Call, files: dict[int, _Open]) -> None:
        self._symlinked(self._absolute(call.path(1)))

    def _do_symlinkat(self, call: Call, files: dict[int, _Open]) -> None:
        self._symlinked(self._at(call, files, 1))

    def _symlinked(self, path: str) -> None:
        if self._mine(path):
            raise RuntimeError(f"{path} is a symbolic link; this recorder knows files and folders only")

    def _do_unlink(self, call: Call, files: dict[int, _Open]) -> None:
        self._unlinked(self._absolute(call.path(0)))

    _do_rmdir = _do_unlink

    def _do_unlinkat(self, call: Call, files: dict[int, _Open]) -> None:
        self._unlinked(self._at(call, files, 0))

    def _unlinked(self, path: str) -> None:
        self._changed = path in self.disk.names
        self.disk.unlink(path)

    # Bytes

    def _do_write(self, call: Call, files: dict[int, _Open]) -> None:
        self._written(files.get(call.number(0)), call.data(1)[: call.result])

    _do_writev = _do_write

    def _do_pwrite64(self, call: Call, files: dict[int, _Open]) -> None:
        opened = files.get(call.number(0))
        if opened and opened.inode:
            self._changed = True
            opened.inode.write(call.number(3), call.data(1)[: call.result])

    _do_pwritev = _do_pwrite64

    def _do_sendfile(self, call: Call, files: dict[int, _Open]) -> None:
        self._copied(files.get(call.number(1)), files.get(call.number(0)), call)

    def _do_copy_file_range(self, call: Call, files: dict[int, _Open]) -> None:
        self._copied(files.get(call.number(0)), files.get(call.number(2)), call)

    def _copied(self, source: _Open | None, target: _Open | None, call: Call) -> None:
        if target is None or target.inode is None:
            return
        if any(text.startswith("[") for text in call.arguments):
            raise RuntimeError(f"{call.name} with an offset of its own is not recorded")
        if source and source.inode:
            data = bytes(source.inode.content[source.offset : source.offset + call.result])
            source.offset += call.result
        else:
            raise RuntimeError(f"{call.name} from outside {self.folder} is not recorded")
        self._written(target, data)

    def _written(self, opened: _Open | None, data: bytes) -> None:
        if opened is None:
            return
        if opened.is_stdout:
            self._changed = True
            self._said += data
        elif opened.inode:
            self._changed = True
            offset = len(opened.inode.content) if opened.append else opened.offset
            opened.inode.write(offset, data)
            opened.offset = offset + len(data)

    def _do_read(self, call: Call, files: dict[int, _Open]) -> None:
        if opened := files.get(call.number(0)):
            opened.offset += call.result

    _do_readv = _do_read

    def _do_lseek(self, call: Call, files: dict[int, _Open]) -> None:
        if opened := files.get(call.number(0)):
            opened.offset = call.result

    def _do_ftruncate(self, call: Call, files: dict[int, _Open]) -> None:
        opened = files.get(call.number(0))
        if opened and opened.inode:
            self._changed = True
            opened.inode.truncate(call.number(1))

    def _do_truncate(self, call: Call, files: dict[int, _Open]) -> None:
        if inode := self.disk.names.get(self._absolute(call.path(0))):
            self._changed = True
            inode.truncate(call.number(1))

    def _do_fallocate(self, call: Call, files: dict[int, _Open]) -> None:
        opened = files.get(call.number(0))
        end = call.number(2) + call.number(3)
        if opened and opened.inode and call.arguments[1] == "0" and len(opened.inode.content) < end:
            self._changed = True
            opened.inode.truncate(end)

    def _do_fsync(self, call: Call, files: dict[int, _Open]) -> None:
        opened = files.get(call.number(0))
        if opened and opened.inode and opened.inode.is_folder:
            self._changed = True
            self.disk.sync_folder(opened.path)
        elif opened and opened.inode:
            self._changed = True
            self.disk.sync(opened.inode)

    _do_fdatasync = _do_fsync

    def _do_sync(self, call: Call, files: dict[int, _Open]) -> None:
        self._changed = True
        self.disk.sync_all()

    _do_syncfs = _do_sync

    def _do_mmap(self, call: Call, files: dict[int, _Open]) -> None:
        flags, protection = call.arguments[3], call.arguments[2]
        opened = files.get(int(call.arguments[4])) if call.arguments[4].isdigit() else None
        written = "MAP_SHARED" in flags and "PROT_WRITE" in protection and opened and opened.inode
        # SQLite's shared index is rebuilt after every crash; what it holds need not be known.
        if written and opened and not opened.path.endswith("-shm"):
            raise RuntimeError(f"{opened.path} is written through a shared map, which cannot be recorded")

    # Processes and descriptors

    def _do_close(self, call: Call, files: dict[int, _Open]) -> None:
        files.pop(call.number(0), None)

    def _do_dup(self, call: Call, files: dict[int, _Open]) -> None:
        if opened := files.get(call.number(0)):
            files[call.result] = opened
        else:
            files.pop(call.result, None)

    _do_dup2 = _do_dup3 = _do_dup

    def _do_fcntl(self, call: Call, files: dict[int, _Open]) -> None:
        if call.arguments[1].startswith("F_DUPFD"):
            self._do_dup(call, files)

    def _do_chdir(self, call: Call, files: dict[int, _Open]) -> None:
        self._cwd = self._absolute(call.path(0))

    def _do_clone(self, call: Call, files: dict[int, _Open]) -> None:
        self._table(call.result)

    _do_clone3 = _do_fork = _do_vfork = _do_clone

    def _at(self, call: Call, files: dict[int, _Open], position: int) -> str:
        """Return the path that a folder's descriptor and a name say together."""
        path = call.path(position + 1)
        if call.arguments[position] == "AT_FDCWD" or path.startswith("/"):
            return self._absolute(path)
        opened = files.get(call.number(position))
        return os.path.normpath(os.path.join(opened.path, path)) if opened else path  # noqa: PTH118

    def _absolute(self, path: str) -> str:
        return os.path.normpath(os.path.join(self._cwd, path))  # noqa: PTH118

    def _mine(self, path: str) -> bool:
        return path == self.folder or path.startswith(self.folder + "/")
