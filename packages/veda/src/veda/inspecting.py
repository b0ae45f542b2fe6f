"""What a package or a release is, without running any of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from veda.installed import find_archive, installed_manifest
from veda.manifest import Manifest
from veda.names import Ref
from veda.package import open_package
from veda.publish import is_file_name
from veda.registry import open_registry
from veda.resolve import find_release


def inspect(
    what: str | os.PathLike[str],
    *,
    files: bool = False,
    registry: str | None = None,
    home: Path | str | None = None,
) -> dict[str, Any]:
    """Return the facts of a package file, or of the release that a reference means.

    Parameters
    ----------
    what
        A path that ends in ``.vedapkg``, a reference such as ``"momentum@1.2.0"``, or the
        ``https://`` URL of a package file, of which only the head is fetched.
    files
        Whether to add the list of files (of an archive, or of a release that is installed here).

    Returns
    -------
    dict
        Name, version, digest, entry points with their methods and parameters, requirements,
        provenance, ``file_count``, ``size`` and ``packed_size`` in bytes, and ``tags``.
    """
    text = os.fspath(what)
    tags: list[str] = []
    if text.startswith(("http://", "https://")):
        from veda.ranged import read_head

        manifest: Manifest | None = (head := read_head(text))
        facts = head.description()
    elif not isinstance(what, str) or is_file_name(text):
        manifest = (package := open_package(text)).manifest
        facts = package.manifest.description()
    else:
        with open_registry(registry, home=home) as catalogue:
            release = find_release(Ref.parse(text), catalogue)
            tags = [t for t, v in catalogue.tags(release.name).items() if v == release.version]
        facts = dict(release.facts)
        manifest = _installed(release.digest, home) if files else None
    listed = {"files": manifest.facts["files"]} if files and manifest is not None else {}
    return {**_ordered(facts), "tags": tags, **listed}


_FIRST = ("name", "version", "summary", "license", "authors", "digest", "tag", "entry_points", "requires")


def _installed(digest: str, home: Path | str | None) -> Manifest | None:
    manifest = installed_manifest(digest, home)
    if manifest is None and (package := find_archive(digest, home)):
        return package.manifest
    return manifest


def _ordered(facts: dict[str, Any]) -> dict[str, Any]:
    first = {k: facts[k] for k in _FIRST if k in facts}
    return {**first, **{k: v for k, v in sorted(facts.items()) if k not in first}}
