"""A catalogue of packages as web pages that need no server: a folder to open, to mail, or to put behind any server."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from veda._house.files import make_folder, sync_folder
from veda._house.progress import Progress, no_progress
from veda.browsing.collect import collect
from veda.browsing.pages import index_page, package_page
from veda.errors import BadInput, Conflict

__all__ = ["Browsed", "browse"]

_ABOUT = "catalogue.json"
_TYPE = "veda-catalogue-1"
_ASSETS = ("catalogue.css", "catalogue.js")


@dataclass(frozen=True)
class Browsed:
    """What was written.

    Parameters
    ----------
    index
        The page to open.
    packages, releases, pages
        How many.
    asked
        Whether the store was asked for signatures; False if it did not answer.
    """

    index: Path
    packages: int
    releases: int
    pages: int
    asked: bool


def browse(
    out: str | os.PathLike[str] = "veda-catalogue",
    *,
    store: str | None = None,
    channel: str | None = None,
    registry: str | None = None,
    home: Path | str | None = None,
    progress: Progress = no_progress,
) -> Browsed:
    """Write the registered releases, or those of a channel, as a static catalogue with search.

    The pages ask nothing of a network and run no code of any package. A README is shown as its
    Markdown says, without HTML of its own, scripts, or pictures from elsewhere.

    Parameters
    ----------
    out
        The folder to write; an older catalogue there is replaced as a whole.
    store
        Where signatures are looked up, and what a channel is of; by default the configured store.
    channel
        Take the releases that this signed channel names, registered here or not.
    registry, home
        Where releases are registered and installed.
    progress
        Called with the packages done and those in all.

    Raises
    ------
    Conflict
        If `out` is there and is no catalogue.
    NotFound, Untrusted
        If the store has no such channel, or it is not one to believe.
    """
    target = Path(out).absolute()
    if target.is_symlink() or (target.exists() and not _is_catalogue(target)):
        raise Conflict(f"{target} exists already and is no catalogue", hint="--out a folder that does not exist")
    found = collect(store=store, channel=channel, registry=registry, home=home)
    building = target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    pages = 1
    try:
        make_folder(building)
        (building / "packages").mkdir()
        for name in _ASSETS:
            shutil.copyfile(Path(__file__).with_name(name), building / name)
        _write(building / "index.html", index_page(found))
        for done, package in enumerate(found.packages, 1):
            folder = building / "packages" / package.name
            folder.mkdir()
            for entry in package.entries:
                page = package_page(found, package, entry)
                _write(folder / f"{entry.release.version}.html", page)
                if entry is package.entries[0]:
                    _write(folder / "index.html", page)
                    pages += 1
                pages += 1
            progress(done, len(found.packages))
        about = {"type": _TYPE, "written_at": found.written_at, "source": found.source, "packages": found.facts()}
        _write(building / _ABOUT, json.dumps(about, ensure_ascii=False, indent=1) + "\n")
        _exchange(building, target)
    except OSError as exc:
        raise BadInput(f"{target} cannot be written: {exc.strerror}", hint="--out another folder") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    releases = sum(len(p.entries) for p in found.packages)
    return Browsed(target / "index.html", len(found.packages), releases, pages, found.asked)


def _is_catalogue(folder: Path) -> bool:
    try:
        return bool(folder.is_dir() and (not any(folder.iterdir()) or _said(folder) == _TYPE))
    except (OSError, ValueError):
        return False


def _said(folder: Path) -> object:
    about = json.loads((folder / _ABOUT).read_bytes())
    return about.get("type") if isinstance(about, dict) else None


def _exchange(building: Path, target: Path) -> None:
    old = building.with_name(f"{building.name}.old")
    if target.exists():
        target.rename(old)
    building.rename(target)
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
