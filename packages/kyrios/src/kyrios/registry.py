"""Units that were built: frozen under their name and version in the home, for every flow on this machine."""

from __future__ import annotations

from pathlib import Path

from kyrios.settings import home

#: How the folder of a built unit begins in a graph; the home differs from machine to machine.
REGISTRY = "registry:"


def registered() -> dict[str, Path]:
    """Return the newest version of each unit that was built: its name, and the folder ``<name>/<version>``."""
    root = home() / "units"
    found: dict[str, Path] = {}
    for path in root.glob("*/*/unit.json") if root.is_dir() else ():
        name = path.parent.parent.name
        if name not in found or _version(path.parent) > _version(found[name]):
            found[name] = path.parent
    return found


def code_folder(flow: Path, folder: str) -> Path:
    """Return where the code of a task is: `folder` is that of the task, `flow` that of its flow."""
    if folder.startswith(REGISTRY):
        return home() / "units" / folder.removeprefix(REGISTRY)
    return flow / folder if folder else flow


def _version(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in path.name.split("."))
