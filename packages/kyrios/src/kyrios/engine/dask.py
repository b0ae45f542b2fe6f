"""``dask:?workers=2``: processes of a cluster on this machine; ``dask://host:8786``: a cluster that runs already."""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping, Sequence
from functools import cache
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import distributed

from kyrios._house.backends import BackendURL
from kyrios.engine.course import Attempt
from kyrios.engine.port import Job, Runner, Target
from kyrios.engine.remote import Crew, Outcome, drive, script
from kyrios.engine.workers import counted
from kyrios.errors import BackendUnavailable, BadInput
from kyrios.execution import perform
from kyrios.extension import engine_options
from kyrios.graph import Graph


class DaskEngine:
    """A client of Dask that sends units as they become ready; Dask places them and moves them when a worker dies."""

    name = "dask"

    def __init__(self, url: BackendURL) -> None:
        self.workers = counted(url, "workers", min(4, os.cpu_count() or 1))
        self.slots = counted(url, "slots", 64 if url.host else 2 * self.workers)
        self.address = f"tcp://{url.host}:{url.port or 8786}" if url.host else ""

    def render(self, graph: Graph, target: Target) -> Mapping[str, str]:
        """Return one Python script that runs the flow on Dask."""
        return script(graph, target, self.name)

    def run(self, job: Job) -> None:
        """Run the tasks of `job`, see `Runner.run`."""
        for task in job.graph.tasks:
            if not self.address and (needs := engine_options([task], "dask").get("resources")):
                raise BadInput(
                    f"the unit {task.name} needs {', '.join(sorted(needs))}, which no worker on this machine offers",
                    hint="dask worker tcp://host:8786 --resources NAME=1, and --engine dask://host:8786",
                )
        drive(job, _DaskCrew(_client(self.address, self.workers)), self.slots)


@cache
def _client(address: str, workers: int) -> Any:
    # One cluster for the life of the process: its start takes longer than most flows.
    driver: Any = distributed  # half of it is typed
    try:
        if address:
            client = driver.Client(address, timeout=10)
        else:
            cluster = driver.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                # Without an address its HTTP server would take port 8787, which another cluster may have.
                dashboard_address="127.0.0.1:0",
                silence_logs=50,
            )
            atexit.register(cluster.close)
            client = driver.Client(cluster)
    except (OSError, TimeoutError) as exc:
        raise BackendUnavailable(f"dask: {address} does not answer: {exc}", hint="kyrios doctor") from exc
    atexit.register(client.close)
    return client


class _DaskCrew:
    def __init__(self, client: Any) -> None:
        self.client = client
        self.ended: SimpleQueue[tuple[Attempt, Any]] = SimpleQueue()
        self.futures: dict[Attempt, Any] = {}

    def send(self, attempts: Sequence[Attempt], orders: Sequence[str]) -> None:
        for attempt, order in zip(attempts, orders, strict=True):
            future = self.client.submit(perform, order, pure=False, **engine_options(attempt.tasks, "dask"))
            self.futures[attempt] = future
            future.add_done_callback(lambda done, attempt=attempt: self.ended.put((attempt, done)))

    def collect(self, timeout: float) -> Sequence[Outcome]:
        found: dict[Attempt, Any] = {}
        try:
            attempt, future = self.ended.get(timeout=timeout)
            while True:
                found[attempt] = future
                attempt, future = self.ended.get_nowait()
        except Empty:
            pass
        if not found and self.client.status != "running":
            raise BackendUnavailable("dask: the scheduler is gone", hint="kyrios run --resume RUN when it is back")
        outcomes = [(attempt, _outcome(future)) for attempt, future in found.items()]
        for attempt in found:
            del self.futures[attempt]
        return outcomes

    def give_up(self, attempts: Sequence[Attempt]) -> None:
        self.client.cancel([self.futures[a] for a in attempts if a in self.futures])


def _outcome(future: Any) -> str:
    import json

    try:
        return str(future.result(timeout=30))
    except Exception as exc:  # such as KilledWorker: every worker that had it died
        return json.dumps({"error": f"{type(exc).__name__}: {exc}", "log": ""})


if TYPE_CHECKING:
    _fits: type[Runner] = DaskEngine
    _works: type[Crew] = _DaskCrew
