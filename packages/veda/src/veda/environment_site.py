"""Installed Python distributions: one folder for each set of them, shared by all environments that hold it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sysconfig
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from veda._house.files import sync_folder, write_durably
from veda.errors import Damaged
from veda.lock_distributions import install_distributions
from veda.lock_file import Lock, LockedDistribution
from veda.manifest import canonical_json
from veda.settings import home as home_folder
from veda.tree import clear_unfinished, locked


def site_path(lock: Lock, home: Path | str | None = None) -> Path | None:
    """Return where the distributions of `lock` are, or would be; None if it has none."""
    if not lock.distributions:
        return None
    facts = {
        "distributions": [asdict(d) for d in lock.distributions],
        "python": lock.python,
        "platform": sysconfig.get_platform(),
    }
    return home_folder(home).absolute() / "sites" / hashlib.sha256(canonical_json(facts)).hexdigest()


def ensure_site(lock: Lock, python: Path, home: Path | str | None = None, wheels: Path | None = None) -> Path | None:
    """Install the distributions of `lock`, all or nothing, unless they are there; return where they are."""
    site = site_path(lock, home)
    if site is None or site.is_dir():
        return site
    with locked(site.parent / f".{site.name}.lock"):
        if not site.is_dir():
            clear_unfinished(site)
            _build(site, lock.distributions, python, wheels)
    return site


def verify_site(site: Path) -> None:
    """Compare an installed site with what was installed, byte for byte; raise `Damaged` with the first difference."""
    try:
        wanted: dict[str, str] = json.loads(_list_path(site).read_bytes())
    except (OSError, ValueError):
        raise Damaged(f"the list of {site} is damaged", hint="veda env repair NAME") from None
    found = {p for p in _files(site) if "__pycache__" not in p}
    for path in sorted(wanted.keys() ^ found):
        raise Damaged(f"{site}: {path!r} is {'missing' if path in wanted else 'not part of it'}", hint=_REPAIR)
    for path, digest in wanted.items():
        if hashlib.sha256((site / path).read_bytes()).hexdigest() != digest:
            raise Damaged(f"{site}: the bytes of {path!r} are not those that were installed", hint=_REPAIR)


_REPAIR = "veda env repair NAME"


def discard(folder: Path) -> None:
    """Take a folder away at once by a rename, then delete it; one that is gone is no error."""
    trash = folder.with_name(f".{folder.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    with suppress(FileNotFoundError):
        folder.rename(trash)
        sync_folder(folder.parent)
    remove_tree(trash)


def remove_tree(folder: Path) -> None:
    """Delete a folder, read-only files and folders in it as well."""
    for inner, _, _ in os.walk(folder):
        with suppress(OSError):
            Path(inner).chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)


def _build(site: Path, distributions: Sequence[LockedDistribution], python: Path, wheels: Path | None) -> None:
    building = site.with_name(f".{site.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        building.mkdir(parents=True)
        install_distributions(distributions, python, building, wheels)
        # Scripts of the distributions name an interpreter; each generation writes its own.
        shutil.rmtree(building / "bin", ignore_errors=True)
        (building / ".lock").unlink(missing_ok=True)
        files = {p: hashlib.sha256((building / p).read_bytes()).hexdigest() for p in sorted(_files(building))}
        # The list first: a site that exists is complete, and says what it is.
        write_durably(_list_path(site), json.dumps(files, indent=0).encode())
        os.sync()
        building.rename(site)
        sync_folder(site.parent)
    finally:
        remove_tree(building)


def _files(site: Path) -> list[str]:
    return [str((Path(folder) / name).relative_to(site)) for folder, _, names in os.walk(site) for name in names]


def _list_path(site: Path) -> Path:
    return site.with_name(f"{site.name}.json")
