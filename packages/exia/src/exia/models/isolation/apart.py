"""A model in a process of its own, called through its methods; what comes back is data, never a pickle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any, Self
from weakref import finalize

from exia._house.config import load_config
from exia.errors import BadInput, LoadError, MethodFailed, NotAllowed, WorkerDied, WrongArguments
from exia.methods import MethodInfo
from exia.models.isolation.data import unpacked
from exia.models.isolation.fence import missing, readable_here
from exia.models.isolation.limits import configured, processors
from exia.pooling.elsewhere import ElsewhereFactory
from exia.pooling.processes import Remote, Started, started
from exia.pooling.shipping import Channel
from exia.settings import SETTINGS

_CHOICES = ("off", "isolated", "unfenced")
_LONGEST = 20_000  #: Characters of an error or a docstring.
_BEGIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from exia.models.isolation.worker import main; main()"
)


def choice() -> str:
    """Return the setting ``isolate``; raise `BadInput` if it is none of its words."""
    chosen = load_config(SETTINGS).text("isolate")
    if chosen not in _CHOICES:
        raise BadInput(f"the setting isolate is {chosen!r}", hint=f"one of: {', '.join(_CHOICES)}")
    return chosen


def refuse_while_off() -> None:
    """Raise `NotAllowed` unless the configuration lets isolated models load, and this kernel can fence them."""
    chosen = choice()
    if chosen == "off":
        raise NotAllowed(
            "isolated models are switched off, because loading one runs whatever is in it",
            hint="EXIA_ISOLATE=isolated lets signed ones load, each in a process without files, network or secrets",
        )
    if chosen == "isolated" and missing():
        raise NotAllowed(
            f"an isolated model cannot be fenced in here: {missing()}",
            hint="EXIA_ISOLATE=unfenced loads it all the same: in a process of its own with a clean environment, "
            "which can read your files and use the network",
        )


class Isolated(Remote):
    """Stands for a model in a process of its own; its public methods can be called, its attributes not be read.

    Arguments are pickled and go there; what comes back is data (numbers, text, lists, dicts, dates, NumPy
    arrays), and an exception comes back as `MethodFailed`. End it by ``with``, or leave that to the pool
    that lends it.
    """

    def __init__(self, data: bytes, what: str) -> None:
        refuse_while_off()
        self._what = what
        self._data = data
        self._fenced = choice() == "isolated"
        self._limits = configured()
        super().__init__("", {})
        self._data = b""  # the process has it
        # What nobody ended goes with the object that stood for it.
        self._ended = finalize(self, _end, self._process, self._channel, os.getpid())

    def _start(self) -> Started:
        empty = {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": "/nonexistent", "TMPDIR": "/nonexistent"}
        path = json.dumps([entry for entry in sys.path if Path(entry).is_absolute()])
        process, channel = started(
            [sys.executable, "-I", "-c", _BEGIN, path],
            Replies,
            env=empty,
            cwd="/",
            # Nothing that it says reaches the terminal, where an escape sequence would act.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert isinstance(channel, Replies)
        channel.bound(self._limits.memory, self._limits.timeout)
        return process, channel

    def _begin(self, target: object, params: Mapping[str, Any]) -> None:
        may = self._limits.memory, processors(self._limits.processors)
        try:
            found = self._ask((readable_here() if self._fenced else None, *may, self._data))
            table = {
                name: MethodInfo(signature=_plain(info["signature"]), summary=_plain(info["summary"]))
                for name, info in found["methods"].items()
                if name.isidentifier()
            }
        except MethodFailed as exc:
            raise LoadError(f"{self._what} does not load: {exc}", hint=exc.hint) from None
        except WorkerDied as exc:
            raise LoadError(f"{self._what} does not load: {exc}", hint=exc.hint) from exc
        except (KeyError, TypeError, AttributeError):
            raise LoadError(f"{self._what} does not load: its process gave no answer") from None
        self._take_table(table)

    def _failed(self, value: Any) -> Exception:
        try:
            kind, text, told = (_plain(part) for part in value)
        except (TypeError, ValueError):
            kind, text, told = "Exception", "its process gave no answer", ""
        text = " ".join(text.split())
        hint = f"EXIA_ISOLATE_MEMORY gives it more than {self._limits.memory} bytes" if kind == "MemoryError" else None
        error: Exception = (
            WrongArguments(text)
            if kind == "WrongArguments"
            else MethodFailed(f"{self._what}: {kind}: {text}".removesuffix(": "), hint=hint)
        )
        error.add_note(f"in the model's own process:\n{told}")
        return error

    def _died(self, why: Exception) -> WorkerDied:
        if not isinstance(why, TimeoutError):
            return super()._died(why)
        self._alive = False
        self._process.kill()
        self._process.wait()
        return WorkerDied(
            f"{self._where} of {self._what} gave no answer within {self._limits.timeout:g} s and was ended",
            hint="EXIA_ISOLATE_TIMEOUT gives it longer; the pool that lends it makes another",
        )

    def _end(self) -> None:
        super()._end()
        if hasattr(self, "_ended"):
            self._ended.detach()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model itself."""
        return self._call("__call__", args, kwargs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def __repr__(self) -> str:
        return f"<{self._what} in {self._where}>"


class IsolatedFactory(ElsewhereFactory[Isolated]):
    """Makes pooled objects, each the same isolated model in a process of its own."""

    made_with_params = False

    def __init__(self, load: Callable[[], Isolated]) -> None:
        self._load = load
        # An isolated model takes no parameters: the pool refuses them where a factory has no such verb.
        self.apply_params = None  # type: ignore[method-assign, assignment]

    def make(self) -> Isolated:
        """Verify the model again, start a process and load it there."""
        return self._load()

    __call__ = make


class Replies(Channel):
    """The end in the process that borrows: sends pickles, and reads data alone."""

    most = 4 << 30
    _seconds: float | None = None  #: Of sending a message, and of waiting for all of its answer.
    _until: float | None = None  #: Monotonic second at which the answer must be there.

    def bound(self, most: int, seconds: float) -> None:
        """Let a message have `most` bytes, and an answer come within `seconds`; 0 is no limit."""
        self.most = most or self.most
        self._seconds = seconds or None
        self.sock.settimeout(self._seconds)

    def receive(self) -> Any:
        # A time-out of the socket's own would begin anew with each byte.
        self._until = None if self._seconds is None else monotonic() + self._seconds
        try:
            return super().receive()
        finally:
            self.sock.settimeout(self._seconds)

    def _next(self, view: memoryview) -> int:
        if self._until is not None:
            self.sock.settimeout(max(1e-3, self._until - monotonic()))
        return super()._next(view)

    def _unpack(self, parts: list[bytearray]) -> Any:
        try:
            done, value = unpacked(parts)
        except (ValueError, TypeError) as exc:
            raise EOFError(str(exc)) from None
        return done is True, value


def _end(process: subprocess.Popen[bytes], channel: Channel, owner: int) -> None:
    if os.getpid() == owner:
        channel.close()
        process.kill()
        process.wait()


def _plain(text: Any) -> str:
    """Return text of that process without what a terminal would obey, and not without end."""
    text = str(text)[:_LONGEST]
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)
