"""Pull a release from a store: the store is the truth, an empty machine needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from veda._house.progress import Progress, no_progress
from veda.errors import ArchiveRefused, Damaged, NotFound, ReleaseExists
from veda.installed import find_archive, install, installed_manifest, tree_path
from veda.manifest import Chunk, Manifest
from veda.names import Ref
from veda.package import contents
from veda.publish import Claim, release_of
from veda.registry import Registry, Release, open_registry
from veda.resolve import choose, tagged_version
from veda.settings import home as home_folder
from veda.store import Store, open_store

_WORKERS = 4


@dataclass(frozen=True)
class Pulled:
    """What a pull did: the release, where its tree is, and how many chunks and bytes travelled."""

    name: str
    version: str
    digest: str
    path: Path
    chunks_fetched: int
    bytes_fetched: int


def pull(
    ref: str,
    from_: str | None = None,
    *,
    registry: str | None = None,
    home: Path | str | None = None,
    progress: Progress = no_progress,
) -> Pulled:
    """Fetch the release that `ref` means, verify every byte, install and register it.

    Parameters
    ----------
    ref
        Such as ``"momentum"``, ``"momentum@~=1.2"`` or ``"momentum@sha256:..."``. A tag is looked
        up in the registry, everything else in the store.
    from_
        URL of the store, by default the configured one.
    registry, home
        Where the release is registered and installed.
    progress
        Called with the bytes unpacked and the bytes in all.

    Raises
    ------
    NotFound
        If the store has no such release.
    ReleaseExists
        If the version is registered here with other content; nothing is fetched.
    ArchiveRefused, Damaged
        If what the store sent is not what it claimed; nothing is installed.
    """
    wanted = Ref.parse(ref)
    with open_store(from_, home=home) as store, open_registry(registry, home=home) as catalogue:
        version, claim = _claim(wanted, store, catalogue)
        for release in catalogue.releases(wanted.name):
            if release.version == version and release.digest != claim.digest:
                raise ReleaseExists(release.name, version, release.digest)
        manifest = installed_manifest(claim.digest, home)
        fetched: list[Chunk] = []
        if manifest is None:
            manifest = Manifest.from_bytes(store.get_blob(claim.manifest))
            if (manifest.name, manifest.version, manifest.digest) != (wanted.name, version, claim.digest):
                raise ArchiveRefused("manifest-disagrees", f"the store gave something else for {wanted.name}@{version}")
            stored = _fetch(store, manifest.chunks, _cache(store, home), fetched)
            install(manifest, contents(manifest, stored, progress), home)
        catalogue.publish(release_of(manifest))
    path = tree_path(manifest.digest, home)
    total = sum(c.size for c in fetched)
    return Pulled(manifest.name, manifest.version, manifest.digest, path, len(fetched), total)


def ensure_installed(release: Release, *, registry: str | None = None, home: Path | str | None = None) -> Path:
    """Return the tree of a registered release; unpack it from its archive or the store where it is missing."""
    tree = tree_path(release.digest, home)
    if tree.is_dir():
        return tree
    if package := find_archive(release.digest, home):
        stored = (package.stored(c) for c in package.manifest.chunks)
        return install(package.manifest, contents(package.manifest, stored), home)
    try:
        return pull(f"{release}", registry=registry, home=home).path
    except NotFound:
        raise NotFound(
            f"{release} is registered but not installed, and neither its file nor the store has it",
            hint=f"veda pull {release} --from URL",
        ) from None


def _claim(ref: Ref, store: Store, registry: Registry) -> tuple[str, Claim]:
    if ref.tag:
        ref = Ref(ref.name, version=tagged_version(ref, registry))
    versions = [v for v in store.versions(ref.name) if _is_version(v)]
    if ref.digest:
        for version in versions:
            claim = Claim.parse(store.get_claim(ref.name, version))
            if claim.digest.startswith(ref.digest):
                return version, claim
    elif (chosen := choose(ref, versions)) is not None:
        return chosen, Claim.parse(store.get_claim(ref.name, chosen))
    known = ", ".join(sorted(versions, key=Version)[-5:]) or "none"
    raise NotFound(f"the store has no {ref}; its versions of {ref.name}: {known}", hint=f"veda push {ref.name}")


def _fetch(store: Store, chunks: Sequence[Chunk], cache: Store | None, fetched: list[Chunk]) -> Iterator[bytes]:
    """Give each chunk in order; what comes over a network is kept, so that a pull that was cut off goes on."""

    def get(chunk: Chunk) -> tuple[bytes, bool]:
        if cache is not None and cache.has_blob(chunk.sha256):
            try:
                return cache.get_blob(chunk.sha256), False
            except Damaged:
                pass
        data = store.get_blob(chunk.sha256)
        if cache is not None:
            cache.put_blob(data)
        return data, True

    with ThreadPoolExecutor(_WORKERS) as pool:
        for start in range(0, len(chunks), 2 * _WORKERS):
            window = chunks[start : start + 2 * _WORKERS]
            for chunk, (data, travelled) in zip(window, pool.map(get, window), strict=True):
                fetched += [chunk] if travelled else []
                yield data


def _cache(store: Store, home: Path | str | None) -> Store | None:
    return open_store(f"file:{(home_folder(home) / 'cache').absolute()}") if store.remote else None


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True
