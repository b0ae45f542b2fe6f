"""Pull a release from a store: the store is the truth, an empty machine needs nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from veda._house.progress import Progress, no_progress
from veda.channels import read_channel
from veda.claims import Claim, read_manifest, release_of, versions, yanked_in
from veda.errors import ArchiveRefused, Damaged, NotFound, ReleaseExists, Untrusted
from veda.installed import find_archive, install, install_archive, installed_manifest, tree_path
from veda.keys import check_release, must_be_signed
from veda.manifest import Chunk
from veda.names import Ref
from veda.registry import Registry, Release, open_registry
from veda.resolve import choose, tagged_version
from veda.settings import home as home_folder
from veda.store import Store, open_store


@dataclass(frozen=True)
class Pulled:
    """What a pull did: the release, where its tree is, and how many chunks and bytes travelled.

    Parameters
    ----------
    signed_by
        Who signed it, as trusted here; empty where no signature was asked for.
    """

    name: str
    version: str
    digest: str
    path: Path
    chunks_fetched: int
    bytes_fetched: int
    signed_by: str = ""


def pull(
    ref: str,
    from_: str | None = None,
    *,
    channel: str | None = None,
    pinned: bool = False,
    offline: bool = False,
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
    channel
        Take the release that this signed channel of the store names.
    pinned
        Whether somebody whom you trust gave the digest in `ref`: no signature is asked for then.
    offline
        Use what `sync` has fetched into the cache, and no network.
    registry, home
        Where the release is registered and installed.
    progress
        Called with the bytes unpacked and the bytes in all.

    Raises
    ------
    NotFound
        If the store has no such release.
    Untrusted
        If the store is not a folder of the user's own and nobody trusted has signed the release.
    ReleaseExists
        If the version is registered here with other content; nothing is fetched.
    ArchiveRefused, Damaged
        If what the store sent is not what it claimed; nothing is installed.

    Examples
    --------
    >>> import veda
    >>> pushed = veda.push(veda.pack("examples/momentum", "momentum.vedapkg"))
    >>> veda.pull("momentum@~=1.2").digest == pushed.digest
    True
    """
    wanted = Ref.parse(ref)
    if offline:
        from_ = f"file:{(home_folder(home) / 'cache').absolute()}"
    with open_store(from_, home=home) as store, open_registry(registry, home=home) as catalogue:
        if channel:
            version, claim = _in_channel(wanted, store, channel, from_, home)
        else:
            version, claim = _claim(wanted, store, catalogue)
        for release in catalogue.releases(wanted.name):
            if release.version == version and release.digest != claim.digest:
                raise ReleaseExists(release.name, version, release.digest)
        manifest = installed_manifest(claim.digest, home)
        fetched: list[Chunk] = []
        signed_by = ""
        if manifest is None:
            if not (pinned and wanted.digest) and must_be_signed(store, home):
                signed_by = check_release(store, claim.manifest, f"{wanted.name}@{version}", home=home).name
            manifest = read_manifest(store, wanted.name, version, claim)
            install(manifest, _fetch(store, _cache(store, home), fetched), home, progress)
        elif (manifest.name, manifest.version) != (wanted.name, version):
            raise ArchiveRefused("manifest-disagrees", f"the store gave {manifest.stem} for {wanted.name}@{version}")
        catalogue.publish(release_of(manifest, claim.published_at))
    path = tree_path(manifest.digest, home)
    total = sum(c.size for c in fetched)
    return Pulled(manifest.name, manifest.version, manifest.digest, path, len(fetched), total, signed_by)


def ensure_installed(release: Release, *, registry: str | None = None, home: Path | str | None = None) -> Path:
    """Return the tree of a registered release; unpack it from its archive or the store where it is missing."""
    tree = tree_path(release.digest, home)
    if tree.is_dir():
        return tree
    if package := find_archive(release.digest, home):
        with suppress(NotFound):  # what it keeps by reference may be in the store alone
            return install_archive(package, home)
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
    known = versions(store, ref.name)
    if ref.digest:
        for version in known:
            claim = Claim.parse(store.get_claim(ref.name, version))
            if claim.digest.startswith(ref.digest):
                return version, claim
    elif (chosen := choose(ref, known, yanked_in(store, ref.name) if known and not ref.version else {})) is not None:
        return chosen, Claim.parse(store.get_claim(ref.name, chosen))
    shown = ", ".join(sorted(known, key=Version)[-5:]) or "none"
    raise NotFound(f"the store has no {ref}; its versions of {ref.name}: {shown}", hint=f"veda push {ref.name}")


def _in_channel(ref: Ref, store: Store, channel: str, url: str | None, home: Path | str | None) -> tuple[str, Claim]:
    found = read_channel(channel, store, url, home=home).releases.get(ref.name)
    fits = found and (
        found.digest.startswith(ref.digest) if ref.digest else not ref.tag and choose(ref, [found.version])
    )
    if found is None or not fits:
        has = f"it has {ref.name}@{found.version}" if found else f"it has no {ref.name}"
        raise NotFound(f"channel {channel} has no {ref}; {has}", hint=f"veda channel show {channel}")
    claim = Claim.parse(store.get_claim(ref.name, found.version))
    if (claim.digest, claim.manifest) != (found.digest, found.manifest):
        raise Untrusted(f"{ref.name}@{found.version} in the store is not what channel {channel} names")
    return found.version, claim


def _fetch(store: Store, cache: Store | None, fetched: list[Chunk]) -> Callable[[Chunk], bytes]:
    """Return what gets a chunk; what comes over a network is kept, so that a pull that was cut off goes on."""

    def get(chunk: Chunk) -> bytes:
        if cache is not None and cache.has_blob(chunk.sha256):
            with suppress(Damaged):
                return cache.get_blob(chunk.sha256)
        data = store.get_blob(chunk.sha256, chunk.size)
        if cache is not None:
            cache.put_blob(data, chunk.sha256)
        fetched.append(chunk)
        return data

    return get


def _cache(store: Store, home: Path | str | None) -> Store | None:
    return open_store(f"file:{(home_folder(home) / 'cache').absolute()}") if store.remote else None
