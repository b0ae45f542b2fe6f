"""What stands beside a service loop: a thread that takes what has changed, and one that sees when it hangs."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any

from kyrios._house.files import write_durably
from kyrios.checkpoint import keep
from kyrios.errors import KyriosError, NotFound
from kyrios.flows import Flow, load_flow
from kyrios.looping import Loop, Plan
from kyrios.params import bind
from kyrios.settings import home
from kyrios.state import utc_now

#: Each file with its time, size and number.
Stamps = tuple[tuple[str, int, int, int] | None, ...]

#: Where a loop keeps what its units remember, in its place.
CHECKPOINT = "checkpoint.json"

_LOOK = 0.2  # seconds between two looks at the files
_SAY = 1.0  # seconds between two writings of the status
_HANGS = 10.0  # seconds after which a tick counts as hung where the flow says nothing
_STARTS = 60.0  # and the first tick


def place_of(flow: str) -> Path:
    """Return the folder in which the loop of `flow` keeps its parameters and its status."""
    return home() / "loops" / flow


def tuned(flow: str) -> dict[str, Any]:
    """Return the parameters that `tune` has given the loop of `flow`."""
    path = place_of(flow) / "params.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as exc:
        raise NotFound(f"{path} cannot be read: {exc}", hint="kyrios tune FLOW --clear") from None
    return found


def tune(flow: Flow, params: Mapping[str, Any], *, clear: bool = False) -> dict[str, Any]:
    """Give the loop of `flow` parameters, running or not; its next tick takes them. Return all that it was given.

    Parameters
    ----------
    clear
        Whether to forget first what was given before.

    Raises
    ------
    BadInput
        If the flow has no such parameter, or it does not fit; nothing is changed then.
    """
    given = {**({} if clear else tuned(flow.name)), **params}
    bind(flow.graph, given)
    write_durably(place_of(flow.name) / "params.json", json.dumps(given, sort_keys=True).encode())
    return given


def status(flow: str) -> dict[str, Any]:
    """Return what the loop of `flow` has last said of itself.

    Raises
    ------
    NotFound
        If it has never run here.
    """
    path = place_of(flow) / "status.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        raise NotFound(f"the flow {flow} has no loop here", hint="kyrios loop FLOW") from None
    return found


@contextmanager
def watched(
    loop: Loop,
    given: Mapping[str, Any],
    seen: Stamps,
    on_hang: Callable[[float], None],
    *,
    checkpoint: float | None = None,
) -> Iterator[None]:
    """Stand beside `loop` while the code inside runs it.

    Parameters
    ----------
    seen
        What `stamps` gave before the loop's plan was made.
    given
        Parameters that it was begun with; what `tune` gives comes before them.
    on_hang
        Called, once and by another thread, with the seconds that a tick has taken so far.
    checkpoint
        Seconds between two checkpoints; None keeps none.
    """
    ended = threading.Event()
    watch = _Watch(loop, given, seen, ended)
    threads = [
        threading.Thread(target=watch.run, daemon=True, name="kyrios-reload"),
        threading.Thread(target=_see_that_it_ticks, args=(loop, ended, on_hang), daemon=True, name="kyrios-watchdog"),
    ]
    if checkpoint is not None:
        path = place_of(loop.plan.flow.name) / CHECKPOINT
        words = (path, checkpoint, ended, loop.ask, loop.taken, loop.is_kept, loop.refuse)
        threads.append(threading.Thread(target=keep, args=words, daemon=True, name="kyrios-checkpoint"))
        loop.ask()  # a loop of few ticks ends with one too
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        watch.say("ended")


def _see_that_it_ticks(loop: Loop, ended: threading.Event, on_hang: Callable[[float], None]) -> None:
    while True:
        # The first tick imports what its units need, for which a busy machine may take its time.
        known = max(_HANGS if loop.has_ticked else _STARTS, 10 * loop.pace.every)
        longest = loop.plan.flow.graph.watchdog or known
        if ended.wait(min(1.0, longest / 4)):
            return
        began = loop.began
        if began is not None and (took := monotonic() - began) > longest:
            on_hang(took)
            return


class _Watch:
    def __init__(self, loop: Loop, given: Mapping[str, Any], seen: Stamps, ended: threading.Event) -> None:
        self._loop, self._given, self._ended = loop, given, ended
        self._flow = loop.plan.flow
        self._place = place_of(self._flow.name)
        self._since = utc_now()
        self._seen = seen
        self._place.mkdir(parents=True, exist_ok=True)

    def run(self) -> None:
        said = 0.0
        while not self._ended.wait(_LOOK):
            now = stamps(self._flow)
            if now != self._seen:
                self._seen = now
                self._reload()
            if monotonic() - said >= _SAY:
                said = monotonic()
                self.say("running")

    def _reload(self) -> None:
        try:
            flow = load_flow(self._flow.folder)
            if flow.name != self._flow.name:
                raise NotFound(f"the flow has another name now, {flow.name}", hint="start its loop anew")
            self._loop.take(Plan.of(flow, {**self._given, **tuned(flow.name)}))
        except KyriosError as exc:
            problems = getattr(exc, "problems", ())
            self._loop.refuse(str(problems[0]).splitlines()[0] if problems else exc.message)
        except Exception as exc:  # a half-written file must not end the thread that would read it whole
            self._loop.refuse(f"{type(exc).__name__}: {exc}")

    def say(self, state: str) -> None:
        """Write the status, for people and for whoever supervises the loop."""
        plan = self._loop.plan
        text = json.dumps({
            "flow": plan.flow.name, "state": state, "pid": os.getpid(), "run": self._loop.execution.head.run_id,
            "digest": plan.flow.digest, "every": self._loop.pace.every, "params": dict(plan.values),
            "since": self._since, "at": utc_now(), **asdict(self._loop.report()),
        })  # fmt: skip
        new = self._place / ".status.json.new"  # not durable: it is worth nothing after a crash
        new.write_text(text, encoding="utf-8")
        new.replace(self._place / "status.json")


def stamps(flow: Flow) -> Stamps:
    """Return what changes when one of the flow's files does, or a parameter that `tune` gives."""
    found = [_stamp(str(place_of(flow.name) / "params.json"))]
    todo = [str(flow.folder)]
    while todo:
        try:
            entries = sorted(os.scandir(todo.pop()), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.name.endswith((".yaml", ".py")):
                found.append(_stamp(entry.path))
            elif entry.is_dir() and entry.name != "__pycache__":
                todo.append(entry.path)
    return tuple(found)


def _stamp(path: str) -> tuple[str, int, int, int] | None:
    try:
        stat = os.stat(path)  # noqa: PTH116 - many of them, ten times a second
    except OSError:
        return None
    return path, stat.st_mtime_ns, stat.st_size, stat.st_ino
