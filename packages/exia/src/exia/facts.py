"""What a run was made of: code, environment, machine, process."""

from __future__ import annotations

import functools
import getpass
import hashlib
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from exia.redaction import Redaction

_PATIENCE = 2.0  #: Seconds that git has.


def facts(heartbeat: float, redaction: Redaction) -> dict[str, Any]:
    """Return what a run starts with.

    Parameters
    ----------
    heartbeat
        Seconds between two signs of life that the run will give.
    redaction
        What hides the secrets of the command line.
    """
    found: dict[str, Any] = {
        "process": {**process(), "heartbeat": heartbeat},
        "command": redaction.command([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "folder": str(Path.cwd()),
        "user": _user(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "environment": environment(),
    }
    if (script := code()) is not None:
        found["code"] = script
    if (state := git()) is not None:
        found["git"] = state
    if (cells := notebook()) is not None:
        found["notebook"] = cells
    return found


def process() -> dict[str, Any]:
    """Return what names this process for certain: an id alone is another's after a while."""
    return {"pid": os.getpid(), "started": started(os.getpid()), "boot": boot(), "space": process_space()}


def process_space() -> str | None:
    """Return the name of the space in which process ids count: a container has its own."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return None


def started(pid: int) -> int | None:
    """Return when a process was started, in clock ticks since boot; None if there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def boot() -> str | None:
    """Return the id of this start of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


@functools.cache
def environment() -> dict[str, Any]:
    """Return the digest of the installed packages: SHA-256 over ``name==version``, sorted, one a line."""
    # The folders' names say it; to read each package's metadata takes a hundred times as long.
    # What a package carries inside of itself and adds to the path when it is imported (Ray does) is no package.
    sites = {Path(place) for place in sys.path if Path(place).name in ("site-packages", "dist-packages")}
    folders = {Path(place) for place in sys.path if place and not sites & set(Path(place).parents)}
    names = sorted({p.name.removesuffix(".dist-info") for d in folders if d.is_dir() for p in d.glob("*.dist-info")})
    lines = [f"{name.lower().replace('_', '-')}=={version}" for name, _, version in (n.rpartition("-") for n in names)]
    return {"digest": f"sha256:{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}", "packages": len(lines)}


def code() -> dict[str, str] | None:
    """Return the script that runs and its digest; None in an interactive session."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    if not path:
        return None
    try:
        return {"path": str(path), "digest": f"sha256:{hashlib.sha256(Path(path).read_bytes()).hexdigest()}"}
    except OSError:
        return None


def notebook() -> dict[str, Any] | None:
    """Return which notebook runs, how many cells it has run and the digest of their text; None outside of one."""
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is None:  # IPython in a terminal has none
        return None
    cells = [str(cell) for cell in shell.history_manager.input_hist_raw if cell]
    text = "\n\n".join(cells)
    return {
        "path": os.environ.get("JPY_SESSION_NAME") or None,  # what Jupyter's server tells a kernel
        "cells": len(cells),
        "digest": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}",
    }


def git() -> dict[str, Any] | None:
    """Return the commit that the working folder is at, its branch and whether files differ; None outside of one."""
    told = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        done = subprocess.run(told, capture_output=True, text=True, timeout=_PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.splitlines()
    heads = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch."))
    commit = heads.get("branch.oid", "")
    if not commit or commit == "(initial)":
        return None
    return {
        "commit": commit,
        "branch": heads.get("branch.head"),
        "dirty": any(not line.startswith("#") for line in lines),
    }


def rss() -> int | None:
    """Return the bytes of memory that this process holds now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None


def rss_max(now: int | None) -> int:
    """Return the most bytes of memory that this process has held; `now` is what it holds now."""
    # The kernel updates its own maximum a little late.
    return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, now or 0)


def cpu() -> float:
    """Return the seconds of CPU that this process has used."""
    used = os.times()
    return used.user + used.system


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return str(os.getuid())
