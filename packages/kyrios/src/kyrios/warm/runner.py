"""The process that stands by: ``python -m kyrios.warm.runner SOCKET SECONDS PROGRAM``.

It has imported what a unit needs, and forks a child for each caller. The caller sends one line of JSON (``args``,
``env``, ``cwd``, ``umask``, ``limits``) with the descriptor that takes the output. The child answers with its number,
waits for ``go``, runs ``PROGRAM args`` as a new process would, and says its exit code. A caller that leaves takes its
child along. What a caller sends is read by its child alone, so that no caller can keep the others waiting.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import resource
import runpy
import select
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

_GRACE = 5.0  # seconds that a unit whose caller has left has, to end itself
_MODULES = (
    "cli.run_unit", "driven", "execution", "flows", "lineage", "load", "operators", "tables",
)  # fmt: skip


@dataclass
class _Child:
    caller: socket.socket
    killed_at: float | None = None


class Runner:
    """Stands by at the socket `place` until nobody has come for `seconds`."""

    def __init__(self, place: str, seconds: float, program: str) -> None:
        self.place, self.seconds, self.program = Path(place), seconds, program
        self._children: dict[int, _Child] = {}
        self._stamp = stamp()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.setblocking(False)
        self._inode = self._bind()
        self._poll = select.poll()
        self._poll.register(self._listener, select.POLLIN)
        self._last = time.monotonic()

    def _bind(self) -> int:
        # Bound under another name first: at its own it must take calls from the first moment on.
        new = self.place.with_name(f".{os.getpid()}")
        new.unlink(missing_ok=True)
        self._listener.bind(str(new))
        new.chmod(0o600)
        self._listener.listen(128)
        inode = new.stat().st_ino
        new.replace(self.place)
        return inode

    def serve(self) -> None:
        """Take calls until the time is over, then wait for the children."""
        ended, waking = os.pipe()
        for end in (ended, waking):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
        self._poll.register(ended, select.POLLIN)
        open_ = True
        while open_ or self._children:
            found = dict(self._poll.poll(1000))
            if found.pop(ended, 0):
                os.read(ended, 4096)
            if found.pop(self._listener.fileno(), 0):
                self._accept()
            self._reap()
            self._see_off(found)
            if open_ and not self._wanted():
                self._close()
                open_ = False

    def _wanted(self) -> bool:
        try:
            ours = self.place.stat().st_ino == self._inode
        except OSError:
            ours = False
        busy = bool(self._children) or time.monotonic() - self._last < self.seconds
        return ours and busy and self._stamp == stamp()

    def _close(self) -> None:
        with suppress(OSError):
            if self.place.stat().st_ino == self._inode:
                self.place.unlink()
                self.place.with_name(f"{self.place.name}.log").unlink(missing_ok=True)
        self._poll.unregister(self._listener)
        self._listener.close()  # who waits for an answer there gets none, and starts a process

    def _accept(self) -> None:
        try:
            caller, _ = self._listener.accept()
        except OSError:
            return
        self._last = time.monotonic()
        _, user, _ = struct.unpack("3i", caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if user != os.getuid() or not self._wanted():
            caller.close()
            return
        caller.setblocking(True)
        pid = os.fork()
        if pid == 0:
            self._become_child(caller)
        self._children[pid] = _Child(caller)
        self._poll.register(caller, select.POLLRDHUP)

    def _become_child(self, caller: socket.socket) -> NoReturn:
        code = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._listener.close()
            for other in self._children.values():
                other.caller.close()
            code = _unit(caller, self.program)
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(OSError):
                caller.sendall(b"%d\n" % code)
            os._exit(code)

    def _reap(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            child = self._children.pop(pid, None)
            if child is None:
                continue
            self._last = time.monotonic()
            if child.killed_at is None:
                self._poll.unregister(child.caller)
            if os.WIFSIGNALED(status):  # otherwise it has said its code itself
                with suppress(OSError):
                    child.caller.sendall(b"%d\n" % -os.WTERMSIG(status))
            child.caller.close()

    def _see_off(self, found: dict[int, int]) -> None:
        """End the children whose callers have left."""
        now = time.monotonic()
        for pid, child in self._children.items():
            if child.killed_at is None and child.caller.fileno() in found:
                self._poll.unregister(child.caller)
                child.killed_at = now
                _kill(pid, signal.SIGTERM)
            elif child.killed_at is not None and now - child.killed_at > _GRACE:
                _kill(pid, signal.SIGKILL)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Take a signal, so that its number wakes the loop."""


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:  # it does not lead a group yet
        os.kill(pid, number)


def _unit(caller: socket.socket, program: str) -> int:
    """Do in this child what a caller asks for, and return the exit code."""
    order, output = _order(caller)
    for number, pair in order["limits"].items():
        if resource.getrlimit(int(number)) != tuple(pair):
            resource.setrlimit(int(number), tuple(pair))
    os.umask(order["umask"])
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    if "numpy.random" in sys.modules:  # Python's own generator sees to itself after a fork
        sys.modules["numpy.random"].seed()
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    caller.sendall(b"%d\n" % os.getpid())
    if caller.recv(3) != b"go\n":
        return 0  # its caller has grown tired of waiting and does without
    sys.argv = [program, *order["args"]]
    try:
        runpy.run_path(program, run_name="__main__")
        code: Any = 0
    except SystemExit as exc:
        code = exc.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if not isinstance(code, int):
        if code is not None:
            print(code, file=sys.stderr)
        code = int(code is not None)
    # What an interpreter does at its end, except for taking itself apart, which takes longer than a small unit.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    return int(code) & 0xFF


def _order(caller: socket.socket) -> tuple[dict[str, Any], int]:
    text, descriptors, _, _ = socket.recv_fds(caller, 1 << 16, 1)
    while not text.endswith(b"\n"):
        more = caller.recv(1 << 16)
        if not more:
            os._exit(0)
        text += more
    return json.loads(text), descriptors[0]


def stamp() -> tuple[int, ...]:
    """Return what changes when something is installed or Kyrios itself is edited."""
    places = [*sys.path, *_OURS]
    found = []
    for place in places:
        try:
            found.append(os.stat(place).st_mtime_ns)  # noqa: PTH116 - a Path costs ten times as much
        except OSError:
            found.append(0)
    return tuple(found)


_OURS = sorted(map(str, Path(__file__).parents[1].rglob("*.py")))


def preload() -> None:
    """Import what a unit needs; nothing of the user's."""
    import pyarrow  # noqa: F401

    for name in _MODULES:
        import_module(f"kyrios.{name}")
    from kyrios._house.backends import BackendURL
    from kyrios._house.config import load_config
    from kyrios.adapters import adapter
    from kyrios.environment import this_environment
    from kyrios.settings import SETTINGS

    this_environment()
    for port in ("data", "history"):
        with suppress(Exception):  # the unit that needs it will say what is wrong with it
            adapter(port, BackendURL.parse(load_config(SETTINGS).text(port)).scheme)


def main() -> None:
    """Stand by, as the command line says."""
    place, seconds, program = sys.argv[1:]
    sys.path.insert(0, str(Path(program).parent))
    before = stamp()
    preload()
    runner = Runner(place, float(seconds), program)
    if before == stamp():
        gc.collect()
        gc.freeze()  # or each child would copy the pages that its collector looks through
        runner.serve()


if __name__ == "__main__":
    main()
