"""Which versions of packages fit together: resolvelib over the registry, and why nothing fits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible, Resolver
from resolvelib.structs import RequirementInformation

from veda._house.errors import nearest
from veda.errors import BadInput, NotFound, Unsatisfiable
from veda.lock_file import LockedPackage
from veda.names import Ref
from veda.platforms import ANY, fits
from veda.registry import Registry, Release
from veda.resolve import tagged_version


@dataclass(frozen=True)
class Need:
    """One wish for a package: versions, or a digest; `text` is how it was written."""

    name: str
    text: str
    specifier: SpecifierSet
    digest: str = ""
    _known: dict[str, bool] = field(default_factory=dict, compare=False, repr=False)

    def fits(self, candidate: Candidate) -> bool:
        """Tell whether a version fulfils it; whether a pre-release may is decided elsewhere."""
        if self.digest:
            return candidate.release.digest.startswith(self.digest)
        version = candidate.release.version
        if version not in self._known:  # a solver asks the same thing many times
            self._known[version] = self.specifier.contains(candidate.version, prereleases=True)
        return self._known[version]

    @property
    def exact(self) -> bool:
        """Whether it names one version, so that it may be yanked or a pre-release."""
        return bool(self.digest) or any(s.operator in ("==", "===") and "*" not in s.version for s in self.specifier)


@dataclass(frozen=True)
class Candidate:
    """A version that may be chosen."""

    name: str
    version: Version = field(compare=False)
    release: Release

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


_Information = RequirementInformation[Need, Candidate]


def resolve_packages(
    requests: Sequence[str], registry: Registry, python: str, keep: Iterable[LockedPackage] = ()
) -> list[tuple[LockedPackage, Release]]:
    """Return one release of each package that `requests` need, sorted by name; newest versions first.

    Parameters
    ----------
    requests
        References, such as ``"momentum@~=1.2"``.
    python
        Version of Python that all must run on, such as ``"3.11"``.
    keep
        What is taken before newer versions where it fits, yanked or not: what an older lock holds.

    Raises
    ------
    Unsatisfiable
        If no versions fit together; the message names both paths and the hint the nearest way out.
    NotFound
        If a package is not registered.
    BadInput
        If packages need each other in a cycle.
    """
    shelf = _Shelf(registry, python, {p.name: p.digest for p in keep})
    needs = [_need(Ref.parse(r), registry) for r in requests]
    provider = _Provider(shelf)
    try:
        found = _resolve(provider, needs)
    except ResolutionImpossible as exc:
        raise _explained(provider, needs, list(exc.causes)) from None
    _refuse_cycle(found)
    return [
        (LockedPackage(c.name, c.release.version, c.release.digest, tuple(_wanted(c.release))), c.release)
        for c in sorted(found.values(), key=lambda c: c.name)
    ]


class _Shelf:
    """What the registry has of each package, newest first, read once."""

    def __init__(self, registry: Registry, python: str, kept: Mapping[str, str]) -> None:
        self._registry = registry
        self._kept = kept
        self._python = Version(python)
        self._versions: dict[str, list[Candidate]] = {}
        self._yanked: dict[str, Mapping[str, str]] = {}
        self._runnable: dict[str, bool] = {}

    def versions(self, name: str) -> list[Candidate]:
        if name not in self._versions:
            found = [Candidate(name, Version(r.version), r) for r in self._registry.releases(name)]
            self._versions[name] = sorted(found, key=lambda c: c.version, reverse=True)
            self._yanked[name] = self._registry.yanked(name) if found else {}
        return self._versions[name]

    def fitting(self, name: str, needs: Sequence[Need]) -> list[Candidate]:
        """Return the versions that fulfil all `needs`; a pre-release or a yanked one only where it is named or kept."""
        exact = any(n.exact for n in needs)
        asks_for_early = exact or any(n.specifier.prereleases for n in needs)
        fitting = [c for c in self.versions(name) if all(n.fits(c) for n in needs) and self._runs(c)]
        found = [c for c in fitting if exact or c.release.version not in self._yanked[name]]
        final = [c for c in found if asks_for_early or not c.version.is_prerelease] or found
        if name not in self._kept:
            return final
        kept = [c for c in fitting if c.release.digest == self._kept[name]]
        return [*kept, *(c for c in final if c not in kept)]

    def names(self) -> set[str]:
        return {r.name for r in self._registry.releases()}

    def _runs(self, candidate: Candidate) -> bool:
        wanted = str(candidate.release.facts.get("requires_python") or "")
        if wanted not in self._runnable:
            self._runnable[wanted] = not wanted or SpecifierSet(wanted).contains(self._python, prereleases=True)
        return self._runnable[wanted] and fits(candidate.release.facts.get("tag") or ANY, str(self._python))


class _Provider(AbstractProvider[Need, Candidate, str]):
    def __init__(self, shelf: _Shelf) -> None:
        self.shelf = shelf
        self.asked: list[tuple[Need, Candidate]] = []
        self._needs: dict[Candidate, list[Need]] = {}

    def identify(self, requirement_or_candidate: Need | Candidate) -> str:
        return requirement_or_candidate.name

    def get_preference(
        self,
        identifier: str,
        resolutions: Mapping[str, Candidate],
        candidates: Mapping[str, Iterator[Candidate]],
        information: Mapping[str, Iterator[_Information]],
        backtrack_causes: Sequence[_Information],
    ) -> tuple[bool, int, str]:
        cause = any(identifier in (c.requirement.name, c.parent and c.parent.name) for c in backtrack_causes)
        return (not cause, len(self.shelf.versions(identifier)), identifier)

    def find_matches(
        self,
        identifier: str,
        requirements: Mapping[str, Iterator[Need]],
        incompatibilities: Mapping[str, Iterator[Candidate]],
    ) -> list[Candidate]:
        refused = set(incompatibilities[identifier])
        needs = list(dict.fromkeys(requirements[identifier]))
        return [c for c in self.shelf.fitting(identifier, needs) if c not in refused]

    def is_satisfied_by(self, requirement: Need, candidate: Candidate) -> bool:
        return requirement.fits(candidate)

    def get_dependencies(self, candidate: Candidate) -> list[Need]:
        if candidate not in self._needs:
            found = [_requirement(text) for text in _wanted(candidate.release)]
            self._needs[candidate] = found
            self.asked += [(need, candidate) for need in found]
        return self._needs[candidate]


def _resolve(provider: _Provider, needs: Sequence[Need]) -> dict[str, Candidate]:
    reporter: Any = BaseReporter()
    return dict(Resolver(provider, reporter).resolve(needs, max_rounds=10_000).mapping)


def _need(ref: Ref, registry: Registry) -> Need:
    if ref.tag:
        return Need(ref.name, str(ref), SpecifierSet(f"=={tagged_version(ref, registry)}"))
    specifier = f"=={ref.version}" if ref.version else ref.specifier or ""
    return Need(ref.name, str(ref), SpecifierSet(specifier), ref.digest or "")


@lru_cache(maxsize=4096)
def _requirement(text: str) -> Need:
    parsed = Requirement(text)
    return Need(parsed.name, text, parsed.specifier)


def _wanted(release: Release) -> list[str]:
    return [str(r) for r in release.facts.get("packages") or []]


def _explained(provider: _Provider, needs: Sequence[Need], causes: Sequence[_Information]) -> Exception:
    shelf = provider.shelf
    for cause in causes:
        name = cause.requirement.name
        if not shelf.versions(name):
            path = _path(provider, needs, cause)
            hint = nearest(name, shelf.names()) or f"veda pull {name} --from URL"
            return NotFound(f"no release of {name} is registered; asked for by {path}", hint=hint)
    clash = _clashing(shelf, causes)
    paths = list(dict.fromkeys(_path(provider, needs, c) for c in clash))
    name = clash[0].requirement.name
    known = ", ".join(str(c.version) for c in shelf.versions(name)[:5])
    text = f"no version of {name} fits {'; and '.join(paths)}; versions of {name}: {known}"
    if not shelf.fitting(name, [c.requirement for c in clash]) and any(
        all(c.requirement.fits(v) for c in clash) for v in shelf.versions(name)
    ):
        text += " (those that fit are yanked, or need another Python or machine)"
    return Unsatisfiable(text, hint=_way_out(shelf, needs) or f"publish a version of {name} that fits, or ask for less")


def _clashing(shelf: _Shelf, causes: Sequence[_Information]) -> list[_Information]:
    """Return two wishes that exclude each other, or what there is."""
    for one in causes:
        for other in causes:
            same = one.requirement.name == other.requirement.name
            if (
                same
                and one is not other
                and not shelf.fitting(one.requirement.name, [one.requirement, other.requirement])
            ):
                return [one] if one.requirement == other.requirement else [one, other]
    return list(causes)


def _path(provider: _Provider, needs: Sequence[Need], cause: _Information) -> str:
    """Return how a wish came about, from the request to it."""
    steps = [cause.requirement.text]
    parent = cause.parent
    seen: set[Candidate] = set()
    while parent is not None and parent not in seen:
        seen.add(parent)
        steps.insert(0, str(parent))
        asked = next((n for n in needs if n.name == parent.name and n.fits(parent)), None)
        if asked is not None:
            steps.insert(0, asked.text)
            break
        parent = next((p for n, p in provider.asked if n.name == parent.name and n.fits(parent)), None)
    return " -> ".join(dict.fromkeys(steps))


def _way_out(shelf: _Shelf, needs: Sequence[Need]) -> str | None:
    """Return the request that needs the least change for all to fit, as the command to type."""
    for index, need in enumerate(needs):
        others = [*needs[:index], Need(need.name, need.name, SpecifierSet()), *needs[index + 1 :]]
        try:
            found = _resolve(_Provider(shelf), others)
        except ResolutionImpossible:
            continue
        texts = [n.text for n in needs]
        texts[index] = f"{need.name}@{found[need.name].version}"
        return "veda lock " + " ".join(f"'{t}'" if set(t) & set("<>!~ ") else t for t in texts)
    return None


def _refuse_cycle(found: Mapping[str, Candidate]) -> None:
    from graphlib import CycleError, TopologicalSorter

    graph: dict[str, Iterable[str]] = {
        name: [Requirement(text).name for text in _wanted(c.release)] for name, c in found.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        shown = " -> ".join(str(found[name]) for name in reversed(exc.args[1]))
        raise BadInput(f"packages need each other in a cycle: {shown}", hint="publish one of them without it") from None
