"""What differs between two packages: files, components, methods, parameters, requirements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veda.claims import Claim, read_manifest
from veda.errors import NotFound
from veda.installed import find_archive, installed_manifest
from veda.manifest import Manifest
from veda.names import Ref
from veda.package import open_package
from veda.publish import is_file_name
from veda.registry import open_registry
from veda.resolve import find_release
from veda.store import open_store


@dataclass(frozen=True)
class Difference:
    """One difference: of which kind, where, and what it was and is; None where there was or is nothing."""

    kind: str
    what: str
    before: str | None
    after: str | None


def diff(before: str, after: str, *, registry: str | None = None, home: Path | str | None = None) -> list[Difference]:
    """Compare two packages, each a ``.vedapkg`` file or a reference; equal packages have no differences.

    Raises
    ------
    NotFound
        If a reference is not registered, or neither its file, its tree nor the store has its manifest.
    """
    old, new = (_manifest(what, registry, home) for what in (before, after))
    found: list[Difference] = []
    kinds = {"fact": _facts, "requires": _requires, "component": _components, "method": _methods}
    for kind, facts in {**kinds, "parameter": _parameters}.items():
        found += _compare(kind, facts(old), facts(new))
    return found + _compare("file", _files(old), _files(new))


def _compare(kind: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    return [
        Difference(kind, key, before.get(key), after.get(key))
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]


def _facts(manifest: Manifest) -> dict[str, str]:
    keys = ("name", "version", "summary", "license", "requires_python", "tag")
    return {k: str(manifest.facts[k]) for k in keys} | {"authors": ", ".join(manifest.facts.get("authors", []))}


def _requires(manifest: Manifest) -> dict[str, str]:
    from packaging.requirements import Requirement

    return {Requirement(r).name: r for r in manifest.facts["requires"]}


def _components(manifest: Manifest) -> dict[str, str]:
    shown = {c["path"]: (c["kind"], str(c.get("sha256", ""))[:12]) for c in manifest.facts.get("components", [])}
    return {path: f"{kind} {digest}".rstrip() for path, (kind, digest) in shown.items()}


def _methods(manifest: Manifest) -> dict[str, str]:
    return {f"{p['name']}.{m}": said["signature"] for p in _points(manifest) for m, said in p["methods"].items()}


def _parameters(manifest: Manifest) -> dict[str, str]:
    return {
        f"{point['name']}.{name}": ", ".join(f"{k}={v}" for k, v in sorted(rule.items()))
        for point in _points(manifest)
        for name, rule in point["parameters"].get("properties", {}).items()
    }


def _files(manifest: Manifest) -> dict[str, str]:
    return {f.path: f"{f.mode} {f.size} {f.sha256[:12]}" for f in manifest.files}


def _points(manifest: Manifest) -> list[dict[str, Any]]:
    return list(manifest.facts["entry_points"])


def _manifest(what: str, registry: str | None, home: Path | str | None) -> Manifest:
    if is_file_name(what):
        return open_package(what).manifest
    with open_registry(registry, home=home) as catalogue:
        release = find_release(Ref.parse(what), catalogue)
    if (there := installed_manifest(release.digest, home)) is not None:
        return there
    if package := find_archive(release.digest, home):
        return package.manifest
    try:
        with open_store(home=home) as store:
            claim = Claim.parse(store.get_claim(release.name, release.version))
            if claim.digest == release.digest:
                return read_manifest(store, release.name, release.version, claim)
    except NotFound:
        pass
    raise NotFound(f"the list of files of {release} is not here", hint=f"veda pull {release}")
