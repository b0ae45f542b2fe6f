"""`exia.run`: record what ran, with which parameters, and what came out."""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from numbers import Real
from types import TracebackType
from typing import Any

from exia._house.ids import uuid7
from exia.errors import BadInput, RunClosed
from exia.metrics_writer import MetricsWriter
from exia.pooling.waiting import seconds
from exia.runs import RunRecord, RunStore, Status, open_runs
from exia.runs.port import checked_key, checked_run_name, checked_status


def run(
    name: str,
    *,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    store: str | RunStore | None = None,
    timeout: float = 10.0,
) -> Run:
    """Return a run to record: ``with exia.run("momentum", params={"window": 20}) as run: ...``.

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
    timeout
        Seconds that the end of the run waits for a store that does not answer.

    Raises
    ------
    BadInput
        If a name or value cannot be recorded; nothing was.
    """
    return Run(name, params=params, tags=tags, store=store, timeout=timeout)


class Run:
    """One run; its record exists from entering the ``with``, and everything in it when that is left.

    Leaving after an exception records it with its traceback: status ``failed``, or ``interrupted``
    after Ctrl-C. Without ``with``, call `start` and `finish`.
    """

    def __init__(
        self,
        name: str,
        *,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        store: str | RunStore | None = None,
        timeout: float = 10.0,
    ) -> None:
        self.id = uuid7()
        self.name = checked_run_name(name)
        self._params = _checked_params(params or {})
        self._tags = _checked_tags(tags or {})
        self._where = store
        self._store: RunStore | None = None
        self._writer: MetricsWriter | None = None
        self._steps: defaultdict[str, int] = defaultdict(int)
        self._ended = False
        self._timeout = seconds(timeout, "timeout")

    def start(self) -> Run:
        """Record the start: UTC time, host, git commit of the working folder."""
        if self._store is not None or self._ended:
            raise RunClosed(f"run {self.name!r} was started before", hint="take a new one: exia.run(...)")
        store = open_runs(self._where) if self._where is None or isinstance(self._where, str) else self._where
        record = RunRecord(
            id=self.id,
            name=self.name,
            started=_now(),
            params=self._params,
            tags=self._tags,
            host=os.uname().nodename,
            commit=_git_commit(),
        )
        try:
            store.start(record)
        except BaseException:
            if store is not self._where:
                store.close()
            raise
        self._store = store
        self._writer = MetricsWriter(self.id, store)
        return self

    def log_metric(self, name: str, value: float, step: int | None = None) -> None:
        """Log one finite number; it is durable after `flush` or when the ``with`` is left.

        The caller waits only when 100,000 values are on their way already.

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
        writer = self._open()[1]
        if name not in self._steps:
            checked_key(name, "metric")
        # Most values are floats, and the full question costs more than all the rest.
        number = value if type(value) is float else _number(name, value)
        if not math.isfinite(number):
            raise _no_metric(name, value)
        if step is None:
            step = self._steps[name]
        elif isinstance(step, bool) or not isinstance(step, int):
            raise BadInput(f"the step of metric {name} must be a whole number, not {step!r}")
        self._steps[name] = step + 1
        writer.put(name, number, step)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Set parameters; durable on return."""
        store, _ = self._open()
        store.log(self.id, params=_checked_params(params))

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags; durable on return."""
        store, _ = self._open()
        store.log(self.id, tags=_checked_tags(tags))

    def flush(self, timeout: float = 10.0) -> None:
        """Return when all metrics so far are durable.

        Raises
        ------
        BackendUnavailable
            If the store did not take them within `timeout` seconds; they stay queued.
        """
        self._open()[1].flush(seconds(timeout, "timeout"))

    def finish(self, status: Status = "finished", error: BaseException | None = None) -> None:
        """End the run: everything logged is durable on return.

        Raises
        ------
        RunClosed
            If it has ended before.
        """
        store, writer = self._open()
        checked_status(status)
        self._ended = True
        try:
            try:
                writer.close(self._timeout)
            finally:
                store.finish(self.id, status, _now(), _line(error), _trace(error))
        finally:
            if store is not self._where:
                store.close()

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

    def _open(self) -> tuple[RunStore, MetricsWriter]:
        if self._ended or self._store is None or self._writer is None:
            state = "has ended" if self._ended else "was not started"
            raise RunClosed(f"run {self.name!r} {state}", hint="log inside: with exia.run(...) as run")
        return self._store, self._writer


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


def _checked_tags(tags: Mapping[str, str]) -> dict[str, str]:
    for key, value in tags.items():
        checked_key(key, "tag")
        if not isinstance(value, str):
            raise BadInput(f"tag {key} must be a text, not {value!r}")
    return dict(tags)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _no_metric(name, value)
    return float(value)


def _no_metric(name: str, value: Any) -> BadInput:
    return BadInput(f"metric {name} must be a finite number, not {value!r}", hint="leave the point out")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _line(error: BaseException | None) -> str | None:
    return None if error is None else " ".join(f"{type(error).__name__}: {error}".split())


def _trace(error: BaseException | None) -> str | None:
    if error is None:
        return None
    import traceback

    return "".join(traceback.format_exception(error))


def _git_commit() -> str | None:
    """Return the commit that the working folder is at, or None outside a repository."""
    import subprocess

    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=2, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
