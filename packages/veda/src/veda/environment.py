"""Environments: numbered generations that never change, and one pointer that moves."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from veda._house.errors import nearest
from veda._house.files import sync_folder, write_durably
from veda.activation import activations
from veda.environment_build import build, kernel, model
from veda.environment_model import Generation, environments_folder, parse_environment, read_generation
from veda.environment_site import discard, ensure_site, site_path, verify_site
from veda.errors import BadInput, Conflict, Damaged, NotFound
from veda.fetch import pull
from veda.installed import find_archive, install_archive, tree_path, verify_tree
from veda.lock_distributions import base_python
from veda.lock_environment import lock, python_version
from veda.lock_file import Lock, LockedPackage, difference
from veda.settings import home as home_folder
from veda.tree import clear_unfinished, locked, writing

CURRENT = "current"


@dataclass(frozen=True)
class Created:
    """What `create_environment` did: the generation, and whether it was made or switched to just now."""

    generation: Generation
    made: bool
    switched: bool


def create_environment(
    name: str,
    what: Lock | Sequence[str],
    *,
    python: Path | str | None = None,
    wheels: Path | str | None = None,
    switch: bool = True,
    store: str | None = None,
    registry: str | None = None,
    home: Path | str | None = None,
) -> Created:
    """Make what `what` says the newest generation of an environment; one that holds just that is used again.

    Parameters
    ----------
    name
        Of the environment; it is made if there is none.
    what
        A lock, or references that are locked first.
    python
        The interpreter, by default the one that veda runs on.
    wheels
        A folder of wheels that is looked into instead of the package index.
    switch
        Whether ``current`` moves to the generation.
    store, registry, home
        Where packages come from, are registered, and lie.

    Raises
    ------
    NotFound
        If a package is neither installed nor in the store.
    Damaged
        If a store has something else than the lock says.
    BadInput
        If the interpreter is not the version that the lock is for.
    BackendUnavailable
        If the disk does not take it; generations that were there stay as they are.
    """
    environment, number = parse_environment(name)
    if number is not None:
        raise BadInput(f"{name}: the number of a new generation is not chosen", hint=f"veda env create {environment}")
    interpreter = Path(python).absolute() if python else base_python()
    folder = Path(wheels) if wheels else None
    if not isinstance(what, Lock):
        what = lock(what, python=interpreter, wheels=folder, registry=registry, home=home)
    version = python_version(interpreter)
    if version != what.python:
        raise BadInput(f"the lock is for Python {what.python}, and {interpreter} is {version}", hint="--python PATH")
    for package in what.packages:
        ensure_package(package, store=store, registry=registry, home=home)
    root = environments_folder(home) / environment
    with writing(home_folder(home)):
        site = ensure_site(what, interpreter, home, folder)
    with writing(root), locked(root / ".lock"):
        same = next((g for g in reversed(_generations(root)) if g.lock.digest == what.digest), None)
        generation = same or _build_next(root, environment, what, interpreter, site, home)
        before = _current(root)
        switched = switch and before != generation.number
        if switched:
            _point(root, generation, home)
    return Created(generation, same is None, switched)


def environments(home: Path | str | None = None) -> list[Generation]:
    """Return the current generation of each environment, sorted by name."""
    root = environments_folder(home)
    found = []
    for folder in sorted(root.glob("[!.]*")):
        number = _current(folder)
        if number is not None:
            found.append(read_generation(folder / str(number)))
    return found


def generations(name: str, home: Path | str | None = None) -> list[Generation]:
    """Return all generations of an environment, oldest first; raise `NotFound` if there is none."""
    environment, _ = parse_environment(name)
    found = _generations(environments_folder(home) / environment)
    if not found:
        raise _missing(environment, home)
    return found


def find_generation(name: str, home: Path | str | None = None) -> Generation:
    """Return the generation ``name@3``, or of ``name`` the current one; raise `NotFound` if there is none."""
    environment, number = parse_environment(name)
    root = environments_folder(home) / environment
    wanted = number if number is not None else _current(root)
    if wanted is None or not (root / str(wanted)).is_dir():
        raise _missing(environment, home, number)
    return read_generation(root / str(wanted))


def switch_environment(name: str, home: Path | str | None = None) -> Generation:
    """Make ``name@3`` the current generation, by one rename; processes that run keep the one they have."""
    generation = find_generation(name, home)
    root = generation.path.parent
    with writing(root), locked(root / ".lock"):
        if _current(root) != generation.number:
            _point(root, generation, home)
    return generation


def rollback_environment(name: str, to: int | None = None, home: Path | str | None = None) -> Generation:
    """Go back to the generation `to`, by default the one before the current one."""
    environment, number = parse_environment(name)
    to = to if to is not None else number
    now = find_generation(environment, home)
    if to is None:
        earlier = [g.number for g in generations(environment, home) if g.number < now.number]
        if not earlier:
            raise NotFound(f"{now} is the first generation", hint=f"veda env show {environment}")
        to = max(earlier)
    return switch_environment(f"{environment}@{to}", home)


def diff_environments(before: str, after: str, home: Path | str | None = None) -> list[dict[str, str]]:
    """Return what changes from one generation to another, one record a change."""
    return difference(find_generation(before, home).lock, find_generation(after, home).lock)


def remove_environment(name: str, home: Path | str | None = None) -> list[Generation]:
    """Remove a generation, or an environment with all of them, and return what was removed.

    Raises
    ------
    Conflict
        If the generation is the current one, or a process still runs in what would go.
    """
    from veda.environment_garbage import live

    environment, number = parse_environment(name)
    root = environments_folder(home) / environment
    found = generations(environment, home) if number is None else [find_generation(name, home)]
    with locked(root / ".lock"):
        if number is not None and number == _current(root):
            raise Conflict(f"{name} is the current generation", hint=f"veda env rollback {environment}")
        used = live(home)
        for generation in found:
            if pids := used.get(str(generation.path)):
                raise Conflict(f"process {pids[0]} runs in {generation}", hint="end it first")
        if number is None:
            (root / CURRENT).unlink(missing_ok=True)
            _kernel_path(environment, home).unlink(missing_ok=True)
        for generation in found:
            for adapter in activations(home):
                adapter.withdraw(environment, generation.number)
            discard(generation.path)
    if number is None:
        discard(root)
    return found


def repair_environment(
    name: str, *, store: str | None = None, wheels: Path | str | None = None, home: Path | str | None = None
) -> list[str]:
    """Compare all that an environment's generation holds with its lock, mend what differs, and say what it was."""
    environment, number = parse_environment(name)
    root = environments_folder(home) / environment
    wanted = number if number is not None else _current(root)
    if wanted is None:
        raise _missing(environment, home)
    path = root / str(wanted)
    lock_ = Lock.read(path / "veda.lock")
    interpreter = (path / "bin" / "python").readlink() if (path / "bin" / "python").is_symlink() else base_python()
    mended: list[str] = []
    with writing(root), locked(root / ".lock"):
        for package in lock_.packages:
            try:
                verify_tree(package.digest, home)
            except (Damaged, NotFound, OSError) as exc:
                mended.append(f"{package}: {exc}")
                discard(tree_path(package.digest, home))
                ensure_package(package, store=store, home=home)
        site = site_path(lock_, home)
        if site is not None:
            try:
                verify_site(site)
            except (Damaged, OSError) as exc:
                mended.append(str(exc))
                discard(site)
                ensure_site(lock_, interpreter, home, Path(wheels) if wheels else None)
        mended += _mend_generation(root, wanted, environment, lock_, interpreter, site, home)
        if _current(root) == wanted:
            _point(root, read_generation(path), home)
    return mended


def ensure_package(
    package: LockedPackage,
    *,
    store: str | None = None,
    pinned: bool = False,
    registry: str | None = None,
    home: Path | str | None = None,
) -> bool:
    """Install a package of a lock if it is not installed, from its file or the store; tell whether it was missing.

    With `pinned` the lock is from somebody who may say what runs here: its digests need no signature.
    """
    if tree_path(package.digest, home).is_dir():
        return False
    archive = find_archive(package.digest, home)
    if archive is not None:
        with suppress(NotFound):  # what it keeps by reference may be in the store alone
            install_archive(archive, home)
            return True
    pulled = pull(f"{package.name}@{package.digest}", store, pinned=pinned, registry=registry, home=home)
    if (pulled.version, pulled.digest) != (package.version, package.digest):
        raise Damaged(f"the store has {pulled.name}@{pulled.version} under the digest of {package}")
    return True


def current_link(name: str, home: Path | str | None = None) -> Path:
    """Return the path that always means the current generation of an environment."""
    return environments_folder(home) / name / CURRENT


def _build_next(
    root: Path, environment: str, lock_: Lock, python: Path, site: Path | None, home: Path | str | None
) -> Generation:
    taken = [int(p.name) for p in root.iterdir() if p.name.isdigit()]
    generation = _described(root, max(taken, default=0) + 1, environment, lock_)
    clear_unfinished(generation.path)
    build(generation, python, site, home)
    return generation


def _described(root: Path, number: int, environment: str, lock_: Lock) -> Generation:
    path = root / str(number)
    return model(Generation(environment, number, path, lock_, now(), who(), {}, {}))


def _mend_generation(
    root: Path,
    number: int,
    environment: str,
    lock_: Lock,
    python: Path,
    site: Path | None,
    home: Path | str | None,
) -> list[str]:
    """Build the generation anew and put it in the place of one that differs."""
    path = root / str(number)
    fresh = _described(root, number, environment, lock_)
    with suppress(Damaged):
        old = read_generation(path)
        fresh = replace(fresh, created_at=old.created_at, by=old.by)
    # Built aside, under the same lock that creation takes, so that no number is given twice.
    aside = path.with_name(f".{number}.broken.tmp")
    discard(aside)
    path.rename(aside)
    try:
        build(fresh, python, site, home)
    except BaseException:
        if not path.exists():
            aside.rename(path)
        raise
    changed = [f"{path}: {name} was damaged" for name in _differences(aside, path)]
    discard(aside)
    return changed


def _differences(old: Path, new: Path) -> list[str]:
    def content(folder: Path) -> Mapping[str, bytes]:
        files = [p for p in folder.rglob("*") if p.is_symlink() or p.is_file()]
        return {
            str(p.relative_to(folder)): str(p.readlink()).encode() if p.is_symlink() else p.read_bytes() for p in files
        }

    before, after = content(old), content(new)
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _generations(root: Path) -> list[Generation]:
    numbers = sorted(int(p.name) for p in root.glob("[1-9]*") if p.name.isdigit())
    return [read_generation(root / str(n)) for n in numbers]


def _current(root: Path) -> int | None:
    try:
        target = str((root / CURRENT).readlink())
    except OSError:
        return None
    return int(target) if target.isdigit() else None


def _point(root: Path, generation: Generation, home: Path | str | None) -> None:
    clear_unfinished(root / CURRENT)
    new = root / f".{CURRENT}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
    new.symlink_to(str(generation.number))
    try:
        new.replace(root / CURRENT)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    sync_folder(root)
    for adapter in activations(home):
        adapter.publish(generation)
        adapter.point(generation.environment, generation.number)
    path = _kernel_path(generation.environment, home)
    data = kernel(generation, root / CURRENT / "bin" / "python")
    if not path.is_file() or path.read_bytes() != data:
        write_durably(path, data)


def _kernel_path(environment: str, home: Path | str | None) -> Path:
    folder = home_folder(home).absolute() / "share" / "jupyter" / "kernels"
    return folder / f"veda-{environment}" / "kernel.json"


def _missing(environment: str, home: Path | str | None, number: int | None = None) -> NotFound:
    root = environments_folder(home)
    if number is not None and (root / environment).is_dir():
        known = ", ".join(str(g.number) for g in _generations(root / environment)) or "none"
        return NotFound(
            f"{environment} has no generation {number}; it has {known}", hint=f"veda env show {environment}"
        )
    names = [p.name for p in root.glob("[!.]*")]
    return NotFound(
        f"there is no environment {environment!r}",
        hint=nearest(environment, names) or f"veda env create {environment} REF...",
    )


def now() -> str:
    """Return the time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def who() -> str:
    """Return who does it, ``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
