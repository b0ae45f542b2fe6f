"""The flows that a server offers: found below its folders, read again when they change."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kyrios._house.errors import nearest
from kyrios.errors import BadInput, FlowInvalid, KyriosError, NotFound
from kyrios.flows import Flow, load_flow
from kyrios.sources import Unchanged


@dataclass(frozen=True)
class Entry:
    """One folder of the shelf: its flow, or why it cannot be used."""

    name: str
    folder: Path
    flow: Flow | None
    error: KyriosError | None = None

    @property
    def problems(self) -> list[dict[str, Any]]:
        """Every mistake in its files, with line and column."""
        if self.error is None:
            return []
        if isinstance(self.error, FlowInvalid):
            return [{**vars(problem)} for problem in self.error.problems]
        return [{"file": str(self.folder), "line": 1, "column": 1, "message": str(self.error), "source": "",
                 "hint": self.error.hint}]  # fmt: skip


class Shelf:
    """The flows in some folders, by the names of their folders; nothing outside of these can be asked for.

    Parameters
    ----------
    roots
        Folders of one flow, or of folders of flows.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = tuple(root.absolute() for root in roots)
        for root in self.roots:
            if not root.is_dir():
                raise NotFound(f"there is no folder {root}", hint="kyrios serve FOLDER")
        self._known: dict[str, Entry] = {}
        self._lock = threading.Lock()
        names = [folder.name for folder in self._folders()]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise BadInput(f"two folders of flows are called {twice}", hint="serve folders of different names")

    def entries(self) -> list[Entry]:
        """Return every flow, by name; what has changed is read again."""
        unchanged = Unchanged()
        with self._lock:
            known = {folder.name: self._read(folder, unchanged) for folder in self._folders()}
            self._known = dict(sorted(known.items()))
            return list(self._known.values())

    def entry(self, name: str) -> Entry:
        """Return one flow, whole or not; raise `NotFound` if there is none of this name."""
        folder = next((folder for folder in self._folders() if folder.name == name), None)
        if folder is None:
            names = [folder.name for folder in self._folders()]
            raise NotFound(f"there is no flow {name!r} here", hint=nearest(name, names) or "GET /flows")
        with self._lock:
            found = self._known[name] = self._read(folder, Unchanged())
        return found

    def flow(self, name: str) -> Flow:
        """Return one flow; raise what is wrong with it if it cannot be used."""
        entry = self.entry(name)
        if entry.flow is None:
            assert entry.error is not None
            raise entry.error
        return entry.flow

    def _folders(self) -> list[Path]:
        found = []
        for root in self.roots:
            if _is_flow(root):
                found.append(root)
            else:
                found += [folder for folder in sorted(root.iterdir()) if _is_flow(folder)]
        return found

    def _read(self, folder: Path, unchanged: Unchanged) -> Entry:
        before = self._known.get(folder.name)
        if before and before.flow and unchanged(str(folder), before.flow.sources):
            return before
        try:
            return Entry(folder.name, folder, load_flow(folder))
        except KyriosError as exc:
            return Entry(folder.name, folder, None, exc)
        except Exception as exc:  # a flow.py runs its author's code
            return Entry(folder.name, folder, None, BadInput(f"{type(exc).__name__}: {exc}"))


def _is_flow(folder: Path) -> bool:
    return (folder / "flow.yaml").is_file() or (folder / "flow.py").is_file()
