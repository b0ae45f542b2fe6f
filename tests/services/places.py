"""Where the servers' programs are found, and which version each has."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.services.table import Service

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "services"
VENV = CACHE / "venv"
MLFLOW = CACHE / "mlflow"
CONSUL = CACHE / "consul"


class Missing(RuntimeError):
    """A server or a tool is not installed; the message names it and says what to type."""

    def __init__(self, row: Service) -> None:
        super().__init__(f"{row.word}: {row.binary} is not installed; hint: {row.install}")
        self.row = row


def folders() -> list[Path]:
    """Return the folders that are searched, first found first taken.

    ``JIYUAN_SERVICES_PATH`` (written like ``PATH``) is searched instead of all of them.
    """
    named = os.environ.get("JIYUAN_SERVICES_PATH")
    if named is not None:
        return [Path(part) for part in named.split(os.pathsep) if part]
    # Debian keeps each PostgreSQL in a folder of its own and most daemons where a plain user's PATH does not reach.
    postgresql = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True)
    path = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part]
    return [
        # Before the launchers that pip wrote: those would be a Python process between us and the server.
        *VENV.glob("lib/python3*/site-packages/noida_db"),
        *VENV.glob("lib/python3*/site-packages/osmem_server/bin"),
        VENV / "bin",
        MLFLOW / "bin",
        CONSUL / "usr/bin",
        *path,
        Path("/usr/sbin"),
        Path("/usr/local/sbin"),
        *postgresql,
    ]


def find(row: Service) -> Path | None:
    """Return the program of `row`, or None where it is not installed."""
    if row.word == "chdb":  # a module, not a program: it is there when its folder is
        return next(iter(VENV.glob("lib/python3*/site-packages/chdb")), None)
    found = shutil.which(row.binary, path=os.pathsep.join(str(folder) for folder in folders()))
    return Path(found) if found else None


def locate(row: Service) -> Path:
    """Return the program of `row`; raise `Missing`, naming it, where it is not installed."""
    found = find(row)
    if found is None:
        raise Missing(row)
    return found


def version(row: Service) -> str:
    """Return the installed version, such as ``15.18``; ``?`` where it does not say."""
    if row.source == "pypi":
        where = f"lib/python3*/site-packages/{row.package.replace('-', '_')}-*.dist-info"
        folder = next((found for venv in (VENV, MLFLOW) for found in venv.glob(where)), None)
        return folder.name.removesuffix(".dist-info").rpartition("-")[2] if folder else "?"
    argv = [str(locate(row)), *row.version] if row.version else ["dpkg-query", "-W", "-f", "${Version}", row.package]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "?"
    finally:
        remove_stray()
    said = done.stdout + done.stderr
    # dpkg writes an epoch before and Debian's own revision behind: 1:10.11.19-0+deb12u1 is 10.11.19.
    shown = re.search(r"\d+(?:\.\d+)+\w*", said if row.version else re.sub(r"^\d+:", "", said))
    return shown.group() if shown else "?"


def remove_stray() -> None:
    """Remove the empty folder that Debian's Consul makes at every call, whatever TMPDIR says."""
    with contextlib.suppress(OSError):
        Path("/tmp/consul-test").rmdir()
