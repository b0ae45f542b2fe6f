"""What a keeper writes down, so that another one can go on where it was killed."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ptolemy._house.files import write_durably

RECORD = "keeper.json"


@dataclass
class Entry:
    """One program: what was asked for, and which process it is.

    Parameters
    ----------
    started
        Clock tick of the process since the boot; with its pid it names one process for ever.
    at
        When it was started, in seconds since 1970.
    log_from
        Position of its log at which its output begins.
    """

    wanted: bool = False
    pid: int | None = None
    started: int = 0
    at: float = 0.0
    log_from: int = 0
    ready: bool = False
    digest: str = ""
    restarts: int = 0
    code: int | None = None
    reason: str = ""
    last_lines: tuple[str, ...] = ()


@dataclass
class Record:
    """All programs of one folder; a record of another boot names no process."""

    entries: dict[str, Entry] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Record:
        """Return what is written in `folder`; empty if there is nothing, or nothing that can be read."""
        try:
            document: dict[str, Any] = json.loads((folder / RECORD).read_bytes())
            entries = {
                name: Entry(**{**e, "last_lines": tuple(e["last_lines"])}) for name, e in document["programs"].items()
            }
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError):
            return cls()  # the processes themselves bear a mark
        if document.get("boot") != _boot():
            for entry in entries.values():
                entry.pid, entry.ready = None, False
        return cls(entries)

    def write(self, folder: Path) -> None:
        """Put it in the place of the one before, whole and durable."""
        document = {"boot": _boot(), "programs": {name: asdict(entry) for name, entry in self.entries.items()}}
        write_durably(folder / RECORD, json.dumps(document, indent=1).encode())


def mark_of(folder: Path) -> str:
    """Return the mark that the programs of `folder` bear."""
    from hashlib import sha256

    return sha256(os.fsencode(folder.resolve())).hexdigest()[:16]


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
