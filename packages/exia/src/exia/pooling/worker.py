"""The process in which one pooled object lives; started by `exia.pooling.processes`."""

from __future__ import annotations

import pickle
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from exia.methods import MethodTable, call_method, methods_of
from exia.pooling.shipping import Channel


class Resident:
    """The object of this process, and what can be asked of it."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._make: Callable[..., Any] | None = None
        self.object: Any = None

    def serve(self) -> None:
        """Make the object, then serve one call after the other; raise `EOFError` when the other end hangs up."""
        sys.path[:] = self._channel.receive()
        target, params = self._channel.receive()
        self._answer(partial(self._build, target, params))
        while True:
            name, args, kwargs = self._channel.receive()
            if name is None:
                self._answer(partial(self._renew, *args))
            else:
                self._answer(partial(self._call, name, args, kwargs))

    def _build(self, target: str | bytes, params: dict[str, Any]) -> MethodTable | None:
        self._make = _maker(target)
        self.object = self._make(**params)
        return None if self.object is None else methods_of(self.object)

    def _renew(self, params: dict[str, Any]) -> None:
        if callable(getattr(type(self.object), "apply_params", None)):
            self.object.apply_params(params)
        elif self._make is not None:
            self.object = self._make(**params)

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return call_method(self.object, methods_of(self.object), name, *args, **kwargs)

    def _answer(self, work: Callable[[], Any]) -> None:
        try:
            answer: tuple[bool, Any] = (True, work())
        except Exception as exc:
            answer = (False, _portable(exc))
        try:
            self._channel.send(answer)
        except (pickle.PicklingError, TypeError, AttributeError, ValueError) as exc:
            self._channel.send((False, TypeError(f"the result cannot leave its process: {exc}")))


def main() -> None:
    """Serve until the other end hangs up."""
    # Ctrl-C is for the process that borrows; it ends this one by hanging up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    number, reads, writes = (int(word) for word in sys.argv[1:4])
    with suppress(EOFError, BrokenPipeError):
        Resident(Channel(socket.socket(fileno=number), reads, writes)).serve()


def _maker(target: str | bytes) -> Callable[..., Any]:
    if isinstance(target, str):
        from exia.loading import load

        return load(target).factory
    made: Callable[..., Any] = pickle.loads(target)
    return made


def _portable(exc: Exception) -> Exception:
    """Return `exc` with its traceback as a note, or what can be said of it if it cannot be pickled."""
    text = "".join(traceback.format_exception(exc)).rstrip()
    try:
        pickle.loads(pickle.dumps(exc))
    except Exception:
        exc = RuntimeError(f"{type(exc).__name__}: {exc}")
    exc.add_note(f"in the object's own process:\n{text}")
    return exc


if __name__ == "__main__":
    main()
