"""What may go: trees, sites and old generations that no generation, lock, tag or running process holds."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from veda._house.files import write_durably
from veda.environment_model import environments_folder, read_generation
from veda.environment_site import discard, site_path
from veda.errors import Damaged, VedaError
from veda.installed import tree_path
from veda.lock_file import Lock
from veda.registry import open_registry
from veda.settings import home as home_folder
from veda.tree import locked


@dataclass(frozen=True)
class Garbage:
    """Something that nothing holds.

    Parameters
    ----------
    kind
        ``generation``, ``tree`` or ``site``.
    path
        Its folder.
    size
        Bytes of its files.
    """

    kind: str
    path: Path
    size: int


def remember_lock(path: Path | str, home: Path | str | None = None) -> None:
    """Note that a lock file is in use: as long as it exists, what it names is kept."""
    import hashlib

    absolute = str(Path(path).absolute())
    name = hashlib.sha256(absolute.encode()).hexdigest()[:32]
    write_durably(home_folder(home) / "locks" / name, f"{absolute}\n".encode())


def roots(home: Path | str | None = None) -> dict[Path, str]:
    """Return what must stay, each tree and site with the reason: a generation, a lock, a tag, a process."""
    held: dict[Path, str] = {}
    for reason, lock in _locks(home):
        for package in lock.packages:
            held.setdefault(tree_path(package.digest, home).absolute(), reason)
        site = site_path(lock, home)
        if site is not None:
            held.setdefault(site, reason)
    with open_registry(f"sqlite:{home_folder(home).absolute() / 'registry.db'}", home=home) as registry:
        for name in {r.name for r in registry.releases()}:
            for tag, version in registry.tags(name).items():
                tree = tree_path(registry.get(name, version).digest, home).absolute()
                held.setdefault(tree, f"tag {name}@{tag}")
    for place, pids in live(home).items():
        held.setdefault(Path(place), f"process {pids[0]}")
    return held


def live(home: Path | str | None = None) -> dict[str, list[int]]:
    """Return the generations, trees and sites that processes of this machine use, each with their ids."""
    base = re.escape(os.fsencode(str(home_folder(home).absolute())))
    place = re.compile(base + rb"/(?:trees/[0-9a-f]{64}|sites/[0-9a-f]{64}|envs/[a-z0-9-]+/[0-9]+)(?![0-9a-z])")
    found: dict[str, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        if pid == os.getpid():
            continue
        seen: set[bytes] = set()
        for name in ("environ", "cmdline", "maps"):
            with suppress(OSError):
                seen.update(place.findall((process / name).read_bytes()))
        for name in ("cwd", "exe"):
            with suppress(OSError):
                seen.update(place.findall(bytes((process / name).readlink())))
        for path in seen:
            found.setdefault(os.fsdecode(path), []).append(pid)
    return found


def collect(*, keep: int | None = None, dry_run: bool = False, home: Path | str | None = None) -> list[Garbage]:
    """Take away what nothing holds and return it.

    Parameters
    ----------
    keep
        How many generations of each environment stay beside the current one; None keeps all.
    dry_run
        Whether to take away nothing.
    """
    from veda.environment import remove_environment

    found: list[Garbage] = []
    going: set[Path] = set()
    used = live(home)
    for folder in sorted(environments_folder(home).glob("[!.]*")) if keep is not None else ():
        current = str((folder / "current").readlink()) if (folder / "current").is_symlink() else ""
        old = sorted((int(p.name) for p in folder.iterdir() if p.name.isdigit()), reverse=True)
        old = [n for n in old if str(n) != current][keep or 0 :]
        going.update(folder / str(n) for n in old if str(folder / str(n)) not in used)
    found += [Garbage("generation", path, _size(path)) for path in sorted(going)]
    if not dry_run:
        for path in sorted(going):
            remove_environment(f"{path.parent.name}@{path.name}", home)
    held = roots(home)
    if dry_run and going:
        held = _without(held, going, home)
    base = home_folder(home).absolute()
    for kind, below in (("tree", base / "trees"), ("site", base / "sites")):
        for path in sorted(p for p in below.glob("[0-9a-f]*") if p.is_dir() and p not in held):
            found.append(Garbage(kind, path, _size(path)))
            if not dry_run:
                with locked(path.parent / f".{path.name}.lock"):
                    discard(path)
                    path.with_name(f"{path.name}.json").unlink(missing_ok=True)
    return found


def _locks(home: Path | str | None, without: frozenset[Path] = frozenset()) -> Iterator[tuple[str, Lock]]:
    for path in sorted(environments_folder(home).glob("[!.]*/[1-9]*")):
        if path not in without:
            try:
                generation = read_generation(path)
                yield f"environment {generation}", generation.lock
            except Damaged:
                # What a damaged generation held is still known by its lock; if that is gone, nothing may go.
                yield f"environment {path.parent.name}@{path.name}", Lock.read(path / "veda.lock")
    for note in sorted((home_folder(home) / "locks").glob("[0-9a-f]*")):
        path = Path(note.read_text(encoding="utf-8").rstrip("\n"))
        if path.is_file():
            with suppress(VedaError):
                yield f"lock {path}", Lock.read(path)


def _without(held: dict[Path, str], going: set[Path], home: Path | str | None) -> dict[Path, str]:
    """Return `held` as it will be when the generations `going` are gone."""
    kept = {path: reason for path, reason in held.items() if not reason.startswith("environment ")}
    for reason, lock in _locks(home, frozenset(going)):
        for package in lock.packages:
            kept.setdefault(tree_path(package.digest, home).absolute(), reason)
        site = site_path(lock, home)
        if site is not None:
            kept.setdefault(site, reason)
    return kept


def _size(folder: Path) -> int:
    return sum(p.stat(follow_symlinks=False).st_size for p in folder.rglob("*") if not p.is_dir())
