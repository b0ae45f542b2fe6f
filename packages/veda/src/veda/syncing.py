"""Bring one place up to date with another: the registry here with a store, or a store with a store."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from veda._house.progress import Progress, no_progress
from veda.channels import read_channel
from veda.chunks import unpack_chunk
from veda.claims import Claim, package_names, put_event, read_manifest, stored_events, versions
from veda.errors import Conflict, NotFound
from veda.keys import check_release, must_be_signed
from veda.manifest import Chunk
from veda.names import Ref
from veda.registry import open_registry
from veda.remote import announce_waiting, catalogue, find_in_store
from veda.settings import home as home_folder
from veda.store import Store, open_store

_WORKERS = 8


@dataclass(frozen=True)
class Synced:
    """What a synchronisation did.

    Parameters
    ----------
    releases, events
        How many were new.
    bytes_sent
        Those of the chunks that travelled.
    refused
        What was left out, each with the reason: not signed by anybody trusted, or taken by other content.
    announced
        Whether the team's index has heard all that this machine had to tell; None without an index.
    """

    releases: int
    events: int
    bytes_sent: int
    refused: tuple[str, ...]
    announced: bool | None


def sync(
    refs: Sequence[str] = (),
    *,
    from_: str | None = None,
    to: str | None = None,
    channel: str | None = None,
    registry: str | None = None,
    home: Path | str | None = None,
    progress: Progress = no_progress,
) -> Synced:
    """Bring the registry here up to date with a store, or with `to` copy releases to another store.

    Afterwards `search`, `list` and `show` know all that the store has, without the network. Events
    of the store, such as tags and yanks, come too. With `refs` or `channel` the chunks of those
    releases are fetched into the cache, so that pulls need no network either.

    Parameters
    ----------
    refs
        Releases to fetch or copy; with `to` and none given, all.
    channel
        Fetch or copy all that this signed channel names.
    """
    with open_store(from_, home=home) as store:
        pointed = read_channel(channel, store, from_, home=home).releases if channel else {}
        chosen = [(n, p.version) for n, p in pointed.items()]
        chosen += [(ref.name, find_in_store(ref, store)) for ref in map(Ref.parse, refs)]
        if to is not None:
            with open_store(to, home=home) as target:
                every = [(n, v) for n in package_names(store) for v in versions(store, n)]
                return _copy(store, target, chosen or every, home, progress)
        releases, events, refused = catalogue(store, home=home, progress=progress)
        added = appended = 0
        with open_registry(registry, home=home) as here:
            known = {(r.name, r.version) for r in here.releases()}
            ids = {e.id for e in here.events()}
            for release in releases:
                try:
                    here.publish(release)
                    added += (release.name, release.version) not in known
                except Conflict as exc:
                    refused.append(str(exc))
            for event in events:
                try:
                    here.append(event)
                    appended += event.id not in ids
                except NotFound:
                    continue
        sent = _fetch(store, chosen, home, progress)
    return Synced(added, appended, sent, tuple(refused), announce_waiting(from_, home=home))


def _fetch(store: Store, chosen: Sequence[tuple[str, str]], home: Path | str | None, progress: Progress) -> int:
    with open_store(f"file:{(home_folder(home) / 'cache').absolute()}") as cache:
        sent = 0
        for name, version in chosen:
            claim = Claim.parse(store.get_claim(name, version))
            if must_be_signed(store, home):
                check_release(store, claim.manifest, f"{name}@{version}", home=home)
            manifest = read_manifest(store, name, version, claim)
            sent += _chunks(store, cache, manifest.chunks, progress)
            # The rest of it too: then the cache is a store that can be pulled from.
            _rest(store, cache, name, version, claim)
        return sent


def _copy(
    store: Store, target: Store, chosen: Sequence[tuple[str, str]], home: Path | str | None, progress: Progress
) -> Synced:
    added = sent = events = 0
    refused: list[str] = []
    for name, version in chosen:
        claim = Claim.parse(store.get_claim(name, version))
        if must_be_signed(store, home):
            check_release(store, claim.manifest, f"{name}@{version}", home=home)
        manifest = read_manifest(store, name, version, claim)
        new = version not in target.versions(name)
        sent += _chunks(store, target, manifest.chunks, progress)
        if _rest(store, target, name, version, claim):
            added += new
        else:
            refused.append(f"{name}@{version} has other content in the target; releases never change")
    there = {e.id for e in stored_events(target)}
    for event in stored_events(store):
        if (event.name, event.version) in chosen and event.id not in there and event.kind != "collected":
            put_event(target, event)
            events += 1
    return Synced(added, events, sent, tuple(refused), None)


def _chunks(store: Store, target: Store, chunks: Sequence[Chunk], progress: Progress) -> int:
    def send(chunk: Chunk) -> int:
        data = store.get_blob(chunk.sha256, chunk.size)
        unpack_chunk(chunk, data)
        target.put_blob(data, chunk.sha256)
        return chunk.size

    missing = target.missing([c.sha256 for c in chunks])
    lacking = [c for c in chunks if c.sha256 in missing]
    there, sent = len(chunks) - len(lacking), 0
    with ThreadPoolExecutor(_WORKERS) as pool:
        for done, size in enumerate(pool.map(send, lacking), there + 1):
            sent += size
            progress(done, len(chunks))
    return sent


def _rest(store: Store, target: Store, name: str, version: str, claim: Claim) -> bool:
    """Copy manifest, signatures and claim, in this order; tell whether the claim stands."""
    target.put_blob(store.get_blob(claim.manifest))
    for entry in store.list(f"signatures/{claim.manifest}/"):
        target.replace(entry.key, store.read(entry.key)[0], None)
    standing = Claim.parse(target.claim(name, version, store.get_claim(name, version)))
    return standing.digest == claim.digest
