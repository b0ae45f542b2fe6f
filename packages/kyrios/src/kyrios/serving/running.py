"""The runs that a server has started: each is a process, recorded before it begins, and cancelled by a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from time import monotonic
from typing import Any

from kyrios._house.ids import uuid7
from kyrios.data import open_data
from kyrios.engine import Runner, open_engine
from kyrios.errors import BadInput, Conflict, KyriosError, RunNotFound
from kyrios.execution import Execution, log_path, sole_owner
from kyrios.flows import Flow, checked_run_id
from kyrios.history import open_history
from kyrios.run import Run, get_run
from kyrios.selection import select
from kyrios.state import FINISHED, State

_GRACE = 10.0  # seconds that a run has to record its end before it is killed


class TooManyRuns(KyriosError):
    """The server runs as many flows as it may."""


class Runs:
    """Starts runs and sees to their end; leaving the ``with`` cancels those that are under way.

    Parameters
    ----------
    limit
        How many run at once; more are refused.
    """

    def __init__(self, limit: int = 4) -> None:
        self.limit = limit
        self.started = 0
        self.ended: dict[str, int] = {}  #: How many have ended in each state.
        self._lock = threading.Lock()
        self._under_way: dict[str, subprocess.Popen[bytes] | None] = {}  # None has its place and no process yet
        self._closed = False
        self.on_end: Callable[[], None] = lambda: None  #: Called by another thread when a run has ended.

    def __enter__(self) -> Runs:
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._closed = True
            left = list(self._under_way)
        for run_id in left:
            self._interrupt(run_id)
        for thread in [t for t in threading.enumerate() if t.name.startswith("kyrios-run-")]:
            thread.join()

    def is_under_way(self, run_id: str) -> bool:
        """Tell whether this server has started the run and its process has not ended."""
        return run_id in self._under_way

    @property
    def under_way(self) -> list[str]:
        """The runs that this server has started and that have not ended."""
        with self._lock:
            return list(self._under_way)

    def start(
        self,
        flow: Flow,
        params: Mapping[str, Any] | None = None,
        *,
        engine: str | None = None,
        workers: int | None = None,
        only: Collection[str] = (),
        start: str | None = None,
        earlier: str | None = None,
        run_id: str | None = None,
    ) -> tuple[Run, bool]:
        """Start a run as `Flow.run` would, and return it as it is recorded, and whether it is new.

        Parameters
        ----------
        run_id
            The id that the caller has made; asking again with it starts nothing and returns the run that there is.

        Raises
        ------
        BadInput, NotFound
            If a parameter, a unit or the engine cannot be used; nothing is recorded then.
        Conflict
            If `run_id` is that of another run.
        TooManyRuns
            If so many are under way.
        """
        if flow.graph.every is not None:
            raise BadInput(f"the flow {flow.name} is a service loop", hint=f"kyrios loop {flow.folder}")
        if flow.graph.inputs:
            taken = ", ".join(sorted(flow.graph.inputs))
            raise BadInput(f"the flow {flow.name} takes {taken}", hint="use it as a unit of another flow")
        runner = open_engine(engine)
        if not isinstance(runner, Runner):
            raise BadInput(f"{runner.name} runs flows by its own scheduler", hint="POST /flows/NAME/render")
        identity = checked_run_id(run_id or uuid7())
        data = open_data()
        if data.url.startswith("memory:"):
            raise BadInput(
                f"a run is a process of its own here, and {data.url} would end with it", hint="set data to file://"
            )
        head = flow.head(identity, runner.name, params or {}, data)
        with open_history() as record:
            select(flow.graph, record, only=only, start=start, earlier=earlier)
            try:
                known = record.head(identity)
            except RunNotFound:
                known = None
            if known and (known.digest, dict(known.params)) != (head.digest, dict(head.params)):
                raise Conflict(f"the run {identity!r} is another one", hint="make another run_id")
            # One that is recorded without a step was to be started by a server that died just then.
            if known and (identity in self.under_way or record.events(identity)):
                return Run(known, record.events(identity), data), False
            self._take_place(identity)
            try:
                record.begin(head)
            except BaseException:
                with self._lock:
                    del self._under_way[identity]
                raise
        self._spawn(flow, identity, {
            "folder": str(flow.folder), "digest": flow.digest, "params": dict(params or {}), "engine": engine,
            "workers": workers, "only": list(only), "start": start, "earlier": earlier, "run_id": identity,
        })  # fmt: skip
        return get_run(identity), True

    def resume(self, flow: Flow, run_id: str) -> Run:
        """Go on with a run that has not succeeded.

        Raises
        ------
        Conflict
            If it is running, has succeeded, or was of another version of the flow.
        """
        run = get_run(run_id)
        if run.head.digest != flow.digest:
            raise Conflict(f"run {run_id} was of another version of {run.head.flow}", hint="start a new run")
        if run.state == State.SUCCEEDED:
            raise Conflict(f"run {run_id} has succeeded; there is nothing to resume")
        if run.state in FINISHED:  # its process may be about to leave
            for thread in [t for t in threading.enumerate() if t.name == f"kyrios-run-{run_id}"]:
                thread.join(_GRACE)
        with sole_owner(run_id):
            pass
        self._take_place(run_id)
        self._spawn(flow, run_id, {
            "folder": str(flow.folder), "digest": flow.digest, "resume": run_id, "engine": run.head.engine,
        })  # fmt: skip
        return get_run(run_id)

    def cancel(self, run_id: str) -> Run:
        """Ask a run to end as Ctrl-C does: what is under way is recorded as cancelled, and it can be resumed.

        Raises
        ------
        RunNotFound
            If there is no such run.
        Conflict
            If it has ended, or another process runs it.
        """
        run = get_run(run_id)
        if run.state in FINISHED:
            raise Conflict(f"run {run_id} is {run.state.value} already")
        if not self._interrupt(run_id):
            raise Conflict(f"run {run_id} was not started by this server", hint="Ctrl-C where it was started")
        return run

    def _take_place(self, run_id: str) -> None:
        with self._lock:
            if self._closed:
                raise TooManyRuns("the server ends", hint="try again when it is back")
            if run_id in self._under_way:
                raise Conflict(f"run {run_id} is under way")
            if len(self._under_way) >= self.limit:
                raise TooManyRuns(
                    f"{self.limit} runs are under way, and no more may be", hint=f"--max-runs {self.limit + 1}"
                )
            self._under_way[run_id] = None

    def _spawn(self, flow: Flow, run_id: str, order: Mapping[str, Any]) -> None:
        log = log_path(run_id, "serve")
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as out:
                process = subprocess.Popen(
                    [sys.executable, "-m", "kyrios.serving.child"], stdin=subprocess.PIPE, stdout=out, stderr=out,
                    # A session of its own: Ctrl-C at the server's terminal is the server's, which ends its runs.
                    start_new_session=True,
                )  # fmt: skip
        except BaseException:
            with self._lock:
                del self._under_way[run_id]
            raise
        with self._lock:
            self._under_way[run_id] = process
            self.started += 1
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(order).encode())
            process.stdin.close()
        except BrokenPipeError:
            pass  # it has died already; whoever waits for it records so
        threading.Thread(
            target=self._see_through, args=(flow, run_id, process), daemon=True, name=f"kyrios-run-{run_id}"
        ).start()

    def _see_through(self, flow: Flow, run_id: str, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        try:
            state = self._settle(flow, run_id, code)
        except KyriosError as exc:
            print(f"run {run_id} has ended, and that could not be recorded: {exc}", file=sys.stderr)
            state = "unknown"
        with self._lock:
            self._under_way.pop(run_id, None)
            self.ended[state] = self.ended.get(state, 0) + 1
        self.on_end()

    def _settle(self, flow: Flow, run_id: str, code: int) -> str:
        """Record the end of a run whose process could not do so itself; return the state that it ended in."""
        run = get_run(run_id)
        if run.state in FINISHED:
            return run.state.value
        why = f"its process was ended by signal {-code}" if code < 0 else f"its process ended with code {code}"
        if code == 130:
            why = "Cancelled"
        with open_history() as record, sole_owner(run_id):
            execution = Execution(flow.graph, flow.folder, run.head, open_data(), record)
            execution.cancel_the_rest(why)
            if not run.events:  # it has not come as far as its first event
                execution.move_run([State.CANCELLED], reason=why)
        return "cancelled"

    def _interrupt(self, run_id: str) -> bool:
        with self._lock:
            process = self._under_way.get(run_id)
        if process is None:
            return False
        process.send_signal(signal.SIGINT)
        threading.Thread(target=_kill_after, args=(process, _GRACE), daemon=True, name="kyrios-kill").start()
        return True


def _kill_after(process: subprocess.Popen[bytes], seconds: float) -> None:
    until = monotonic() + seconds
    try:
        process.wait(until - monotonic())
    except subprocess.TimeoutExpired:
        # With all that it has started: a shell that a unit waits for must not outlive it.
        os.killpg(process.pid, signal.SIGKILL)
