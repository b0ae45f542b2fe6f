"""What a service loop remembers, as a file that a new process goes on from: JSON, written whole, never pickled."""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from threading import Event
from typing import Any

from kyrios._house.files import write_durably
from kyrios.errors import BadInput, Conflict

_KIND = "$"
Memories = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Checkpoint:
    """What the units of a loop remembered after one tick.

    Parameters
    ----------
    tick
        Its number; -1 where there was none.
    """

    tick: int = -1
    memories: Memories = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Return what lies at `path`; a checkpoint of nothing where nothing does.

        Raises
        ------
        Conflict
            If the file cannot be read: a loop that forgets must be told to.
        """
        try:
            return cls.of(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise Conflict(f"{path} cannot be read: {exc}", hint="begin anew: kyrios loop FLOW --fresh") from None

    @classmethod
    def of(cls, text: str) -> Checkpoint:
        """Return what `text_of` has written."""
        found = json.loads(text)
        return cls(int(found["tick"]), {unit: _plain(held) for unit, held in found["memories"].items()})


def text_of(tick: int, memories: Memories) -> str:
    """Return a checkpoint as JSON.

    Raises
    ------
    BadInput
        If a unit remembers what is no value: numbers, texts, bytes, dates, lists, tuples, sets, deques, dicts, NumPy
        arrays and Arrow tables are.
    """
    kept = {}
    for unit, memory in memories.items():
        try:
            kept[unit] = _marked(memory)
        except TypeError as exc:
            raise BadInput(f"unit {unit} remembers {exc}, which no checkpoint can hold") from None
    return json.dumps({"tick": tick, "memories": kept}, separators=(",", ":"))


def keep(
    path: Path, every: float, ended: Event, ask: Callable[[], None], taken: Callable[[], str | None],
    kept: Callable[[Checkpoint], None], refuse: Callable[[str], None],
) -> None:  # fmt: skip
    """Write a checkpoint every `every` seconds until `ended`, and then the last one.

    Parameters
    ----------
    ask, taken
        Tell the loop to make one after the tick that runs, and take it.
    kept
        Called with each one that is durable.
    refuse
        Called with the reason where one could not be written.
    """
    over = False
    while not over:
        ask()
        over = ended.wait(every)
        text = taken()
        if text is None:
            continue
        try:
            write_durably(path, text.encode())
        except OSError as exc:
            refuse(f"the checkpoint {path}: {exc.strerror}")
        else:
            kept(Checkpoint.of(text))


def _marked(value: Any) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if type(value) in (int, float):
        return value
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value) and _KIND not in value:
            return {key: _marked(held) for key, held in value.items()}
        return {_KIND: "dict", "of": [[_marked(key), _marked(held)] for key, held in value.items()]}
    if type(value) is list:
        return [_marked(held) for held in value]
    for kind, name in ((tuple, "tuple"), (set, "set"), (frozenset, "frozenset")):
        if type(value) is kind:
            return {_KIND: name, "of": [_marked(held) for held in value]}
    if isinstance(value, deque):
        return {_KIND: "deque", "of": [_marked(held) for held in value], "most": value.maxlen}
    if isinstance(value, bytes):
        return {_KIND: "bytes", "of": _letters(value)}
    if isinstance(value, datetime | date):
        return {_KIND: "datetime" if isinstance(value, datetime) else "date", "of": value.isoformat()}
    return _marked_array(value)


def _marked_array(value: Any) -> Any:
    module = type(value).__module__.partition(".")[0]
    if module == "pyarrow" and type(value).__name__ == "Table":
        from kyrios.tables import to_bytes

        return {_KIND: "table", "of": _letters(to_bytes(value))}
    if module == "numpy" and hasattr(value, "dtype") and value.dtype.kind in "biufcmMSU":
        shape = list(value.shape) if type(value).__name__ == "ndarray" else None
        return {_KIND: "array", "of": _letters(value.tobytes()), "type": value.dtype.str, "shape": shape}
    raise TypeError(f"a {type(value).__module__}.{type(value).__qualname__}")


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(held) for held in value]
    if not isinstance(value, dict):
        return value
    if _KIND not in value:
        return {key: _plain(held) for key, held in value.items()}
    kind, held = value[_KIND], value["of"]
    if kind == "array":
        import numpy

        flat = numpy.frombuffer(base64.b64decode(held), dtype=value["type"]).copy()
        return flat[0] if value["shape"] is None else flat.reshape(value["shape"])
    if kind == "table":
        from kyrios.tables import from_bytes

        return from_bytes(base64.b64decode(held))
    made: dict[str, Callable[[], Any]] = {
        "bytes": lambda: base64.b64decode(held),
        "date": lambda: date.fromisoformat(held),
        "datetime": lambda: datetime.fromisoformat(held),
        "deque": lambda: deque(map(_plain, held), value["most"]),
        "dict": lambda: {_plain(key): _plain(one) for key, one in held},
        "frozenset": lambda: frozenset(map(_plain, held)),
        "set": lambda: set(map(_plain, held)),
        "tuple": lambda: tuple(map(_plain, held)),
    }
    return made[kind]()


def _letters(data: bytes) -> str:
    return base64.b64encode(data).decode()
