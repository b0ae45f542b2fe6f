"""Follow parameters while they change, and hand each good version on: to pools, or to anything."""

from __future__ import annotations

import logging
import os
import random
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Protocol, Self

from exia.errors import BackendUnavailable, ExiaError, ParamsNotFound
from exia.notices import tell as tell_watchers
from exia.params.last import LastGood
from exia.params.port import Head, checked_name
from exia.params.schema import Schema
from exia.params.store import Params, open_params
from exia.params.version import ParamsVersion, Values

_log = logging.getLogger("exia")
_ROUND = 10.0  # seconds after which the head is read anew, whatever the watch has said
_CALM = 0.2  # seconds without a change after which the copy on this disk is written: never while a change waits
_PAUSES = (0.1, 5.0)  # seconds between two tries while the store is down: first, longest


class TakesParams(Protocol):
    """What can follow parameters, such as `exia.Pool`."""

    def set_params(self, params: Mapping[str, Any]) -> object:
        """Use `params` from now on; raise to refuse them."""


@dataclass(frozen=True)
class Snapshot:
    """Parameters as they were at one moment; nothing in it can be changed."""

    name: str
    version: int
    values: Mapping[str, Any]
    at: str  #: When they were set: UTC, ISO 8601.
    who: str
    why: str
    model: Any = None  #: The values as the pydantic model that was given, if one was.
    stale: bool = False  #: Whether it is the last good copy on this disk, because the store is down.


@dataclass(frozen=True)
class Rejected:
    """A version that was not taken over; the one before it stayed in force."""

    version: int
    reason: str


class Live:
    """The parameters of one name, kept up to date by a thread; open one with `follow`.

    Reading `snapshot` and `generation` takes no lock: both change at once, when a version has
    passed every check.
    """

    def __init__(
        self,
        name: str,
        params: Params,
        *,
        schema: Any = None,
        check: Callable[[Mapping[str, Any]], object] | None = None,
        on_event: Callable[[str, Mapping[str, Any]], object] | None = None,
    ) -> None:
        self.name = checked_name(name)
        self._params = params
        self._schema = None if schema is None else Schema.of(schema)
        self._check = check
        self._on_event = on_event
        self._targets: list[TakesParams] = []
        self._last = LastGood(name)
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._stop = threading.Event()
        self._head: Head | None = None
        self._unkept: ParamsVersion | None = None
        self._state: tuple[int, Snapshot] = (0, self._first())
        self.rejected: Rejected | None = None  #: The newest version, if it was refused.
        self._start()
        _following.add(self)

    @property
    def snapshot(self) -> Snapshot:
        """The parameters in force."""
        return self._state[1]

    @property
    def generation(self) -> int:
        """Counts the snapshots since this was opened, from 0; another number means other values."""
        return self._state[0]

    def feed(self, target: TakesParams) -> None:
        """Give `target` the parameters in force now, and each that follows; raise what it raises."""
        with self._lock:
            target.set_params(_given(self.snapshot))
            self._targets.append(target)

    def wait(self, version: int, timeout: float = 5.0) -> bool:
        """Wait until `version` or a later one is in force or was refused; False if that takes longer."""

        def reached() -> bool:
            return max(self.snapshot.version, self.rejected.version if self.rejected else 0) >= version

        with self._changed:
            return self._changed.wait_for(reached, timeout)

    def close(self) -> None:
        """Follow no longer; the snapshot stays as it is."""
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(0.5)  # a blocking query that has just begun ends by itself

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _first(self) -> Snapshot:
        """Return the version in force, or the last good one from this disk if the store is down."""
        try:
            head = self._params.store.head(self.name)
            if head is None:
                raise ParamsNotFound(
                    f"there are no parameters {self.name!r}", hint=f"exia params define {self.name} python:MODULE:CLASS"
                )
            version = self._params.at(self.name, head)
            snapshot = self._checked(version)
        except BackendUnavailable as exc:
            found = self._last.read()
            if found is None:
                raise
            _log.warning("params %s: %s; version %d from this disk is used", self.name, exc, found.version)
            return self._checked(found, stale=True)
        self._head = head
        self._last.write(version)
        return snapshot

    def _checked(self, version: ParamsVersion, *, stale: bool = False) -> Snapshot:
        """Return a snapshot of `version` if it fits its schema, ours, and the algorithm's own check."""
        values = Schema(version.schema).checked(version.values, self.name)
        model = None
        if self._schema is not None:
            values = self._schema.checked(values, self.name)
            model = self._schema.instance(values)
        frozen = _frozen(values)
        if self._check is not None and self._check(frozen) is False:
            raise ValueError("the algorithm's own check refused them")
        return Snapshot(
            self.name, version.version, frozen, version.at, version.who, version.why, model=model, stale=stale
        )

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"params-{self.name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        pause = _PAUSES[0]
        while not self._stop.is_set():
            try:
                seen = self._head
                head = self._params.store.wait(self.name, seen, _CALM if self._unkept else _ROUND, self._stop)
                if self._stop.is_set():
                    break
                if head == seen:
                    self._keep()
                if head is not None and (head != self._head or self.snapshot.stale):
                    self._take(head)
                pause = _PAUSES[0]
            except ExiaError as exc:
                if self._stop.is_set():
                    break
                self._keep()
                self._tell("unavailable", reason=str(exc))
                self._stop.wait(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, _PAUSES[1])
        self._keep()

    def _keep(self) -> None:
        """Write the copy on this disk, if it is not the version in force."""
        version, self._unkept = self._unkept, None
        if version is not None:
            self._last.write(version)

    def _take(self, head: Head) -> None:
        """Put the version that `head` names in force, or note why not; the targets get it all the same way."""
        try:
            version = self._params.at(self.name, head)
            snapshot = self._checked(version)
            with self._changed:
                self._hand(snapshot, self.snapshot)
                self._state = (self.generation + 1, snapshot)
                self.rejected = None
                self._head = head
                self._changed.notify_all()
        except BackendUnavailable:
            raise
        except Exception as exc:  # the algorithm's own check, or a target, may raise anything
            with self._changed:
                self.rejected = Rejected(head.version, f"{type(exc).__name__}: {exc}")
                self._head = head
                self._changed.notify_all()
            self._last.reject(head.version, str(exc))
            _log.error(
                "params %s: version %d is refused, %d stays: %s", self.name, head.version, self.snapshot.version, exc
            )
            self._tell("rejected", version=head.version, reason=str(exc))
            return
        self._unkept = version
        self._tell("changed", version=snapshot.version, who=snapshot.who, why=snapshot.why)

    def _hand(self, snapshot: Snapshot, before: Snapshot) -> None:
        """Give a snapshot to every target, or to none."""
        done: list[TakesParams] = []
        try:
            for target in self._targets:
                target.set_params(_given(snapshot))
                done.append(target)
        except Exception:
            for target in done:
                target.set_params(_given(before))
            raise

    def _tell(self, event: str, **facts: Any) -> None:
        tell_watchers("params", event, {"name": self.name, **facts})
        if self._on_event is None:
            return
        try:
            self._on_event(event, {"name": self.name, **facts})
        except Exception:
            _log.exception("params %s: the listener raised", self.name)

    def _after_fork(self) -> None:
        """Follow in the child too: it has none of its parent's threads."""
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        stopped = self._stop.is_set()
        self._stop = threading.Event()
        if stopped:
            self._stop.set()
        else:
            self._start()


def follow(
    name: str,
    *targets: TakesParams,
    schema: Any = None,
    check: Callable[[Mapping[str, Any]], object] | None = None,
    on_event: Callable[[str, Mapping[str, Any]], object] | None = None,
    url: str | None = None,
) -> Live:
    """Follow the parameters of `name` and give each version to `targets`, such as pools.

    A pool has the new values at its next lease; a lease that runs keeps those that it began with.
    A version that breaks a rule reaches no target: the one before stays in force, and `Live.rejected`,
    the log and `on_event` say so. While the store is down, the last good version from this disk is used.

    Parameters
    ----------
    schema
        What the values must also fit, as in `Params.define`: the rules of the code that runs here.
    check
        The algorithm's own check of all values together; it raises or returns False to refuse them.
    on_event
        Called with ``changed``, ``rejected`` or ``unavailable``, and the facts.

    Raises
    ------
    ParamsNotFound
        If nothing is defined under `name`.
    InvalidParams
        If the version in force breaks a rule.
    BackendUnavailable
        If the store is down and this disk has no copy.
    """
    live = Live(name, open_params(url), schema=schema, check=check, on_event=on_event)
    try:
        for target in targets:
            live.feed(target)
    except BaseException:
        live.close()
        raise
    return live


def _given(snapshot: Snapshot) -> Values:
    return Values(snapshot.values, snapshot.name, snapshot.version)


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return MappingProxyType({k: _frozen(v) for k, v in value.items()})
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


_following: weakref.WeakSet[Live] = weakref.WeakSet()


def _restart() -> None:
    for live in list(_following):
        live._after_fork()


os.register_at_fork(after_in_child=_restart)
