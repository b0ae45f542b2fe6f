"""What a flow was read from: while none of it has changed, the flow need not be read again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from kyrios.registry import registered

_BUILT = "built:"
_ABSENT = ""


class Sources:
    """Notes every file that is read for the flow in a folder, and every place where there was none.

    ``found`` is path, below the folder where it is there, to digest; a place without a file has none. The version of a
    built unit stands under ``built:<name>``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = f"{folder}{os.sep}"
        self.found: dict[str, str] = {}

    def has(self, path: Path) -> bool:
        """Tell whether there is a file at `path`."""
        if os.path.isfile(path):  # noqa: PTH113 - a Path costs ten times as much
            return True
        self.found[self._name(path)] = _ABSENT
        return False

    def read(self, path: Path) -> bytes | None:
        """Return the content of the file at `path`, None where there is none."""
        data = _content(str(path))
        self.found[self._name(path)] = _ABSENT if data is None else _digest(data)
        return data

    def note(self, path: Path, digest: str) -> None:
        """Note that the file at `path`, which somebody else has read, has `digest`."""
        self.found[self._name(path)] = digest

    def note_built(self, name: str, folder: Path | None) -> None:
        """Note which version of a built unit there is, if any."""
        self.found[f"{_BUILT}{name}"] = folder.name if folder else _ABSENT

    def _name(self, path: Path) -> str:
        text = str(path)
        return text.removeprefix(self._folder) if text.startswith(self._folder) else os.path.abspath(text)  # noqa: PTH100


class Unchanged:
    """Tells whether sources are what they were; what is built is looked up once."""

    def __init__(self) -> None:
        self._built: Mapping[str, Path] | None = None

    def __call__(self, folder: str, known: Mapping[str, str]) -> bool:
        """Tell whether the flow in `folder` would be read from the very same bytes again."""
        for name, digest in known.items():
            if name.startswith(_BUILT):
                self._built = registered() if self._built is None else self._built
                built = self._built.get(name.removeprefix(_BUILT))
                if (built.name if built else _ABSENT) != digest:
                    return False
                continue
            data = _content(os.path.join(folder, name))  # noqa: PTH118
            if (_ABSENT if data is None else _digest(data)) != digest:
                return False
        return bool(known)


@cache
def made_by() -> str:
    """Return the digest of Kyrios itself, code and templates: another Kyrios may render another text."""
    found = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted([*root.rglob("*.py"), *root.rglob("*.j2")]):
        found.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return found.hexdigest()


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
