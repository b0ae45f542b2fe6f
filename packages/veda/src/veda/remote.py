"""The team's index: told of what stores hold, and made again from them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from veda._house.ids import uuid7
from veda._house.progress import Progress, no_progress
from veda.claims import (
    Claim,
    claimed,
    package_names,
    put_event,
    read_manifest,
    release_of,
    stored_events,
    versions,
)
from veda.errors import BackendUnavailable, BadInput, NotAllowed, NotFound
from veda.keys import check_release, must_be_signed, owner
from veda.names import Ref
from veda.outbox import Outbox
from veda.package import Package, open_package
from veda.registry import Event, Registry, Release, open_registry
from veda.resolve import choose
from veda.settings import index_url, store_url
from veda.store import Store, open_store

_WORKERS = 8


@dataclass(frozen=True)
class Probe:
    """What an S3 server or a folder does when eight writers race: how often more or fewer than one won."""

    store: str
    rounds: int
    created_twice: int
    replaced_twice: int

    @property
    def atomic(self) -> bool:
        """Whether every race had one winner."""
        return not self.created_twice and not self.replaced_twice


def open_index() -> Registry:
    """Open the registry that the team shares; raise `BadInput` if none is configured."""
    url = index_url()
    if url is None:
        raise BadInput(
            "no index of a team is configured", hint="set VEDA_INDEX=clickhouse://user:password@host:9000/database"
        )
    from veda._house.backends import open_backend

    index: Registry = open_backend("registry", url)
    return index


def announce_waiting(store: str | None = None, *, home: Path | str | None = None) -> bool | None:
    """Tell the index what is due; return True if nothing is due now, False if something is, None without an index."""
    if index_url() is None:
        return None
    shown = str(store_url(store, home))
    with Outbox(home) as outbox:
        waiting = outbox.waiting()
        if any(w.state == "intended" for w in waiting):
            try:
                with open_store(store, home=home) as opened:
                    outbox.settle(opened, shown, claimed)
            except BackendUnavailable:
                return False
        if not any(w.state == "due" for w in outbox.waiting()):
            return True
        try:
            with open_index() as index:
                outbox.deliver(index)
        except BackendUnavailable:
            return False
        return not any(w.state == "due" for w in outbox.waiting())


def register_remote(
    package: Package | str | Path, *, store: str | None = None, home: Path | str | None = None
) -> Release:
    """Tell the index of a package that the store holds whole.

    Raises
    ------
    NotFound
        If the store lacks its claim or one of its chunks.
    """
    package = package if isinstance(package, Package) else open_package(package)
    manifest = package.manifest
    what = f"{manifest.name}@{manifest.version}"
    with open_store(store, home=home) as opened:
        try:
            claim = Claim.parse(opened.get_claim(manifest.name, manifest.version))
        except NotFound:
            claim = None
        missing = opened.missing([c.sha256 for c in manifest.chunks])
    if claim is None or claim.digest != manifest.digest or missing:
        raise NotFound(f"{what} is not in the store yet, so nobody could fetch it", hint=f"veda push {package.path}")
    release = release_of(manifest, claim.published_at)
    _need_index()
    with Outbox(home) as outbox:
        outbox.due(release, str(store_url(store, home)))
    announce_waiting(store, home=home)
    return release


def record(event: Event, *, store: str | None = None, home: Path | str | None = None) -> bool:
    """Write an event into the store and tell the index; return False if the index will be told later.

    Raises
    ------
    NotFound
        If the store has no such release.
    """
    _need_index()
    event = event if event.by else replace(event, by=owner())
    with open_store(store, home=home) as opened:
        opened.get_claim(event.name, event.version)
        put_event(opened, event)
    with Outbox(home) as outbox:
        outbox.add(event)
    return bool(announce_waiting(store, home=home))


def find_in_store(ref: Ref, store: Store) -> str:
    """Return the version that `ref` means among those of a store; raise `NotFound` if there is none."""
    known = versions(store, ref.name)
    version: str | None
    if ref.digest:
        digests = ((v, Claim.parse(store.get_claim(ref.name, v)).digest) for v in known)
        version = next((v for v, digest in digests if digest.startswith(ref.digest)), None)
    else:
        version = choose(ref, known)
    if version is None:
        raise NotFound(f"the store has no {ref}", hint=f"veda push {ref.name}")
    return version


def catalogue(
    store: Store, *, home: Path | str | None = None, progress: Progress = no_progress
) -> tuple[list[Release], list[Event], list[str]]:
    """Return all that a store says: its releases, its events, and what was left out because it is not signed."""
    wanted = [(name, version) for name in package_names(store) for version in versions(store, name)]
    needed = must_be_signed(store, home)

    def read(key: tuple[str, str]) -> Release | str:
        claim = Claim.parse(store.get_claim(*key))
        try:
            if needed:
                check_release(store, claim.manifest, f"{key[0]}@{key[1]}", home=home)
        except NotAllowed as exc:
            return str(exc)
        return release_of(read_manifest(store, *key, claim), claim.published_at)

    found: list[Release | str] = []
    with ThreadPoolExecutor(_WORKERS) as pool:
        for done, release in enumerate(pool.map(read, wanted), 1):
            found.append(release)
            progress(done, len(wanted))
    releases = sorted((r for r in found if isinstance(r, Release)), key=lambda r: (r.published_at, r.name, r.version))
    known = {(r.name, r.version) for r in releases}
    events = [e for e in stored_events(store) if (e.name, e.version) in known]
    return releases, events, [r for r in found if isinstance(r, str)]


def reindex(
    store: str | None = None,
    *,
    registry: str | None = None,
    home: Path | str | None = None,
    progress: Progress = no_progress,
) -> tuple[int, int]:
    """Make the index again from the store; return the numbers of its releases and of its other events.

    Parameters
    ----------
    registry
        What to fill, by default the team's index. An index of ClickHouse is replaced as a whole, in
        one step; in SQLite, where nothing is ever removed, what is missing is added.
    """
    with open_store(store, home=home) as opened:
        releases, events, _ = catalogue(opened, home=home, progress=progress)
    with open_registry(registry, home=home) if registry else open_index() as target:
        replace_all: Callable[[list[Release], list[Event]], None] | None = getattr(target, "replace", None)
        if replace_all is not None:
            replace_all(releases, events)
        else:
            for release in releases:
                target.publish(release)
            for event in events:
                target.append(event)
    return len(releases), len(events)


def probe(store: str | None = None, *, rounds: int = 20, home: Path | str | None = None) -> Probe:
    """Let eight writers race for one object, `rounds` times, made new and replaced; leave nothing behind."""
    twice = [0, 0]
    with open_store(store, home=home) as opened, ThreadPoolExecutor(_WORKERS) as pool:
        for _ in range(rounds):
            key = f"probes/{uuid7()}"
            try:
                for kind in (0, 1):
                    mark = opened.read(key)[1] if kind else None
                    races = [pool.submit(opened.replace, key, b"%d/%d" % (kind, n), mark) for n in range(_WORKERS)]
                    twice[kind] += [race.result() for race in races].count(True) != 1
            finally:
                opened.remove(key)
    return Probe(str(store_url(store, home)), rounds, *twice)


def _need_index() -> None:
    if index_url() is None:
        open_index()
