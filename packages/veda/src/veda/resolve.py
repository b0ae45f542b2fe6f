"""Which release a reference means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from veda._house.errors import nearest
from veda.errors import BadInput, NotFound
from veda.names import Ref
from veda.registry import Registry, Release


def find_release(ref: Ref, registry: Registry) -> Release:
    """Return the registered release that `ref` means; raise `NotFound` if there is none."""
    releases = registry.releases(ref.name)
    if not releases:
        names = {r.name for r in registry.releases()}
        raise NotFound(f"no release of {ref.name} is registered", hint=nearest(ref.name, names) or "veda list")
    if ref.tag:
        return registry.get(ref.name, tagged_version(ref, registry))
    if ref.digest:
        found = [r for r in releases if r.digest.startswith(ref.digest)]
        if len({r.digest for r in found}) > 1:
            raise BadInput(f"{ref} fits several releases", hint="write more of the digest")
        if found:
            return found[-1]
    else:
        yanked = registry.yanked(ref.name)
        chosen = choose(ref, (r.version for r in releases), yanked)
        if chosen is None and (back := choose(ref, yanked)) is not None:
            reason = f": {yanked[back]}" if yanked[back] else ""
            raise NotFound(f"all that fits {ref} is yanked{reason}", hint=f"name one exactly: {ref.name}@{back}")
        if chosen is not None:
            return next(r for r in releases if r.version == chosen)
    raise _missing(ref, [r.version for r in releases])


def tagged_version(ref: Ref, registry: Registry) -> str:
    """Return the version that the tag of `ref` points to; raise `NotFound` if there is no such tag."""
    tags = registry.tags(ref.name)
    if ref.tag is None or ref.tag not in tags:
        known = ", ".join(tags) or "none"
        raise NotFound(f"{ref.name} has no tag {ref.tag!r}; its tags: {known}", hint=f"veda tag {ref.name} {ref.tag}")
    return tags[ref.tag]


def choose(ref: Ref, versions: Iterable[str], yanked: Mapping[str, str] | None = None) -> str | None:
    """Return the newest of `versions` that fits, or None.

    A pre-release is chosen only where `ref` asks for it, or where there is nothing else; one of
    `yanked` only where `ref` names it exactly.
    """
    known = sorted(versions, key=Version)
    if ref.version:
        return ref.version if ref.version in known else None
    known = [v for v in known if v not in (yanked or {})]
    return max(SpecifierSet(ref.specifier or "").filter(known), key=Version, default=None)


def newest_first(releases: Iterable[Release]) -> list[Release]:
    """Sort by name, and each name's versions from the newest to the oldest."""
    return sorted(sorted(releases, key=lambda r: Version(r.version), reverse=True), key=lambda r: r.name)


def _missing(ref: Ref, versions: list[str]) -> NotFound:
    known = ", ".join(sorted(versions, key=Version)[-5:]) or "none"
    return NotFound(f"no release fits {ref}; versions of {ref.name}: {known}", hint=f"veda list {ref.name}")
