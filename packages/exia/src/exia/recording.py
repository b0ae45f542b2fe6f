"""`exia.run`: record what ran, with which parameters, and what came out."""

from __future__ import annotations

import json
import logging
import math
import os
import time
import weakref
from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import Path
from types import TracebackType
from typing import Any

from exia import facts, pulse
from exia._house.config import load_config
from exia._house.ids import uuid7
from exia.captured import Captured
from exia.errors import BadInput, ExiaError, RunClosed
from exia.pooling.waiting import seconds
from exia.redaction import configured
from exia.runs import Kind, RunRecord, RunStore, Status, Values, entries, places
from exia.runs.journal import Journal, journal_for
from exia.runs.port import checked_end, checked_key, checked_note, checked_run_name, checked_tags
from exia.settings import SETTINGS

_log = logging.getLogger("exia.runs")
_STEPS = range(-(2**63), 2**63)


def run(
    name: str,
    *,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    store: str | RunStore | None = None,
    capture: bool = False,
    timeout: float = 10.0,
) -> Run:
    """Return a run to record: ``with exia.run("momentum", params={"window": 20}) as run: ...``.

    What a run tells is kept in a log on this disk first, and delivered to the store from there: a store that
    is down delays nobody, and gets everything when it answers again.

    Parameters
    ----------
    name
        What kind of run it is; many runs may have one name. No path: no ``/`` and no ``..``.
    params
        What it was given; JSON values.
    tags
        Words to find it by.
    store
        A URL, an open store (which stays open), or None for the configured one.
    capture
        Whether what the process prints meanwhile is kept with the run: the last megabyte of it.
    timeout
        Seconds that the end of the run waits for the disk, and for a store that answers.

    Raises
    ------
    BadInput
        If a name or value cannot be recorded; nothing was.

    Examples
    --------
    >>> import exia
    >>> with exia.run("momentum", params={"window": 20}) as run:
    ...     run.log_metric("ic", 0.03)
    >>> exia.get_run(run.id).status
    'finished'
    """
    return Run(name, params=params, tags=tags, store=store, capture=capture, timeout=timeout)


class Run:
    """One run; its record exists from entering the ``with``, and everything in it when that is left.

    Leaving after an exception records it with its traceback: status ``failed``, or ``interrupted``
    after Ctrl-C. What looks like a secret is hidden in all that is recorded, but not in files that are kept.
    Without ``with``, call `start` and `finish`. Until then the run gives a sign of life every few
    seconds, with the memory and CPU that its process uses; one whose process died is shown as ``lost``.
    """

    def __init__(
        self,
        name: str,
        *,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        store: str | RunStore | None = None,
        capture: bool = False,
        timeout: float = 10.0,
    ) -> None:
        self.id = uuid7()
        self.name = checked_run_name(name)
        self.heartbeat = 0.0  #: Seconds between two signs of life.
        self._params = _checked_params(params or {})
        self._tags = checked_tags(tags or {})
        self._where = store
        self._journal: Journal | None = None
        self._steps: dict[str, int] = {}
        self._ended = ""  # why nothing can be logged any more
        self._timeout = seconds(timeout, "timeout")
        self._captured = Captured() if capture else None
        self._cpu, self._clock = 0.0, 0.0  # at the last sign of life
        self._redaction = configured()

    def start(self) -> Run:
        """Record the start: UTC time, host, process, code, environment, git commit of the working folder.

        Raises
        ------
        UnknownBackend, MissingExtra, BadInput
            If the store can never be opened.
        BackendUnavailable
            If the log on this disk cannot be written. A store that does not answer is no error.
        """
        if self._journal is not None or self._ended:
            raise RunClosed(f"run {self.name!r} was started before", hint="take a new one: exia.run(...)")
        self.heartbeat = float(load_config(SETTINGS)["heartbeat"])
        if self.heartbeat <= 0:
            raise BadInput(f"heartbeat must be more than 0 seconds, not {self.heartbeat:g}", hint="exia config show")
        made_of = facts.facts(self.heartbeat, self._redaction)
        record = RunRecord(
            id=self.id,
            name=self.name,
            started=entries.iso(time.time()),
            params=dict(self._shown("params", self._params)),
            tags=dict(self._shown("tags", self._tags)),
            host=os.uname().nodename,
            commit=made_of.get("git", {}).get("commit"),
            facts=made_of,
        )
        self._cpu, self._clock = facts.cpu(), time.monotonic()
        journal = self._open_journal()
        try:
            journal.put(entries.start(record))
            self._commit(journal)
        except BaseException:
            self._let_go(journal)
            raise
        self._journal = journal
        if self._captured is not None:
            self._captured.start()
        _open.add(self)
        pulse.add(self)
        return self

    def log_metric(self, name: str, value: float, step: int | None = None) -> None:
        """Log one finite number; it is durable after `flush` or when the ``with`` is left.

        The caller waits only when 100,000 values are on their way to the disk already.

        Parameters
        ----------
        name
            What is measured; ``/`` may group, as in ``val/ic``.
        value
            A finite number.
        step
            When, in the run's own count; by default one more than this metric's last step, from 0.

        Raises
        ------
        BadInput
            If the value is NaN or infinite, or the name or step is none.
        RunClosed
            If the run has ended or was not started.
        """
        journal = self._journal
        if journal is None or self._ended:
            raise self._closed()
        steps = self._steps
        if name not in steps:
            steps[checked_key(name, "metric")] = 0
        # Most values are floats, and the full question costs more than all the rest.
        number = value if type(value) is float else _number(name, value)
        if not math.isfinite(number):
            raise _no_metric(name, value)
        if step is None:
            step = steps[name]
        elif type(step) is not int or step not in _STEPS:
            step = _step(name, step)
        steps[name] = step + 1
        journal.put((self.id, name, number, step, time.time()))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log several numbers as `log_metric` does; before a value that is refused, those before it are logged."""
        for name, value in metrics.items():
            self.log_metric(name, value, step)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Set parameters; durable on return."""
        self._give("params", _checked_params(params))

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags; durable on return."""
        self._give("tags", checked_tags(tags))

    def log_artifact(
        self, artifact: str | Path | bytes, name: str | None = None, *, kind: str = "file"
    ) -> dict[str, Any]:
        """Keep a file, or bytes under `name`, with the run; durable on return.

        Parameters
        ----------
        artifact
            A path, or the bytes themselves.
        name
            ``/`` may group, as in ``plots/ic.svg``; by default the file's own name.
        kind
            A word for what it is.

        Returns
        -------
        dict
            ``digest`` (SHA-256 in hexadecimal), ``size`` in bytes, ``kind`` and ``time``.

        Raises
        ------
        BadInput
            If the file cannot be read, or the name could pass for a path.
        """
        self._open()
        if isinstance(artifact, bytes):
            data = artifact
        else:
            try:
                data = Path(artifact).read_bytes()
            except OSError as exc:
                raise BadInput(f"{artifact} cannot be read: {exc.strerror or exc}") from None
            name = Path(artifact).name if name is None else name
        if name is None:
            raise BadInput("bytes need a name", hint='run.log_artifact(data, "weights.npz")')
        told = {"digest": places.keep(data), "size": len(data), "kind": kind, "time": entries.iso(time.time())}
        self._give("artifacts", {checked_key(name, "artifact"): told})
        return told

    def log_figure(self, figure: Any, name: str) -> dict[str, Any]:
        """Keep a figure as an artifact: one of matplotlib, or the bytes or text of a picture.

        Parameters
        ----------
        figure
            With a method ``savefig``, or what is to be kept.
        name
            Its ending says how a figure of matplotlib is drawn: ``ic.svg``, ``ic.png``.
        """
        self._open()
        checked_key(name, "artifact")
        if hasattr(figure, "savefig"):
            from io import BytesIO

            drawn = BytesIO()
            figure.savefig(drawn, format=name.rpartition(".")[2] if "." in name else "png")
            figure = drawn.getvalue()
        if isinstance(figure, str):
            figure = figure.encode()
        if not isinstance(figure, bytes):
            raise BadInput(f"{type(figure).__name__} is no figure", hint="give one of matplotlib, or bytes")
        return self.log_artifact(figure, name, kind="figure")

    def log_package(self, package: Any, *, version: str = "", digest: str = "") -> None:
        """Record an algorithm that the run used: what `exia.load` returned, or a name with version and digest."""
        name = package if isinstance(package, str) else package.name
        version, digest = version or getattr(package, "version", ""), digest or getattr(package, "digest", "")
        self._give("facts", {f"packages/{checked_key(name, 'package')}": {"version": version, "digest": digest}})

    def log_dataset(
        self, name: str, version: str, *, rows: int | None = None, first: Any = None, last: Any = None, **more: Any
    ) -> None:
        """Record a data set that the run read.

        Parameters
        ----------
        name, version
            What was read, such as ``"bars/daily"``, and which version of it: a number, a date, a digest.
        rows
            How many rows.
        first, last
            Keys of the first and the last row that were read, both included.
        more
            Further JSON values.
        """
        if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 0):
            raise BadInput(f"the rows of {name} must be a whole number from 0, not {rows!r}")
        ends = {"first": None if first is None else str(first), "last": None if last is None else str(last)}
        told = {"version": str(version), "rows": rows, **ends, **_checked_params(more)}
        self._give("facts", {f"datasets/{checked_key(name, 'data set')}": told})

    def log_parameters(self, snapshot: Any) -> None:
        """Record which version of live parameters the run used: what `exia.params` returned."""
        name = checked_key(snapshot.name, "name of parameters")
        self._give("facts", {f"parameters/{name}": {"version": int(snapshot.version)}})

    def note(self, text: str) -> None:
        """Write a remark to the run; durable on return."""
        self._give("notes", {entries.iso(time.time()): checked_note(text)})

    def flush(self, timeout: float = 10.0) -> None:
        """Return when all metrics so far are durable on this disk, and in the store if that answers.

        Raises
        ------
        BackendUnavailable
            If the disk did not take them within `timeout` seconds; they stay queued.
        """
        limit = seconds(timeout, "timeout")
        self._open().commit(limit, limit)

    def finish(self, status: Status = "finished", error: BaseException | None = None) -> None:
        """End the run: everything logged is durable on return.

        Raises
        ------
        RunClosed
            If it has ended before.
        BackendUnavailable
            If this disk does not take it, or an open store that was given does not.
        """
        journal = self._open()
        checked_end(status)
        pulse.remove(self)
        self._beat(last=True)
        self._ended = "has ended"
        _open.discard(self)
        if self._captured is not None:
            self._captured.stop()
        told = self._told(_line(error)), self._told(_trace(error))
        journal.put(entries.finish(self.id, status, entries.iso(time.time()), *told))
        try:
            down = journal.commit(self._timeout, self._timeout)
            if down is not None and not journal.places[0].nameable:
                raise down
            if down is not None:
                _log.warning("run %s is kept in %s and is delivered later: %s", self.id, journal.folder, down)
        finally:
            self._let_go(journal)

    def beat(self) -> None:
        """Give a sign of life now, with what the process uses and what it printed."""
        self._beat()

    def _beat(self, *, last: bool = False) -> None:
        journal = self._journal
        if journal is None or self._ended:
            return
        now, used, held = time.monotonic(), facts.cpu(), facts.rss()
        passed, spent = now - self._clock, used - self._cpu
        resources: dict[str, Any] = {
            "cpu_seconds": round(used, 3),
            "rss_bytes": held,
            "rss_max_bytes": facts.rss_max(held),
        }
        values: dict[Kind, Mapping[str, Any]] = {"facts": {"resources": resources}}
        if self._captured is not None and (pieces := self._captured.take(self._redaction.text, whole=last)):
            values["output"] = pieces
        at = time.time()
        try:
            journal.put(entries.log(self.id, values, entries.iso(at)))
            if passed >= self.heartbeat / 2:  # the share of a moment says nothing
                self._cpu, self._clock = used, now
                self.log_metric("system/cpu_percent", 100 * spent / passed)
                if held is not None:
                    self.log_metric("system/rss_bytes", held)
        except ExiaError as exc:  # the disk is full, and whoever logs or flushes is told
            _log.warning("run %s gave no sign of life: %s", self.id, exc)

    def __enter__(self) -> Run:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ended and error is None:
            return
        status: Status = "finished" if error is None else "failed" if isinstance(error, Exception) else "interrupted"
        try:
            if not self._ended:
                self.finish(status, error)
        except Exception as exc:
            if error is None:
                raise
            # The body's own error matters more than that it could not be recorded.
            error.add_note(f"exia: run {self.id} could not be closed: {exc}")

    def _open(self) -> Journal:
        if self._ended or self._journal is None:
            raise self._closed()
        return self._journal

    def _closed(self) -> RunClosed:
        state = self._ended or "was not started"
        return RunClosed(f"run {self.name!r} {state}", hint="log inside: with exia.run(...) as run")

    def _give(self, kind: Kind, values: Mapping[str, Any]) -> None:
        journal = self._open()
        given: Values = {kind: self._shown(kind, values)}
        journal.put(entries.log(self.id, given))
        self._commit(journal)

    def _shown(self, kind: Kind, values: Mapping[str, Any]) -> Mapping[str, Any]:
        if kind == "artifacts":
            return values
        if kind in ("params", "tags"):
            shown: dict[str, Any] = self._redaction.value("", values)
            return shown
        return {key: self._redaction.value("", value) for key, value in values.items()}  # the keys are our own

    def _told(self, text: str | None) -> str | None:
        return None if text is None else self._redaction.text(text)

    def _commit(self, journal: Journal) -> None:
        journal.commit(self._timeout, min(1.0, self._timeout))

    def _open_journal(self) -> Journal:
        if self._where is None or isinstance(self._where, str):
            return journal_for([places.place_of(self._where), *places.mirrors()])
        # Its place is an object that only this run knows of, so its log ends with the run.
        return Journal([places.place_with(self._where), *places.mirrors()])

    def _let_go(self, journal: Journal) -> None:
        if not journal.places[0].ours:
            journal.close(self._timeout)


def _checked_params(params: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in params.items():
        checked_key(key, "param")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as exc:
            raise BadInput(
                f"param {key} is no JSON value: {exc}", hint="give numbers, texts, lists or mappings"
            ) from None
    return dict(params)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _no_metric(name, value)
    return float(value)


def _no_metric(name: str, value: Any) -> BadInput:
    return BadInput(f"metric {name} must be a finite number, not {value!r}", hint="leave the point out")


def _line(error: BaseException | None) -> str | None:
    return None if error is None else " ".join(f"{type(error).__name__}: {error}".split())


def _trace(error: BaseException | None) -> str | None:
    if error is None:
        return None
    import traceback

    return "".join(traceback.format_exception(error))


def _step(name: str, step: Any) -> int:
    if isinstance(step, bool) or not isinstance(step, Integral) or int(step) not in _STEPS:
        raise BadInput(f"the step of metric {name} must be a whole number of 64 bits, not {step!r}")
    return int(step)


_open: weakref.WeakSet[Run] = weakref.WeakSet()


def _leave_to_the_parent() -> None:
    """Close the runs in a child process: two that count their metrics from one number would lose some."""
    for run in list(_open):
        run._ended = f"belongs to the process {os.getppid()}, which this one was forked off"
        if run._captured is not None:
            run._captured.stop()
    _open.clear()


os.register_at_fork(after_in_child=_leave_to_the_parent)
