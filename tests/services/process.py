"""Start a real server in a folder of its own on loopback, wait until it answers, stop it, leave nothing behind."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from tests.services.places import locate
from tests.services.table import Service, service
from tests.services.wire import NOT_YET

START_SECONDS = 60.0  #: A loaded two-core machine needs 10 of them for MariaDB; a dead server is noticed at once.
STOP_SECONDS = 10.0
PAUSE_SECONDS = 0.02  #: Between two questions to a server that does not answer yet.


class StartFailed(RuntimeError):
    """A server ended, or did not answer in time; the message ends with the tail of its log."""


class Process(NamedTuple):
    """A process for certain: an id alone may be another's a moment later."""

    pid: int
    started: int  #: Clock ticks since boot.


class Server(ABC):
    """One server process; subclasses say how it is started and how it is asked whether it is ready.

    A subclass gives `word`, `command`, `ping` and `url`. `ping` raises anything while the server is not ready.
    The ports are chosen when the object is made, so that URLs are known before the server runs.
    """

    word: ClassVar[str]
    port_names: ClassVar[tuple[str, ...]] = ("main",)
    durable: ClassVar[bool] = True  #: Written and acknowledged data are there after ``kill -9``.
    refuses_root: ClassVar[bool] = False
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    patience: ClassVar[float] = START_SECONDS  #: Seconds that it has to answer after its start.

    def __init__(self, folder: Path) -> None:
        self.row: Service = service(self.word)
        self.program = locate(self.row)
        self.folder = folder
        self._held = {name: _hold_port() for name in self.port_names}
        self.ports: dict[str, int] = {name: held.getsockname()[1] for name, held in self._held.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self._prepared = False

    @property
    def port(self) -> int:
        """Return the port that clients use, a TCP port on 127.0.0.1."""
        return self.ports[self.port_names[0]]

    @property
    def pid(self) -> int | None:
        """Return the process id while the server runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def prepare(self) -> None:  # noqa: B027 - some need none
        """Write configuration and the empty database; called once, before the first start."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Return the program and its arguments; it stays in the foreground."""

    @abstractmethod
    def ping(self) -> None:
        """Ask the server in its own protocol; raise while it is not ready for a write."""

    @abstractmethod
    def url(self, variable: str) -> str:
        """Return what goes into `variable`, one of the row's ``<LIB>_TEST_<WORD>_URL``."""

    def urls(self) -> dict[str, str]:
        return {variable: self.url(variable) for variable in self.row.variables}

    def start(self) -> None:
        """Start the server and return when it answers; raise `StartFailed` with the tail of its log if it does not."""
        if self.pid is not None:
            return
        if not self._prepared:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.own(self.folder)
            self.prepare()
            self._prepared = True
        self.release_ports()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_wrapper(self.unprivileged), *map(str, self.command())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self.environment(),
                start_new_session=True,  # Ctrl-C is for us: we stop the servers, in order
            )
        try:
            self._wait()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End the server as its operator would; kill what is left of it after 10 s."""
        if self._process is None:
            return
        family = _descendants(self._process.pid)
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, self.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        self._kill_all(family)

    def kill(self) -> None:
        """End the server and all its children at once, as ``kill -9`` or the kernel would."""
        if self._process is not None:
            self._kill_all(_descendants(self._process.pid))

    def clean(self) -> None:  # noqa: B027 - most leave nothing
        """Remove what the ended server has left outside its folder; called after every end."""

    def environment(self) -> dict[str, str]:
        """Return the environment of the process: ours, with a home and a place for stray files in its own folder."""
        own = str(self.folder)
        return {**os.environ, "HOME": own, "TMPDIR": own, "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    @property
    def unprivileged(self) -> bool:
        """Say whether the process must run as another user, since it refuses to run as root."""
        return self.refuses_root and os.geteuid() == 0

    def own(self, path: Path) -> None:
        """Give `path` to the user that the server runs as."""
        if self.unprivileged:
            nobody = pwd.getpwnam("nobody")
            os.chown(path, nobody.pw_uid, nobody.pw_gid)

    def run(self, *argv: str | Path) -> None:
        """Run a set-up program as the server's user, to its end; raise `StartFailed` with its output if it fails."""
        done = subprocess.run(
            [*_wrapper(self.unprivileged), *map(str, argv)],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StartFailed(f"{self.word}: {Path(argv[0]).name} failed:\n{(done.stdout + done.stderr)[-2000:]}")

    def release_ports(self) -> None:
        """Let go of the ports that were held so that nobody else takes them."""
        for held in self._held.values():
            held.close()
        self._held.clear()

    def _wait(self) -> None:
        assert self._process is not None
        end = time.monotonic() + self.patience
        while True:
            try:
                self.ping()
                return
            except NOT_YET as exc:
                last = exc
            if self._process.poll() is not None:
                raise StartFailed(f"{self.word} ended with {self._process.returncode}:\n{self._tail()}") from last
            if time.monotonic() > end:
                why = f"no answer within {self.patience:g} s: {last}"
                raise StartFailed(f"{self.word}: {why}\n{self._tail()}") from last
            time.sleep(PAUSE_SECONDS)

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""

    def _kill_all(self, family: set[Process]) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.kill()
        for process in family & _processes().keys():  # those that still run, and whose id is not another's by now
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        end = time.monotonic() + STOP_SECONDS
        while family & _processes().keys() and time.monotonic() < end:
            time.sleep(PAUSE_SECONDS)
        self.clean()


def remove(folder: Path) -> None:
    """Remove a folder that servers have written to."""
    # A child that was killed a moment ago may still be closing its files.
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(PAUSE_SECONDS)


def _hold_port() -> socket.socket:
    """Return a bound socket that keeps a free loopback port until the server takes it."""
    # Below the range that the kernel hands to outgoing connections, or one of those could take it before the server.
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(200):
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            held.bind(("127.0.0.1", random.randrange(12_000, max(low, 12_500))))
        except OSError:
            held.close()
        else:
            return held
    raise StartFailed("no free port on 127.0.0.1")


def _wrapper(unprivileged: bool) -> list[str]:
    """Return what goes before the command: the server dies with us even if we are killed, and not as root if it may."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StartFailed("setpriv is not installed; hint: apt-get install util-linux")
    user = ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"] if unprivileged else []
    return [setpriv, *user, "--pdeathsig", "KILL", "--"]


def _descendants(pid: int) -> set[Process]:
    """Return all children and their children: PostgreSQL's leave the process group, so the group is not enough."""
    parents = _processes()
    found: set[Process] = set()
    queue = {pid}
    while queue:
        children = {process for process, parent in parents.items() if parent in queue} - found
        found |= children
        queue = {process.pid for process in children}
    return found


def _processes() -> dict[Process, int]:
    """Return every running process of this machine with its parent's id."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent, *fields = stat.read_text().rpartition(")")[2].split()
            if state not in "ZX":
                found[Process(int(stat.parent.name), int(fields[17]))] = int(parent)
    return found
