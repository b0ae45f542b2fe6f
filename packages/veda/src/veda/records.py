"""What happens to releases after they were published: tags, yanks, notes. Nothing is overwritten."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from veda.errors import BadInput, Conflict
from veda.keys import owner
from veda.names import Ref, normalise_tag
from veda.registry import Event, Release, open_registry
from veda.remote import open_index, record
from veda.resolve import find_release


def tag(
    ref: str, name: str, *, remote: bool = False, registry: str | None = None, home: Path | str | None = None
) -> Release:
    """Point the tag `name` to the release that `ref` means, and return that release.

    Parameters
    ----------
    remote
        Whether to write it into the store and the team's index instead of the registry here.
    """
    return _append("tagged", ref, normalise_tag(name), {}, remote, registry, home)


def yank(
    ref: str, reason: str, *, remote: bool = False, registry: str | None = None, home: Path | str | None = None
) -> Release:
    """Take a release back: who names it exactly, or has it in a lock, still gets it; nobody else does."""
    if not Ref.parse(ref).version:
        raise BadInput(f"{ref} does not name one version", hint=f"veda yank {Ref.parse(ref).name}@1.2.0 --reason WHY")
    return _append("yanked", ref, "", {"reason": reason}, remote, registry, home)


def unyank(ref: str, *, remote: bool = False, registry: str | None = None, home: Path | str | None = None) -> Release:
    """Undo a yank; raise `Conflict` if the release is not yanked."""
    with open_index() if remote else open_registry(registry, home=home) as catalogue:
        release = find_release(Ref.parse(ref), catalogue)
        if release.version not in catalogue.yanked(release.name):
            raise Conflict(f"{release} is not yanked", hint=f"veda history {release.name}")
    return _append("unyanked", str(release), "", {}, remote, registry, home)


def update(
    ref: str,
    notes: Mapping[str, str],
    *,
    remote: bool = False,
    registry: str | None = None,
    home: Path | str | None = None,
) -> Release:
    """Add notes to a release, such as ``{"owner": "desk-2"}``; its content and facts never change."""
    if not notes:
        raise BadInput("there is nothing to add", hint="veda update REF owner=desk-2")
    return _append("updated", ref, "", dict(notes), remote, registry, home)


def history(
    name: str, *, remote: bool = False, registry: str | None = None, home: Path | str | None = None
) -> list[Event]:
    """Return what happened to a package, or to one release of it, the oldest first."""
    ref = Ref.parse(name)
    with open_index() if remote else open_registry(registry, home=home) as catalogue:
        events = catalogue.events(ref.name)
        if events and not (ref.version or ref.specifier or ref.tag or ref.digest):
            return events
        release = find_release(ref, catalogue)
    return [e for e in events if e.version == release.version]


def notes_of(events: list[Event], version: str) -> dict[str, str]:
    """Return the notes of a version that stand, from the events of its package."""
    return {k: str(v) for e in events if e.kind == "updated" and e.version == version for k, v in e.data.items()}


def _append(
    kind: str,
    ref: str,
    subject: str,
    data: dict[str, Any],
    remote: bool,
    registry: str | None,
    home: Path | str | None,
) -> Release:
    with open_index() if remote else open_registry(registry, home=home) as catalogue:
        release = find_release(Ref.parse(ref), catalogue)
        event = Event(kind, release.name, release.version, subject, owner(), data)
        if not remote:
            catalogue.append(event)
    if remote:
        record(event, home=home)
    return release
