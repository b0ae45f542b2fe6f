"""Let a process stand by for the units to come, where the caller of this one has said at which socket it would ask."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from kyrios._house.config import load_config
from kyrios.errors import BadInput
from kyrios.settings import SETTINGS

#: Variable in which the caller names the socket.
PLACE = "KYRIOS_WARM_AT"

#: Beginnings of the variables that differ from task to task, or that a shell sets; the DAG files hold the same list.
PASSING = ("AIRFLOW_", "KYRIOS_", "OLDPWD", "PWD", "SHLVL", "_")

_LONGEST = 100  # bytes of a socket's path, of the 107 that Linux takes


def digest_of(environment: Mapping[str, str]) -> str:
    """Return the digest of the variables that do not differ from task to task."""
    lasting = sorted(item for item in environment.items() if not item[0].startswith(PASSING))
    return hashlib.sha256(repr(lasting).encode()).hexdigest()[:16]


def stand_by() -> None:
    """Start a process that stands by at the caller's socket, unless one answers there or none is wanted."""
    place = os.environ.pop(PLACE, "")
    # A command that changes its environment before it comes here cannot be had by a fork in the caller's.
    if not place or place.rpartition("-")[2] != digest_of(os.environ):
        return
    seconds = standing()
    if not seconds or len(os.fsencode(place)) > _LONGEST or not is_private(Path(place).parent):
        return
    with Path(f"{place}.log").open("ab") as log:
        try:  # the new process holds this lock as long as it lives
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        log.truncate(0)
        subprocess.Popen(
            [sys.executable, "-P", "-m", "kyrios.warm.runner", place, str(seconds), sys.argv[0]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )


def standing() -> int:
    """Return the setting ``warm``: for how many seconds such a process waits for the next unit."""
    seconds = int(load_config(SETTINGS)["warm"])
    if not 0 <= seconds <= 86_400:
        raise BadInput(f"warm must be 0 to 86400 seconds, not {seconds}", hint="kyrios config show --origin")
    return seconds


def is_private(folder: Path) -> bool:
    """Make `folder` for this user alone; tell whether it is."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    return found.st_uid == os.getuid() and found.st_mode & 0o170077 == 0o040000
