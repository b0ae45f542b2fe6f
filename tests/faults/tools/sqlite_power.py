"""Power loss under SQLite, inside this process: a VFS that keeps what was synced apart from what was not."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import apsw
from tests.faults.tools.volatile import Inode, VolatileDisk

_serial = itertools.count()
_FOLDER = "/disk"

Journal = str  #: ``WAL``, ``DELETE``, ``TRUNCATE`` or ``PERSIST``.
Synchronous = str  #: ``OFF``, ``NORMAL``, ``FULL`` or ``EXTRA``.


class PowerVFS(apsw.VFS):
    """A disk for SQLite that loses power just before its `limit`-th change.

    `changes` counts writes, truncations, syncs and removals. At `limit` what the loss leaves is put
    aside; the program goes on unharmed, as nobody is there to hear it, until `restore`.
    """

    def __init__(self, limit: int | None = None, seed: int | str = 0) -> None:
        self.name = f"power{next(_serial)}"
        self.limit, self.seed = limit, seed
        self.changes = 0
        self._left: dict[str, bytes | None] | None = None
        self._start({})
        super().__init__(self.name, "")

    @property
    def lost(self) -> bool:
        """Whether power is lost: what was not said before was not said."""
        return self._left is not None

    def connect(self, journal: Journal, synchronous: Synchronous) -> apsw.Connection:
        """Open the one database on this disk."""
        db = apsw.Connection(f"{_FOLDER}/power.db", vfs=self.name)
        if journal == "WAL":
            # This VFS has no shared memory; alone, SQLite keeps the WAL's index on its heap.
            # Not for the others: alone, it would keep the journal instead of removing it.
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute(f"PRAGMA journal_mode={journal}")
        db.execute(f"PRAGMA synchronous={synchronous}")
        return db

    def restore(self) -> None:
        """Bring power back: the disk now holds what the loss has left."""
        assert self._left is not None, "power was not lost"
        self._start(self._left)
        self.limit = self._left = None

    def change(self) -> None:
        """Count a change that is about to be made."""
        self.changes += 1
        if self.changes == self.limit:
            self._left = self.disk.after_loss(self.seed)

    def _start(self, files: dict[str, bytes | None]) -> None:
        self.disk = VolatileDisk()
        self.disk.load({_FOLDER: None, **files})

    # apsw asks only that a file has these methods; its own type stands for a file on a real disk.
    def xOpen(  # type: ignore[override]
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> PowerFile:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        return PowerFile(self, path or f"{_FOLDER}/temporary{next(_serial)}", flags[0])

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.change()
        self.disk.unlink(filename)
        if syncdir:
            self.disk.sync_folder(_FOLDER)

    def xAccess(self, pathname: str, flags: int) -> bool:
        return pathname in self.disk.names

    def xFullPathname(self, filename: str) -> str:
        return filename


class PowerFile:
    """One open file of a `PowerVFS`."""

    def __init__(self, vfs: PowerVFS, path: str, flags: int) -> None:
        self.vfs, self.path = vfs, path
        self.inode: Inode = vfs.disk.names.get(path) or vfs.disk.create(path)
        # SQLite's own VFS syncs the folder with the first sync of a journal, and only of a journal.
        self.sync_name = bool(flags & (apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL))

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self.inode.content[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        self.vfs.change()
        self.inode.write(offset, data)

    def xTruncate(self, newsize: int) -> None:
        self.vfs.change()
        self.inode.truncate(newsize)

    def xSync(self, flags: int) -> None:
        self.vfs.change()
        self.vfs.disk.sync(self.inode)
        if self.sync_name:
            self.vfs.disk.sync_folder(_FOLDER)
            self.sync_name = False

    def xFileSize(self) -> int:
        return len(self.inode.content)

    def xClose(self) -> None: ...
    def xLock(self, level: int) -> None: ...
    def xUnlock(self, level: int) -> None: ...
    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return 4096

    def xDeviceCharacteristics(self) -> int:
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE


@dataclass(frozen=True)
class Loss:
    """One power loss: rows acknowledged, those of them that are gone, and whether the file is corrupt."""

    acknowledged: int
    lost: int
    corrupt: bool

    @property
    def harmless(self) -> bool:
        return not self.lost and not self.corrupt


def lose_power(seed: int, journal: Journal, synchronous: Synchronous, *, at: float, rows: int = 40) -> Loss:
    """Write `rows` rows, a transaction each, lose power, and read again.

    Parameters
    ----------
    at
        Where in the run power is lost: 0 before its first change, 1 after its last.
    """
    whole = PowerVFS()
    _write(whole, journal, synchronous, rows)
    vfs = PowerVFS(limit=1 + int(at * (whole.changes - 1)), seed=seed)
    acknowledged = _write(vfs, journal, synchronous, rows)
    vfs.restore()
    try:
        db = vfs.connect(journal, synchronous)
        try:
            intact = db.execute("PRAGMA integrity_check").get == "ok"
            tables = db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'row'").get
            present = {n for (n,) in db.execute("SELECT number FROM row")} if tables else set()
        finally:
            db.close()
    except (apsw.CorruptError, apsw.NotADBError):
        return Loss(len(acknowledged), len(acknowledged), corrupt=True)
    return Loss(len(acknowledged), len(acknowledged - present), corrupt=not intact)


def _write(vfs: PowerVFS, journal: Journal, synchronous: Synchronous, rows: int) -> set[int]:
    acknowledged: set[int] = set()
    db = vfs.connect(journal, synchronous)
    try:
        db.execute("CREATE TABLE row (number INTEGER PRIMARY KEY, body TEXT)")
        for number in range(rows):
            db.execute("INSERT INTO row VALUES (?, ?)", (number, f"{number:04}" * 200))
            if not vfs.lost:
                acknowledged.add(number)
    finally:
        db.close()
    return acknowledged
