"""``ray:?workers=2``: a Ray node on this machine, with a token; ``ray://host:10001``: a cluster that runs already."""

from __future__ import annotations

import atexit
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

# Ray reads this once, when it is imported. Whoever may speak to a node may run any code on it, and without a token
# that is every user of this machine.
if "ray" not in sys.modules:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Without it Ray takes 127.0.0.1 for the address of a network card, and listens on all of them.
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if os.environ.setdefault("RAY_AUTH_MODE", "token") == "token" and not os.environ.get("RAY_AUTH_TOKEN_PATH"):
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))

import ray

from kyrios._house.backends import BackendURL
from kyrios.engine.course import Attempt
from kyrios.engine.port import Job, Runner, Target
from kyrios.engine.remote import Crew, Outcome, drive, script
from kyrios.engine.workers import counted
from kyrios.errors import BackendUnavailable, BadInput
from kyrios.extension import engine_options
from kyrios.graph import Graph, Task


class RayEngine:
    """Ray tasks; Ray places them and runs them again when a worker dies."""

    name = "ray"

    def __init__(self, url: BackendURL) -> None:
        self.workers = counted(url, "workers", min(4, os.cpu_count() or 1))
        self.slots = counted(url, "slots", 64 if url.host else 2 * self.workers)
        self.address = f"ray://{url.host}:{url.port or 10001}" if url.host else ""

    def render(self, graph: Graph, target: Target) -> Mapping[str, str]:
        """Return one Python script that runs the flow on Ray."""
        return script(graph, target, self.name)

    def run(self, job: Job) -> None:
        """Run the tasks of `job`, see `Runner.run`."""
        function = connected(self.address, self.workers)
        if not self.address:
            for task in job.graph.tasks:
                _check(task)
        drive(job, _RayCrew(function), self.slots)


@cache
def connected(address: str, workers: int) -> Any:
    """Return Kyrios' remote function, on a node that lives as long as this process."""
    if not address and os.environ.get("RAY_AUTH_MODE") != "token":
        raise BadInput(
            "ray was imported before Kyrios' engine, or told to do without tokens; its node would obey every user here",
            hint="set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN before Python starts",
        )
    try:
        if address:
            ray.init(address, log_to_driver=False)
        elif not ray.is_initialized():  # as it is where this process has a pool of Ray actors
            ray.init(
                num_cpus=workers,
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                log_to_driver=False,
                configure_logging=False,
            )
    except Exception as exc:  # a node that does not start in time is no more than an Exception
        where = address or "a node on this machine"
        raise BackendUnavailable(f"ray: {where} does not answer: {exc}", hint="kyrios doctor") from exc
    atexit.register(ray.shutdown)
    return ray.remote(num_cpus=1, max_retries=-1)(_perform)


def _check(task: Task) -> None:
    """Refuse a unit that needs more than the node on this machine has: Ray would let it wait for ever."""
    needs = _wanted([task])
    driver: Any = ray  # half of it is typed
    there = driver.cluster_resources() if needs else {}
    for word, wanted in needs.items():
        many = wanted if isinstance(wanted, Mapping) else {_RAYS[word]: wanted}
        for name, count in many.items():
            if count > there.get(name, 0):
                raise BadInput(
                    f"the unit {task.name} needs {count:g} {name}, and this node has {there.get(name, 0):g}",
                    hint="--engine 'ray:?workers=N', or ray://host:10001 for a cluster that has it",
                )


_RAYS = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
_OURS = {"cpus": "num_cpus", "gpus": "num_gpus"}


def _wanted(tasks: Sequence[Task]) -> dict[str, Any]:
    return {_OURS.get(word, word): value for word, value in engine_options(tasks, "ray").items()}


def _perform(order: str) -> str:
    from kyrios.execution import perform

    return perform(order)


class _RayCrew:
    def __init__(self, function: Any) -> None:
        self.function = function
        self.running: dict[Any, Attempt] = {}

    def send(self, attempts: Sequence[Attempt], orders: Sequence[str]) -> None:
        for attempt, order in zip(attempts, orders, strict=True):
            wanted = _wanted(attempt.tasks)
            function = self.function.options(**wanted) if wanted else self.function
            self.running[function.remote(order)] = attempt

    def collect(self, timeout: float) -> Sequence[Outcome]:
        if not self.running:
            return []
        ended, left = ray.wait(list(self.running), timeout=timeout)
        if ended and left:
            more, _ = ray.wait(left, num_returns=len(left), timeout=0)
            ended += more
        return [(self.running.pop(reference), _outcome(reference)) for reference in ended]

    def give_up(self, attempts: Sequence[Attempt]) -> None:
        for reference in self.running:
            ray.cancel(reference)


def _outcome(reference: Any) -> str:
    try:
        return str(ray.get(reference))
    except ray.exceptions.RayError as exc:
        return json.dumps({"error": f"{type(exc).__name__}: {str(exc).splitlines()[0]}", "log": ""})


if TYPE_CHECKING:
    _fits: type[Runner] = RayEngine
    _works: type[Crew] = _RayCrew
