"""What a host does with an order, in one process: check, pull, verify, switch, go back."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from veda.deploy.port import ACTIONS, Order
from veda.environment import (
    create_environment,
    ensure_package,
    environments,
    find_generation,
    generations,
    now,
    rollback_environment,
)
from veda.environment_model import Generation
from veda.environment_site import site_path, verify_site
from veda.errors import BadInput, NotFound, VedaError
from veda.installed import tree_path, verify_tree
from veda.lock_distributions import base_python
from veda.lock_environment import python_version
from veda.lock_file import Lock, difference
from veda.settings import home as home_folder

_OUTPUT = 64 << 10  # characters of a command's output that travel back


def perform(order: Order, *, check: bool = False, home: Path | str | None = None) -> dict[str, Any]:
    """Do `order` here and return its report, with ``changed``; raise `VedaError` if it cannot be done.

    With `check` nothing changes, and the report tells what would.
    """
    if order.action not in ACTIONS:
        raise BadInput(f"{order.action!r} is not an action", hint=f"one of {', '.join(ACTIONS)}")
    return _ACTIONS[order.action](order, check, home)


def _ping(order: Order, check: bool, home: Path | str | None) -> dict[str, Any]:
    return {"changed": False, "veda": installed_version("jiyuan-veda"), "at": now()}


def _facts(order: Order, check: bool, home: Path | str | None) -> dict[str, Any]:
    folder = home_folder(home).absolute()
    standing = next(p for p in (folder, *folder.parents) if p.exists())
    return {
        "changed": False,
        "veda": installed_version("jiyuan-veda"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "home": str(folder),
        "free": shutil.disk_usage(standing).free,
        "at": now(),
    }


def _status(order: Order, check: bool, home: Path | str | None) -> dict[str, Any]:
    found = [find_generation(order.environment, home)] if order.environment else environments(home)
    rows = [{**_said(g), "damaged": _damage(g, home) if order.verify else []} for g in found]
    return {"changed": False, "environments": rows, "at": now()}


def _deploy(order: Order, check: bool, home: Path | str | None) -> dict[str, Any]:
    lock = Lock.from_bytes(order.lock.encode(), "the lock of the order")
    before = _now(order.environment, home)
    if python_version(base_python()) != lock.python:
        raise BadInput(f"the lock is for Python {lock.python}, and this host has {python_version(base_python())}")
    diff = difference(before.lock if before else None, lock)
    missing = [str(p) for p in lock.packages if not tree_path(p.digest, home).is_dir()]
    changed = before is None or before.lock.digest != lock.digest
    told: dict[str, Any] = {"changed": changed, "diff": diff, "missing": missing, "at": now(), "before": _brief(before)}
    if check:
        return {**told, "lock": lock.digest, "packages": _packages(lock)}
    for package in lock.packages:
        ensure_package(package, store=order.store or None, pinned=True, registry="sqlite://", home=home)
        if changed:
            verify_tree(package.digest, home)
    wheels = order.wheels or None
    made = create_environment(
        order.environment, lock, wheels=wheels, store=order.store or None, registry="sqlite://", home=home
    )
    return {**told, **_said(made.generation)}


def _rollback(order: Order, check: bool, home: Path | str | None) -> dict[str, Any]:
    before = find_generation(order.environment, home)
    target = _target(before, order.to, home)
    changed = target.number != before.number
    diff = difference(before.lock, target.lock)
    if changed and not check:
        rollback_environment(order.environment, target.number, home)
    return {"changed": changed, "diff": diff, "before": _brief(before), **_said(target), "at": now()}


def _run(order: Order, check: bool, home: Path | str | None) -> dict[str, Any]:
    if not order.argv:
        raise BadInput("there is no command to run", hint="veda ops run -- COMMAND")
    if check:
        return {"changed": True, "stdout": "", "stderr": "", "rc": 0, "at": now()}
    variables = dict(os.environ)
    if order.environment:
        generation = find_generation(order.environment, home)
        variables |= generation.set
        for name, places in generation.prepend.items():
            old = variables.get(name)
            variables[name] = os.pathsep.join((*places, *([old] if old else [])))
    try:
        done = subprocess.run(
            order.argv, capture_output=True, text=True, errors="replace", env=variables, stdin=subprocess.DEVNULL
        )
    except OSError as exc:
        raise NotFound(f"{order.argv[0]} cannot be run: {exc.strerror}") from None
    out, err = done.stdout[-_OUTPUT:], done.stderr[-_OUTPUT:]
    return {"changed": True, "stdout": out, "stderr": err, "rc": done.returncode, "at": now()}


_ACTIONS: Mapping[str, Callable[[Order, bool, Path | str | None], dict[str, Any]]] = {
    "ping": _ping,
    "facts": _facts,
    "status": _status,
    "deploy": _deploy,
    "rollback": _rollback,
    "run": _run,
}


def _target(before: Generation, to: str, home: Path | str | None) -> Generation:
    """Return the generation that `to` means: a number, a lock's digest, or a release that it holds."""
    earlier = [g for g in generations(before.environment, home) if g.number != before.number]
    if not to:
        found = [g for g in earlier if g.number < before.number]
    elif to.isdigit():
        found = [find_generation(f"{before.environment}@{to}", home)]
    elif to.startswith("sha256:"):
        found = [g for g in (*earlier, before) if g.lock.digest.startswith(to)]
    else:
        found = [g for g in (*earlier, before) if to in map(str, g.lock.packages)]
    if not found:
        what = f"holds {to}" if to else "came before"
        raise NotFound(f"no generation of {before.environment} {what}; now it is {before}", hint="veda ops status")
    return found[-1]


def _now(environment: str, home: Path | str | None) -> Generation | None:
    try:
        return find_generation(environment, home)
    except NotFound:
        return None


def _said(generation: Generation) -> dict[str, Any]:
    return {
        "environment": generation.environment,
        "generation": generation.number,
        "lock": generation.lock.digest,
        "packages": _packages(generation.lock),
    }


def _brief(generation: Generation | None) -> dict[str, Any] | None:
    return {"generation": generation.number, "lock": generation.lock.digest} if generation else None


def _packages(lock: Lock) -> list[dict[str, str]]:
    return [{"name": p.name, "version": p.version, "digest": p.digest} for p in lock.packages]


def _damage(generation: Generation, home: Path | str | None) -> list[str]:
    found = []
    for package in generation.lock.packages:
        try:
            verify_tree(package.digest, home)
        except (VedaError, OSError) as exc:
            found.append(f"{package}: {exc}")
    site = site_path(generation.lock, home)
    if site is not None:
        try:
            verify_site(site)
        except (VedaError, OSError) as exc:
            found.append(str(exc))
    if not generation.python.exists():
        found.append(f"{generation.python} leads nowhere ({sys.platform})")
    return found
