"""The process in which one isolated model lives; started by `exia.models.isolation.apart`."""

from __future__ import annotations

import io
import pickle
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from exia.methods import call_method, methods_of
from exia.models.isolation.data import packed
from exia.models.isolation.fence import fence
from exia.models.isolation.limits import confine
from exia.pooling.shipping import Channel


class Answers(Channel):
    """Takes pickles from the process that lends the model, and gives data back."""

    def _pack(self, value: object) -> list[memoryview]:
        return packed(value)


def serve(channel: Answers) -> None:
    """Unpickle the model, then serve one call after the other; raise `EOFError` when the other end hangs up."""
    readable, memory, processors, data = channel.receive()
    confine(memory, processors)
    if readable is not None:
        fence(readable)
    model: Any = None

    def load() -> Any:
        nonlocal model
        model = pickle.Unpickler(io.BytesIO(data)).load()
        table = {name: dict(info) for name, info in methods_of(model).items()}
        if "__call__" not in table and callable(model):
            table["__call__"] = {"signature": "(*args, **kwargs)", "summary": "Call the model."}
        return {"kind": type(model).__name__, "methods": table}

    _send(channel, load)
    while True:
        name, args, kwargs = channel.receive()
        _send(channel, lambda: _called(model, name, args, kwargs))  # noqa: B023 - called before the next one comes


def _called(model: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if name == "__call__":
        return model(*args, **kwargs)
    return call_method(model, methods_of(model), name, *args, **kwargs)


def _send(channel: Answers, work: Callable[[], Any]) -> None:
    try:
        try:
            channel.send([True, work()])
        except (TypeError, ValueError, RecursionError) as exc:
            channel.send([False, _told(exc)])
    except (EOFError, BrokenPipeError):
        raise
    except Exception as exc:
        channel.send([False, _told(exc)])


def _told(exc: Exception) -> list[str]:
    return [type(exc).__name__, str(exc), "".join(traceback.format_exception(exc)).rstrip()]


def main() -> None:
    """Serve until the other end hangs up."""
    number, reads, writes = (int(word) for word in sys.argv[1:4])
    with suppress(EOFError, BrokenPipeError):
        serve(Answers(socket.socket(fileno=number), reads, writes))
