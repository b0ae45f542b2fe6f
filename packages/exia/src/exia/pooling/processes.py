"""Pooled objects that live in processes of their own."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

from exia.errors import BadInput, WorkerDied
from exia.pooling.elsewhere import Elsewhere, ElsewhereFactory
from exia.pooling.shipping import Channel, shared_file

_PATIENCE = 2.0  #: Seconds that a worker gets to end by itself.


Started = tuple[subprocess.Popen[bytes], Channel]


def started(command: list[str], channel: type[Channel], **how: Any) -> Started:
    """Start a process with the three descriptors of its end of a channel as its last words; return our end with it."""
    ours, theirs = socket.socketpair()
    to, back = shared_file(), shared_file()
    try:
        process = subprocess.Popen(
            [*command, str(theirs.fileno()), str(to), str(back)],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), to, back),
            **how,
        )
    except BaseException:
        for descriptor in (to, back):
            os.close(descriptor)
        ours.close()
        raise
    finally:
        theirs.close()
    return process, channel(ours, back, to)


class Remote(Elsewhere):
    """Stands for an object in a process of its own.

    Arguments and results are pickled, arrays above 64 KB go through shared memory; each side gets
    copies.
    """

    def __init__(self, target: str | bytes, params: Mapping[str, Any]) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._alive = True
        self._process, self._channel = self._start()
        self._where = f"process {self._pid}"
        try:
            self._begin(target, params)
        except BaseException:
            self._end()
            raise

    def _start(self) -> Started:
        return started([sys.executable, "-m", "exia.pooling.worker"], Channel)

    def _begin(self, target: str | bytes, params: Mapping[str, Any]) -> None:
        """Make the object there."""
        self._channel.send(sys.path)
        self._take_table(self._ask((target, dict(params))))

    @property
    def _pid(self) -> int:
        """The process that it lives in."""
        return self._process.pid

    def _call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return self._ask((name, args, kwargs))

    def _renew(self, params: Mapping[str, Any]) -> None:
        self._ask((None, (dict(params),), {}))

    def _ask(self, message: object) -> Any:
        with self._lock:
            if not self._alive:
                raise WorkerDied(f"process {self._pid} of this object has ended")
            try:
                self._channel.send(message)
            except (pickle.PicklingError, TypeError, AttributeError) as exc:
                raise BadInput(
                    f"the arguments cannot be sent to another process: {exc}", hint="send data, not open files or locks"
                ) from None
            except OSError as exc:
                raise self._died(exc) from exc
            try:
                done, value = self._channel.receive()
            except (EOFError, OSError) as exc:
                raise self._died(exc) from exc
            except BaseException:
                # Half an answer is left on the line: nothing that is sent now would find its own.
                self._alive = False
                self._process.kill()
                raise
        if done:
            return value
        raise self._failed(value)

    def _failed(self, value: Any) -> Exception:
        """Return the exception for what the process answered instead of a result."""
        failed: Exception = value
        return failed

    def _died(self, why: Exception) -> WorkerDied:
        self._alive = False
        try:
            code: int | str = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            code = "none yet"
        return WorkerDied(
            f"process {self._pid} of this object has died (exit code {code})",
            hint="lease again: the pool makes another; -9 often means too little memory",
        )

    def _usable(self) -> bool:
        return self._alive and self._process.poll() is None

    def _end(self) -> None:
        if os.getpid() != self._owner:
            return  # a forked child; the process belongs to the parent
        self._alive = False
        self._channel.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class ProcessFactory(ElsewhereFactory[Remote]):
    """Makes objects that live in processes of their own."""

    def make(self, **params: Any) -> Remote:
        """Start a process and make the object in it."""
        return Remote(self._target, params)
