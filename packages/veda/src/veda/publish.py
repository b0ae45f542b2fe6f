"""Register a package here, and push it where others can pull it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from veda._house.progress import Progress, no_progress
from veda.claims import Claim, put_manifest, release_of
from veda.errors import NotFound, ReleaseExists
from veda.installed import find_archive, remember_archive
from veda.keys import is_own, owner, sign_release, signing_key
from veda.manifest import Chunk, Manifest
from veda.names import Ref
from veda.outbox import Outbox
from veda.package import SUFFIX, Package, open_package
from veda.parallel import in_order
from veda.registry import Release, open_registry
from veda.remote import announce_waiting
from veda.resolve import find_release
from veda.settings import index_url, store_url
from veda.store import Store, open_store


@dataclass(frozen=True)
class Pushed:
    """What a push did: the release, and how many chunks and bytes travelled out of how many.

    Parameters
    ----------
    bytes_sent, bytes
        Those of the chunks; the manifest comes to them.
    signed_by
        Fingerprint of the key that signed; empty where a folder of the user's own needs no signature.
    announced
        Whether the team's index knows it: None if there is none, False if it will be told later.
    """

    name: str
    version: str
    digest: str
    chunks_sent: int
    chunks: int
    bytes_sent: int
    bytes: int
    signed_by: str = ""
    announced: bool | None = None


def register(
    package: Package | str | os.PathLike[str], *, registry: str | None = None, home: Path | str | None = None
) -> Release:
    """Write the facts of a package into the registry and return its release; again changes nothing.

    Raises
    ------
    ReleaseExists
        If its name and version belong to other content.
    ArchiveRefused
        If the package breaks a rule of the format.
    """
    package = package if isinstance(package, Package) else open_package(package)
    release = release_of(package.manifest)
    with open_registry(registry, home=home) as catalogue:
        catalogue.publish(release)
    remember_archive(package, home)
    return release


def push(
    package: Package | str | os.PathLike[str],
    to: str | None = None,
    *,
    registry: str | None = None,
    home: Path | str | None = None,
    progress: Progress = no_progress,
) -> Pushed:
    """Push a package, given as a file or as the reference of a registered release, to a store.

    Chunks that the store lacks go first, then the manifest and its signature, then the claim of the
    version: a reader sees the release whole or not at all, and a push that was cut off is completed
    by the next. Where a team has an index it is told last, and again until it has heard.

    Parameters
    ----------
    package
        A `Package`, a path that ends in ``.vedapkg``, or a reference such as ``"momentum@1.2.0"``.
    to
        URL of the store, by default the configured one.
    registry, home
        Where a reference is looked up.
    progress
        Called with the bytes that are in the store and the bytes in all.

    Raises
    ------
    ReleaseExists
        If the store has this version with other content; nothing of it changed.
    NotFound
        If the reference, or the file that it was registered from, does not exist.

    Examples
    --------
    >>> import veda
    >>> veda.push(veda.pack("examples/momentum", "momentum.vedapkg")).version
    '1.2.0'
    """
    source = _source(package, registry, home)
    manifest = source.manifest
    shown = str(store_url(to, home))
    with open_store(to, home=home) as store:
        _refuse_taken(store, manifest)
        sent = _send(store, source, progress, home)
        blob = put_manifest(store, manifest)
        key = signing_key(home, make=not is_own(store, home))
        if key:
            sign_release(store, blob, key)
        if index_url() is None:
            standing = _claim(store, manifest, blob)
        else:
            with Outbox(home) as outbox:
                row = outbox.intend(release_of(manifest), shown)
                standing = _claim(store, manifest, blob)
                if standing.digest == manifest.digest:
                    outbox.due(release_of(manifest, standing.published_at), shown)
                else:
                    outbox.drop(row)
    if standing.digest != manifest.digest:
        raise ReleaseExists(manifest.name, manifest.version, standing.digest)
    counts = (len(sent), len(manifest.chunks), sum(c.size for c in sent), sum(c.size for c in manifest.chunks))
    signed = key.public.fingerprint if key else ""
    announced = announce_waiting(to, home=home)
    return Pushed(manifest.name, manifest.version, manifest.digest, *counts, signed, announced)


def is_file_name(text: str) -> bool:
    """Tell whether `text` names a package file rather than a release."""
    return text.endswith(SUFFIX) or os.sep in text


def _source(package: Package | str | os.PathLike[str], registry: str | None, home: Path | str | None) -> Package:
    if not isinstance(package, Package):
        text = os.fspath(package)
        if not isinstance(package, str) or is_file_name(text):
            package = open_package(text)
        else:
            with open_registry(registry, home=home) as catalogue:
                release = find_release(Ref.parse(text), catalogue)
            found = find_archive(release.digest, home)
            if found is None:
                raise NotFound(
                    f"the file that {release} was registered from is no longer there",
                    hint=f"veda push path/to/{release.name.replace('-', '_')}-{release.version}-any{SUFFIX}",
                )
            package = found
    return package


def _claim(store: Store, manifest: Manifest, blob: str) -> Claim:
    made = Claim(manifest.digest, blob, owner()).to_bytes()
    return Claim.parse(store.claim(manifest.name, manifest.version, made))


def _refuse_taken(store: Store, manifest: Manifest) -> None:
    """Say it before anything travels; the claim itself decides."""
    try:
        standing = Claim.parse(store.get_claim(manifest.name, manifest.version))
    except NotFound:
        return
    if standing.digest != manifest.digest:
        raise ReleaseExists(manifest.name, manifest.version, standing.digest)


def _send(store: Store, package: Package, progress: Progress, home: Path | str | None) -> list[Chunk]:
    def send(chunk: Chunk) -> None:
        # Compared with its name when it is read: a damaged file must not reach others.
        store.put_blob(package.stored(chunk, home), chunk.sha256)

    chunks = package.manifest.chunks
    missing = store.missing([c.sha256 for c in chunks])
    lacking = [c for c in chunks if c.sha256 in missing]
    total = sum(c.size for c in chunks)
    done = total - sum(c.size for c in lacking)
    progress(done, total)
    for chunk, _ in zip(lacking, in_order(send, lacking, lambda c: c.size), strict=True):
        done += chunk.size
        progress(done, total)
    return lacking
