"""Lock: from what is asked for to the exact set that an environment is made of."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from veda._house.errors import nearest
from veda.errors import BadInput
from veda.lock_distributions import base_python, resolve_distributions
from veda.lock_file import Lock, LockedDistribution, LockedPackage, checked_variables
from veda.lock_packages import resolve_packages
from veda.names import normalise_name
from veda.registry import Registry, open_registry


def lock(
    requests: Sequence[str],
    *,
    requirements: Iterable[str] = (),
    variables: Mapping[str, str] | None = None,
    python: Path | str | None = None,
    wheels: Path | str | None = None,
    keep: Lock | None = None,
    upgrade: Iterable[str] = (),
    registry: str | Registry | None = None,
    home: Path | str | None = None,
) -> Lock:
    """Find the newest packages and distributions that fit together, and return them as a lock.

    Parameters
    ----------
    requests
        References of packages, such as ``"momentum@~=1.2"``.
    requirements
        Further Python distributions, such as ``"ipykernel>=6"``.
    variables
        What the environment sets.
    python
        The interpreter that it is for, by default the one that veda runs on.
    wheels
        A folder of wheels that is looked into instead of the package index.
    keep
        An older lock: what it holds stays where it still fits, though there is something newer.
    upgrade
        Packages and distributions of `keep` that do not stay.
    registry, home
        Where packages are registered.

    Raises
    ------
    Unsatisfiable
        If no versions fit together; the message names both paths of the clash.
    NotFound
        If a package is not registered.
    BadInput
        If `keep` has nothing of a name in `upgrade`.
    """
    if not requests:
        raise BadInput("an environment needs at least one package", hint="veda lock REF...")
    asked = tuple(dict.fromkeys(requests))
    set_ = checked_variables(variables or {})
    more = tuple(sorted({_requirement(r) for r in requirements}))
    interpreter = Path(python) if python else base_python()
    version = python_version(interpreter)
    packages, kept = _staying(keep, upgrade)
    if registry is None or isinstance(registry, str):
        with open_registry(registry, home=home) as catalogue:
            found = resolve_packages(asked, catalogue, version, packages)
    else:
        found = resolve_packages(asked, registry, version, packages)
    needed = {r for _, release in found for r in release.facts.get("requires") or []}
    folder = Path(wheels) if wheels else None
    distributions = resolve_distributions(sorted(needed | set(more)), interpreter, version, folder, kept)
    return Lock(asked, tuple(p for p, _ in found), distributions, version, more, set_)


@lru_cache(maxsize=64)
def python_version(interpreter: Path) -> str:
    """Return the version of an interpreter, such as ``"3.11"``; raise `BadInput` if it is none."""
    import sys

    if interpreter in (base_python(), Path(sys.executable)):
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    script = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([interpreter, "-I", "-c", script], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        raise BadInput(f"{interpreter} is not a Python that runs", hint="--python /usr/bin/python3") from None
    return done.stdout.strip()


def _staying(keep: Lock | None, upgrade: Iterable[str]) -> tuple[Sequence[LockedPackage], Sequence[LockedDistribution]]:
    packages, distributions = (keep.packages, keep.distributions) if keep else ((), ())
    known = {p.name for p in packages} | {d.name for d in distributions}
    going = {normalise_name(name) for name in upgrade}
    for name in sorted(going - known):
        raise BadInput(
            f"the lock has nothing called {name}",
            hint=nearest(name, known) or f"it has {', '.join(sorted(known)) or 'nothing'}",
        )
    return [p for p in packages if p.name not in going], [d for d in distributions if d.name not in going]


def _requirement(text: str) -> str:
    try:
        return str(Requirement(text))
    except InvalidRequirement:
        raise BadInput(f"{text!r} is not a requirement", hint='such as "ipykernel>=6"') from None
