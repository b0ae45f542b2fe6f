"""The upkeep of a store: count, verify, and collect what nothing needs any more."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from veda._house.progress import Progress, no_progress
from veda.channels import channel_names, read_channel
from veda.claims import Claim, package_names, put_event, read_manifest, stored_events, versions, yanked_in
from veda.errors import BadInput, Damaged, NotFound, VedaError
from veda.keys import owner
from veda.manifest import Manifest
from veda.registry import Event, open_registry
from veda.settings import home as home_folder
from veda.store import Store, open_store

_WORKERS = 8
_BLOBS = "blobs/sha256/"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Fault:
    """Something of a store that is not as it must be."""

    where: str
    detail: str


@dataclass(frozen=True)
class Collected:
    """What a collection would remove or has removed.

    Parameters
    ----------
    releases
        Those whose chunks go; their versions stay claimed, so that nobody takes them for another content.
    kept
        Why older releases stay: each with its reason.
    blobs, bytes
        How many go, and their size.
    done
        Whether it was done, or only looked at.
    """

    releases: tuple[str, ...]
    kept: Mapping[str, str]
    blobs: int
    bytes: int
    done: bool


def stats(store: str | None = None, *, home: Path | str | None = None) -> dict[str, int | float]:
    """Return counts and sizes in bytes of a store, and how much sharing chunks between releases saves."""
    with open_store(store, home=home) as opened:
        blobs = {e.key.rpartition("/")[2]: e.size for e in opened.list(_BLOBS)}
        manifests = _manifests(opened)
        events = len(opened.list("events/"))
    used = {c.sha256 for _, m in manifests.values() for c in m.chunks} | {c.manifest for c, _ in manifests.values()}
    packed = sum(c.size for _, m in manifests.values() for c in m.chunks)
    stored = sum(blobs.values())
    return {
        "packages": len({name for name, _ in manifests}),
        "releases": len(manifests),
        "events": events,
        "blobs": len(blobs),
        "bytes": stored,
        "bytes_without_sharing": packed,
        "unused_blobs": len(blobs.keys() - used),
        "unused_bytes": sum(size for digest, size in blobs.items() if digest not in used),
    }


def verify_store(
    store: str | None = None, *, home: Path | str | None = None, progress: Progress = no_progress
) -> list[Fault]:
    """Read every claim, manifest and blob of a store again and return what is wrong."""
    faults: list[Fault] = []
    with open_store(store, home=home) as opened:
        blobs = [e.key.rpartition("/")[2] for e in opened.list(_BLOBS)]
        gone = {(e.name, e.version) for e in stored_events(opened) if e.kind == "collected"}
        for name in package_names(opened):
            for version in versions(opened, name):
                where = f"{name}@{version}"
                try:
                    manifest = read_manifest(opened, name, version, Claim.parse(opened.get_claim(name, version)))
                except (VedaError, LookupError) as exc:
                    faults.append(Fault(where, str(exc)))
                    continue
                lacking = [c.sha256 for c in manifest.chunks if c.sha256 not in set(blobs)]
                if lacking and (name, version) not in gone:
                    faults.append(Fault(where, f"{len(lacking)} of its {len(manifest.chunks)} chunks are missing"))

        def read(digest: str) -> Fault | None:
            try:
                opened.get_blob(digest)
            except (Damaged, NotFound) as exc:
                return Fault(f"blob {digest[:12]}", str(exc))
            return None

        with ThreadPoolExecutor(_WORKERS) as pool:
            for done, fault in enumerate(pool.map(read, blobs), 1):
                faults += [fault] if fault else []
                progress(done, len(blobs))
    return faults


def collect(
    store: str | None = None,
    *,
    keep: int | None = None,
    older: float = 1.0,
    locks: Iterable[Path | str] = (),
    dry_run: bool = True,
    registry: str | None = None,
    home: Path | str | None = None,
    progress: Progress = no_progress,
) -> Collected:
    """Remove the blobs that no release needs, and with `keep` the chunks of old releases.

    A release stays if it is among the newest `keep` of its package, or a tag, a channel, a
    deployment, a lock in `locks` or anything below the home's ``envs`` names its digest.

    Parameters
    ----------
    keep
        How many versions of each package stay in any case; None keeps all.
    older
        Days that a blob must have lain there: a younger one may belong to a push that still runs.
    locks
        Files or folders of files; every ``sha256:...`` in them is kept.
    dry_run
        Only look.
    """
    if keep is not None and keep < 1:
        raise BadInput("keep must be 1 or more", hint="veda gc --keep 3")
    with open_store(store, home=home) as opened:
        # Blobs before claims: what a push adds meanwhile is young or already claimed.
        entries = opened.list(_BLOBS)
        manifests = _manifests(opened)
        going, kept = (set[tuple[str, str]](), dict[str, str]())
        if keep is not None:
            named = _roots(opened, store, locks, registry, home)
            going, kept = _old(opened, manifests, keep, named)
        staying = {key: pair for key, pair in manifests.items() if key not in going}
        needed = {c.sha256 for _, m in staying.values() for c in m.chunks} | {c.manifest for c, _ in manifests.values()}
        before = time.time() - older * 86400
        remove = [e for e in entries if e.key.rpartition("/")[2] not in needed and e.written_at <= before]
        if not dry_run:
            for name, version in sorted(going):
                # Said first: whoever finds a chunk missing finds the reason too.
                put_event(opened, Event("collected", name, version, by=owner(), id=f"collected-{version}"))
            for done, entry in enumerate(remove, 1):
                opened.remove(entry.key)
                progress(done, len(remove))
    names = tuple(f"{n}@{v}" for n, v in sorted(going))
    return Collected(names, kept, len(remove), sum(e.size for e in remove), not dry_run)


def _manifests(store: Store) -> dict[tuple[str, str], tuple[Claim, Manifest]]:
    keys = [(name, version) for name in package_names(store) for version in versions(store, name)]

    def read(key: tuple[str, str]) -> tuple[Claim, Manifest]:
        claim = Claim.parse(store.get_claim(*key))
        return claim, read_manifest(store, *key, claim)

    with ThreadPoolExecutor(_WORKERS) as pool:
        return dict(zip(keys, pool.map(read, keys), strict=True))


def _old(
    store: Store, manifests: Mapping[tuple[str, str], tuple[Claim, Manifest]], keep: int, named: Mapping[str, str]
) -> tuple[set[tuple[str, str]], dict[str, str]]:
    going, kept = set[tuple[str, str]](), dict[str, str]()
    for name in {name for name, _ in manifests}:
        yanked = yanked_in(store, name)
        known = sorted((v for n, v in manifests if n == name), key=Version, reverse=True)
        newest = [v for v in known if v not in yanked][:keep]
        for version in known:
            digest = manifests[name, version][0].digest
            if digest in named:
                kept[f"{name}@{version}"] = named[digest]
            elif version not in newest:
                going.add((name, version))
    return going, kept


def _roots(
    store: Store, url: str | None, locks: Iterable[Path | str], registry: str | None, home: Path | str | None
) -> dict[str, str]:
    """Return every digest that something still names, with what names it."""
    found: dict[str, str] = {}
    claims: dict[tuple[str, str], str] = {}
    for name in package_names(store):
        for version in versions(store, name):
            claims[name, version] = Claim.parse(store.get_claim(name, version)).digest
    events = stored_events(store)
    with open_registry(registry, home=home) as catalogue:
        events = [*events, *catalogue.events()]
        for name in {n for n, _ in claims}:
            for tag, version in catalogue.tags(name).items():
                found[claims.get((name, version), "")] = f"tag {tag}"
    tags = {(e.name, e.subject): e.version for e in events if e.kind == "tagged"}
    for (name, tag), version in tags.items():
        found[claims.get((name, version), "")] = f"tag {tag}"
    for event in events:
        if event.kind == "deployed":
            digest = str(event.data.get("digest") or claims.get((event.name, event.version), ""))
            found[digest] = f"deployed to {event.subject or 'a host'}"
    for channel in channel_names(store):
        for pointed in read_channel(channel, store, url, home=home).releases.values():
            found[pointed.digest] = f"channel {channel}"
    for place in [*map(Path, locks), home_folder(home) / "envs"]:
        for path in [place, *place.rglob("*")] if place.exists() else []:
            if path.is_file() and not path.is_symlink() and path.stat().st_size < 64 << 20:
                for digest in _DIGEST.findall(path.read_text(encoding="utf-8", errors="replace")):
                    found[digest] = f"named in {path}"
    return found
