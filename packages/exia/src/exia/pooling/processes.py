"""Pooled objects that live in processes of their own."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from exia._house.errors import nearest
from exia.errors import BadInput, MethodNotFound, WorkerDied
from exia.methods import MethodTable
from exia.pooling.factory import Verdict
from exia.pooling.shipping import Channel, shared_file

_PATIENCE = 2.0  #: Seconds that a worker gets to end by itself.


class Remote:
    """Stands for an object in a process of its own: its methods are called there.

    Arguments and results are pickled, arrays above 64 KB go through shared memory; each side gets
    copies. The object's attributes cannot be read, only its public methods called.
    """

    def __init__(self, target: str | bytes, params: Mapping[str, Any]) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._alive = True
        ours, theirs = socket.socketpair()
        to, back = shared_file(), shared_file()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "exia.pooling.worker", str(theirs.fileno()), str(to), str(back)],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), to, back),
            )
        except BaseException:
            for descriptor in (to, back):
                os.close(descriptor)
            ours.close()
            raise
        finally:
            theirs.close()
        self._channel = Channel(ours, back, to)
        try:
            self._channel.send(sys.path)
            table: MethodTable | None = self._ask((target, dict(params)))
            if table is None:
                raise BadInput("the target returned None", hint="it must return the new object")
            self.__exia_methods__ = table
        except BaseException:
            self._end()
            raise

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
                raise BadInput(f"the arguments cannot be sent to another process: {exc}") from None
            except OSError as exc:
                raise self._died() from exc
            try:
                done, value = self._channel.receive()
            except (EOFError, OSError) as exc:
                raise self._died() from exc
            except BaseException:
                # Half an answer is left on the line: nothing that is sent now would find its own.
                self._alive = False
                self._process.kill()
                raise
        if done:
            return value
        raise value

    def _died(self) -> WorkerDied:
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

    def __getattr__(self, name: str) -> Callable[..., Any]:
        table = self.__dict__.get("__exia_methods__") or {}
        if name not in table:
            raise MethodNotFound(
                f"the object in process {self.__dict__['_process'].pid} has no method {name!r}",
                hint=nearest(name, table) or f"it has: {', '.join(sorted(table)) or 'none'}",
            )

        def method(*args: Any, **kwargs: Any) -> Any:
            return self._call(name, args, kwargs)

        method.__name__ = name
        method.__doc__ = table[name]["summary"]
        return method

    def __repr__(self) -> str:
        return f"<object in process {self._pid}>"


class ProcessFactory:
    """Makes objects that live in processes of their own."""

    #: `make` takes the parameters themselves.
    made_with_params = True

    def __init__(self, target: str | Callable[..., Any]) -> None:
        self._target: str | bytes
        if isinstance(target, str):
            self._target = target
            return
        module = getattr(target, "__module__", None)
        try:
            self._target = pickle.dumps(target)
        except (pickle.PicklingError, AttributeError, TypeError):
            module = None
        if module in (None, "__main__") or not callable(target):
            raise BadInput(
                f"{target!r} cannot be made in another process",
                hint="give a ref, or a class or function at the top of a module that can be imported",
            )

    def make(self, **params: Any) -> Remote:
        """Start a process and make the object in it."""
        return Remote(self._target, params)

    def apply_params(self, obj: Remote, snapshot: Mapping[str, Any]) -> None:
        """Give the object new parameters, or make it anew in its process."""
        obj._renew(snapshot)

    def passivate(self, obj: Remote) -> None:
        """Refuse to take back what has died."""
        if not obj._usable():
            raise WorkerDied(f"process {obj._pid} of this object has died")

    def validate(self, obj: Remote) -> bool:
        """Tell whether its process runs."""
        return obj._usable()

    def destroy(self, obj: Remote) -> None:
        """End its process."""
        obj._end()

    def on_error(self, exc: BaseException) -> Verdict:
        """Keep the object unless its process has died or the call was interrupted."""
        return "keep" if isinstance(exc, Exception) and not isinstance(exc, WorkerDied) else "destroy"
