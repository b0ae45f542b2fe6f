"""A lock: the exact packages and distributions of an environment, each with its digest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from veda._house.files import write_durably
from veda.errors import BadInput
from veda.manifest import canonical_json
from veda.names import normalise_name, normalise_version

FILE = "veda.lock"
FORMAT = "1.0"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
#: What an environment sets itself, and what would turn a shell or an interpreter over to somebody else.
RESERVED = frozenset({"PATH", "VIRTUAL_ENV", "JUPYTER_PATH", "IFS", "BASH_ENV", "ENV", "PYTHONHOME", "HOME", "SHELL"})


@dataclass(frozen=True)
class LockedPackage:
    """One package of a lock; `packages` are the packages that it needs."""

    name: str
    version: str
    digest: str
    packages: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True)
class LockedDistribution:
    """One Python distribution of a lock, with the ``sha256:...`` of each file that may be installed."""

    name: str
    version: str
    hashes: tuple[str, ...]
    marker: str = ""


@dataclass(frozen=True)
class Lock:
    """What an environment holds, exactly.

    Parameters
    ----------
    requests
        What was asked for, as references.
    packages, distributions
        What was found, sorted by name.
    python
        The version of Python that it is for, such as ``"3.11"``.
    requirements
        The distributions that were asked for, beside those that packages need.
    variables
        What is set in the environment.
    """

    requests: tuple[str, ...]
    packages: tuple[LockedPackage, ...]
    distributions: tuple[LockedDistribution, ...]
    python: str
    requirements: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def from_bytes(cls, data: bytes, where: str = FILE) -> Lock:
        """Parse a lock file; raise `BadInput`, naming `where`, if it is none."""
        try:
            facts = json.loads(data)
            if not isinstance(facts, dict) or facts.pop("format", None) != FORMAT:
                raise BadInput(
                    f"{where} is not a lock of format {FORMAT}", hint="veda lock --upgrade REF... writes it anew"
                )
            said = facts.pop("digest", None)
            lock = cls(
                requests=tuple(_texts(facts.pop("requests"))),
                packages=tuple(_package(p) for p in facts.pop("packages")),
                distributions=tuple(_distribution(d) for d in facts.pop("distributions")),
                python=str(facts.pop("python")),
                requirements=tuple(_texts(facts.pop("requirements"))),
                variables=checked_variables(dict(facts.pop("variables"))),
            )
        except BadInput:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            raise BadInput(f"{where} is not a lock: {exc}", hint="veda lock --upgrade REF... writes it anew") from None
        if facts or said != lock.digest or not re.fullmatch(r"[0-9]{1,3}\.[0-9]{1,3}", lock.python):
            raise BadInput(f"{where} was changed after it was locked", hint="veda lock --upgrade REF... writes it anew")
        return lock

    @classmethod
    def read(cls, path: Path | str) -> Lock:
        """Read a lock file; raise `BadInput` if it cannot be read or is none."""
        try:
            return cls.from_bytes(Path(path).read_bytes(), str(path))
        except OSError as exc:
            raise BadInput(f"{path} cannot be read: {exc.strerror}", hint=f"veda lock REF... -o {path}") from None

    def write(self, path: Path | str) -> None:
        """Write the lock file, all or nothing."""
        try:
            write_durably(Path(path), self.to_bytes())
        except OSError as exc:
            raise BadInput(f"{path} cannot be written: {exc.strerror}") from None

    def to_bytes(self) -> bytes:
        """Return the file: JSON, one line a field, the same bytes for the same lock."""
        facts = {**self._facts(), "digest": self.digest}
        return (json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()

    @property
    def digest(self) -> str:
        """The lock's identity, ``sha256:...``: the same for the same content on every machine."""
        return f"sha256:{hashlib.sha256(canonical_json(self._facts())).hexdigest()}"

    def _facts(self) -> dict[str, Any]:
        facts = asdict(self)
        return {"format": FORMAT, **facts, "variables": dict(self.variables)}


def checked_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return `variables`; raise `BadInput` if one cannot be set, or must not be."""
    for name, value in variables.items():
        if not _VARIABLE.fullmatch(name) or name in RESERVED or name.startswith(("VEDA_", "LD_")):
            raise BadInput(f"an environment cannot set {name!r}", hint="choose another name")
        # A modulefile's output cannot carry a line break, and no other control character is worth one.
        if not isinstance(value, str) or any(ord(c) < 32 or ord(c) == 127 for c in value):
            raise BadInput(f"{name} is not a text in one line")
    return dict(sorted(variables.items()))


def difference(old: Lock | None, new: Lock | None) -> list[dict[str, str]]:
    """Return what differs between two locks, one record a change: ``kind``, ``name``, ``before``, ``after``."""
    changes: list[dict[str, str]] = []
    for kind, contents in (("package", _packages), ("distribution", _distributions), ("variable", _variables)):
        before, after = contents(old), contents(new)
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                row = {"kind": kind, "name": name, "before": before.get(name, ""), "after": after.get(name, "")}
                changes.append(row)
    return changes


def _packages(lock: Lock | None) -> dict[str, str]:
    return {p.name: f"{p.version} {p.digest[:19]}" for p in lock.packages} if lock else {}


def _distributions(lock: Lock | None) -> dict[str, str]:
    return {d.name: d.version for d in lock.distributions} if lock else {}


def _variables(lock: Lock | None) -> dict[str, str]:
    return dict(lock.variables) if lock else {}


def _package(facts: Mapping[str, Any]) -> LockedPackage:
    name, version, digest = facts["name"], facts["version"], facts["digest"]
    if (normalise_name(name), normalise_version(version)) != (name, version) or not _DIGEST.fullmatch(digest):
        raise ValueError(f"{name!r} is no package in its normal form")
    return LockedPackage(name, version, digest, tuple(_texts(facts["packages"])))


def _distribution(facts: Mapping[str, Any]) -> LockedDistribution:
    name, version, hashes = facts["name"], facts["version"], tuple(_texts(facts["hashes"]))
    if (normalise_name(name), normalise_version(version)) != (name, version):
        raise ValueError(f"{name!r} is no distribution in its normal form")
    if not hashes or not all(_DIGEST.fullmatch(h) for h in hashes):
        raise ValueError(f"{name} has no SHA-256")
    marker = facts["marker"]
    if not isinstance(marker, str) or not marker.isprintable():
        raise ValueError(f"{name} has a marker that is no text")
    return LockedDistribution(name, version, hashes, marker)


def _texts(value: Any) -> Sequence[str]:
    if not isinstance(value, list) or not all(isinstance(v, str) and v.isprintable() for v in value):
        raise ValueError("a list of texts is missing")
    return value
