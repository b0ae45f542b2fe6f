"""What a catalogue shows: releases, what is said of them since, who signed them, and who uses whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from veda.channels import read_channel
from veda.chunks import split, unpack_chunk
from veda.claims import Claim, read_manifest, release_of
from veda.errors import BackendUnavailable, NotFound, Untrusted, VedaError
from veda.installed import find_archive, tree_path
from veda.keys import check_release, must_be_signed
from veda.manifest import Manifest
from veda.registry import Release, open_registry
from veda.registry.facets import used
from veda.registry.port import now
from veda.resolve import newest_first
from veda.settings import store_url
from veda.store import Store, open_store

_WORKERS = 8
_README = "README.md"
_MOST = 1 << 20  # bytes of a README that are shown


@dataclass(frozen=True)
class Signature:
    """Whether a release is signed: `state` is ``trusted``, ``unknown``, ``none`` or ``unasked``, `detail` says more."""

    state: str
    detail: str


@dataclass(frozen=True)
class Entry:
    """One release, with what is known beside its manifest."""

    release: Release
    signature: Signature
    readme: str
    tags: tuple[str, ...] = ()
    yanked: str | None = None


@dataclass(frozen=True)
class Listed:
    """A package: its releases, the newest that is not yanked first, and the packages that need it."""

    name: str
    entries: tuple[Entry, ...]
    used_by: tuple[str, ...]


@dataclass(frozen=True)
class Catalogue:
    """All that is shown; `source` says of what, `asked` whether the store answered."""

    source: str
    packages: tuple[Listed, ...]
    asked: bool
    written_at: str = field(default_factory=now)

    def facts(self) -> list[dict[str, Any]]:
        """Return the packages as data."""
        return [
            {
                "name": package.name,
                "used_by": list(package.used_by),
                "releases": [
                    {
                        "version": entry.release.version,
                        "digest": entry.release.digest,
                        "published_at": entry.release.published_at,
                        "summary": entry.release.facts.get("summary", ""),
                        "tags": list(entry.tags),
                        "yanked": entry.yanked,
                        "signature": entry.signature.state,
                    }
                    for entry in package.entries
                ],
            }
            for package in self.packages
        ]


def collect(*, store: str | None, channel: str | None, registry: str | None, home: Path | str | None) -> Catalogue:
    """Gather what `browse` shows."""
    tags: dict[str, Mapping[str, str]] = {}
    yanked: dict[str, Mapping[str, str]] = {}
    if channel:
        with open_store(store, home=home) as opened:
            state = read_channel(channel, opened, store, home=home)
            releases = [_pointed(opened, name, p.version, p.digest, home) for name, p in state.releases.items()]
        shown = f"channel {channel} of {store_url(store, home)}, state {state.sequence}, signed by {state.signed_by}"
    else:
        with open_registry(registry, home=home) as catalogue:
            releases = catalogue.releases()
            for name in {r.name for r in releases}:
                tags[name], yanked[name] = catalogue.tags(name), catalogue.yanked(name)
        shown = "all registered releases"
    signatures, asked = _signatures(releases, store, home)
    newest = {release.name: release for release in reversed(newest_first(releases))}
    readmes = _readmes(releases, set(newest.values()) if asked else set(), store, home)
    entries: dict[str, list[Entry]] = {}
    for release in newest_first(releases):
        carried = tuple(sorted(t for t, v in tags.get(release.name, {}).items() if v == release.version))
        back = yanked.get(release.name, {}).get(release.version)
        entry = Entry(release, signatures[str(release)], readmes.get(str(release), ""), carried, back)
        entries.setdefault(release.name, []).append(entry)
    users = _users(releases)
    packages = tuple(
        # What was taken back is the first to be seen only where there is nothing else.
        Listed(name, tuple(sorted(found, key=lambda e: e.yanked is not None)), tuple(sorted(users.get(name, ()))))
        for name, found in sorted(entries.items())
    )
    return Catalogue(shown, packages, asked)


def _pointed(store: Store, name: str, version: str, digest: str, home: Path | str | None) -> Release:
    claim = Claim.parse(store.get_claim(name, version))
    if claim.digest != digest:
        raise Untrusted(f"{name}@{version} in the store is not what the channel names")
    if must_be_signed(store, home):
        check_release(store, claim.manifest, f"{name}@{version}", home=home)
    return release_of(read_manifest(store, name, version, claim), claim.published_at)


def _users(releases: Iterable[Release]) -> dict[str, set[str]]:
    users: dict[str, set[str]] = {}
    for release in releases:
        for text in release.facts.get("packages") or []:
            users.setdefault(Requirement(str(text)).name, set()).add(release.name)
    return users


def _signatures(releases: list[Release], url: str | None, home: Path | str | None) -> tuple[dict[str, Signature], bool]:
    """Ask the store who signed each release; tell whether it answered."""
    try:
        with open_store(url, home=home) as store, ThreadPoolExecutor(_WORKERS) as pool:
            found = list(pool.map(lambda r: _signature(store, r, home), releases))
    except BackendUnavailable:
        unasked = Signature("unasked", "the store did not answer when this page was written")
        return {str(r): unasked for r in releases}, False
    return {str(r): s for r, s in zip(releases, found, strict=True)}, True


def _signature(store: Store, release: Release, home: Path | str | None) -> Signature:
    try:
        claim = Claim.parse(store.get_claim(release.name, release.version))
    except NotFound:
        return Signature("none", "not in the store")
    if claim.digest != release.digest:
        return Signature("none", "the store has other content under this version")
    try:
        return Signature("trusted", f"signed by {check_release(store, claim.manifest, str(release), home=home).name}")
    except Untrusted as exc:
        text = str(exc).removeprefix(f"{release}: ").removeprefix(f"{release} is ")
        return Signature("none" if text == "not signed" else "unknown", text)


def _readmes(
    releases: list[Release], fetched: set[Release], url: str | None, home: Path | str | None
) -> dict[str, str]:
    """Return READMEs: from this machine, and of the newest releases from the store too."""
    found = {str(release): text for release in releases if (text := _readme_here(release, home)) is not None}
    wanted = [release for release in fetched if str(release) not in found]
    if wanted:
        with open_store(url, home=home) as store, ThreadPoolExecutor(_WORKERS) as pool:
            texts = pool.map(lambda r: _readme_there(store, r), wanted)
            found |= {str(r): text for r, text in zip(wanted, texts, strict=True)}
    return found


def _readme_here(release: Release, home: Path | str | None) -> str | None:
    tree = tree_path(release.digest, home)
    if tree.is_dir():
        path = tree / _README
        return _text(path.read_bytes()) if path.is_file() else ""
    try:
        package = find_archive(release.digest, home)
        return _text(package.read(_README)) if package and _has_readme(package.manifest) else None
    except VedaError:  # a file that was damaged since is not what a catalogue is to fail of
        return None


def _readme_there(store: Store, release: Release) -> str:
    try:
        claim = Claim.parse(store.get_claim(release.name, release.version))
        if claim.digest != release.digest:
            return ""
        manifest = read_manifest(store, release.name, release.version, claim)
        for file in manifest.files:
            if file.path == _README:
                chunk = manifest.chunks[file.chunk]
                raw = unpack_chunk(chunk, store.get_blob(chunk.sha256, chunk.size))
                return next(_text(bytes(data)) for _, data in split(raw, [file]))
    except VedaError:
        pass
    return ""


def _has_readme(manifest: Manifest) -> bool:
    return any(f.path == _README for f in manifest.files)


def _text(data: bytes) -> str:
    return data[:_MOST].decode("utf-8", "replace")


def names_of(requirements: Iterable[object]) -> list[tuple[str, str]]:
    """Return each requirement with the normal form of its name."""
    return [(str(text), used(text)) for text in requirements]
