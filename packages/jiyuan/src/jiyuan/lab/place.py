"""Where a lab keeps what it needs: one folder for each project, for its user alone."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jiyuan._house.config import home
from jiyuan._house.files import make_folder, write_durably
from jiyuan.errors import ConfigError

#: Secrets by their file: bytes of randomness, and whether they are written as hexadecimal digits.
_SECRETS = {"password": (15, False), "operator.token": (32, True), "proxy.password": (24, True), "cookie": (32, True)}


@dataclass(frozen=True)
class Ports:
    """The ports of a lab, all on 127.0.0.1.

    Parameters
    ----------
    lab
        What a browser opens.
    tracker
        MLflow.
    hub, proxy
        Where JupyterHub and the proxy's own interface listen for one another.
    """

    lab: int
    tracker: int
    hub: int
    proxy: int


class Place:
    """The folder of one lab (0700): its ports, secrets (0600), data bases, users' folders and logs.

    Parameters
    ----------
    folder
        None is the one of the project in whose folder the command runs, in the home of jiyuan.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or home() / "labs" / _project()).absolute()

    @property
    def password(self) -> Path:
        """The file of the password that all users share."""
        return self.folder / "password"

    @property
    def operator(self) -> Path:
        """The file of the token with which programs use the hub's interface."""
        return self.folder / "operator.token"

    @property
    def users(self) -> Path:
        """The folder of the users' folders."""
        return self.folder / "users"

    @property
    def services(self) -> str:
        """What keeps the lab's programs."""
        return f"process://{self.folder / 'services'}"

    def ports(self) -> Ports | None:
        """Return the ports in use, None where no lab was ever started here."""
        path = self.folder / "lab.json"
        try:
            told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return Ports(**{name: int(told[name]) for name in ("lab", "tracker", "hub", "proxy")})
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise ConfigError(f"{path} cannot be read: {exc}", hint=f"delete {path}, then: jiyuan lab up") from None

    def keep(self, ports: Ports) -> None:
        """Write the ports down, durably."""
        write_durably(self.folder / "lab.json", json.dumps(asdict(ports)).encode())

    @contextmanager
    def making(self) -> Iterator[bool]:
        """Make the folder and what is missing in it; give whether the password is new. One process at a time.

        A secret that is there is kept: it may be in use.
        """
        make_folder(self.folder.parent)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.folder.chmod(0o700)
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            is_new = not self.password.exists()
            before = os.umask(0o077)
            try:
                for name, (size, hexadecimal) in _SECRETS.items():
                    if not (self.folder / name).exists():
                        made = secrets.token_hex(size) if hexadecimal else secrets.token_urlsafe(size)
                        write_durably(self.folder / name, f"{made}\n".encode())
            finally:
                os.umask(before)
            yield is_new
        finally:
            os.close(lock)  # the kernel lets go of the lock, also of one whose process was killed


def _project() -> str:
    from ptolemy.services.process import default_folder

    return default_folder().name
