"""The process in which one pooled object lives; started by `exia.pooling.processes`."""

from __future__ import annotations

import pickle
import signal
import socket
import sys
from contextlib import suppress

from exia.pooling.resident import Answer, Resident
from exia.pooling.shipping import Channel


def serve(channel: Channel) -> None:
    """Make the object, then serve one call after the other; raise `EOFError` when the other end hangs up."""
    sys.path[:] = channel.receive()
    target, params = channel.receive()
    resident = Resident()
    _send(channel, resident.build(target, params))
    while True:
        name, args, kwargs = channel.receive()
        _send(channel, resident.renew(*args) if name is None else resident.call(name, args, kwargs))


def _send(channel: Channel, answer: Answer) -> None:
    try:
        channel.send(answer)
    except (pickle.PicklingError, TypeError, AttributeError, ValueError) as exc:
        channel.send((False, TypeError(f"the result cannot leave its process: {exc}")))


def main() -> None:
    """Serve until the other end hangs up."""
    # Ctrl-C is for the process that borrows; it ends this one by hanging up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    number, reads, writes = (int(word) for word in sys.argv[1:4])
    with suppress(EOFError, BrokenPipeError):
        serve(Channel(socket.socket(fileno=number), reads, writes))


if __name__ == "__main__":
    main()
