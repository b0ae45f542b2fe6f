"""Drive a run whose units execute elsewhere: this process keeps the book, a crew does the work."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from kyrios.engine.course import Attempt, Course, in_turn
from kyrios.engine.port import Job, Step, Target
from kyrios.errors import UnitFailed
from kyrios.graph import Graph
from kyrios.state import State

_LONGEST_WAIT = 0.2  # seconds

#: An attempt and the outcome of `kyrios.execution.perform`.
Outcome = tuple[Attempt, str]


class Crew(Protocol):
    """Processes that execute orders, for one run."""

    def send(self, attempts: Sequence[Attempt], orders: Sequence[str]) -> None:
        """Let somebody execute the orders; one that a dying worker held is given to another."""

    def collect(self, timeout: float) -> Sequence[Outcome]:
        """Wait at most `timeout` seconds for something to end; return all that has, each attempt once."""

    def give_up(self, attempts: Sequence[Attempt]) -> None:
        """Stop what has not begun of `attempts`, as far as that is possible."""


def drive(job: Job, crew: Crew, slots: int) -> None:
    """Run `job` with at most `slots` orders on their way at once, see `Runner.run`."""
    # A worker counts the time, or waiting for one would count too.
    course = Course(job.graph, job.done, deadlines=False, fused=True)
    try:
        while True:
            started = []
            while len(course.running) < slots and (attempt := course.start()):
                started.append(attempt)
            if started:
                crew.send(started, [job.order(attempt.tasks, attempt.ended, attempt.number) for attempt in started])
            if steps := course.taken():
                job.record(steps)
            if course.over:
                return
            free = len(course.running) < slots
            for attempt, outcome in crew.collect(course.wait(_LONGEST_WAIT, free=free)):
                _settle(course, attempt, outcome)
    except BaseException as exc:
        crew.give_up(list(course.running.values()))
        steps = course.interrupted()
        if isinstance(exc, KeyboardInterrupt):
            job.record(steps)
        raise


def _settle(course: Course, attempt: Attempt, outcome: str) -> None:
    answer = json.loads(outcome)
    if "steps" in answer:
        course.absorb(attempt, [(name, State(state), detail, when) for name, state, detail, when in answer["steps"]])
    elif attempt.group:
        course.absorb(attempt, _failed(attempt, UnitFailed(attempt.task.name, answer["error"], log=answer["log"])))
    elif "detail" in answer:
        course.succeed(attempt, answer["detail"])
    else:
        course.fail(attempt, UnitFailed(attempt.task.name, answer["error"], log=answer["log"]))


def _failed(attempt: Attempt, error: UnitFailed) -> list[Step]:
    """Return the steps of a group that nobody could run."""
    tasks = tuple(replace(task, retries=0) for task in attempt.group)
    course = Course(Graph("", "0", tasks), ended=attempt.ended, deadlines=False)

    def fail(attempt: Attempt) -> Mapping[str, Any]:
        raise error

    for _ in in_turn(course, fail):
        pass
    return course.taken()


def script(graph: Graph, target: Target, engine: str) -> Mapping[str, str]:
    """Return the script that runs the flow on `engine`, by the command of Kyrios."""
    from kyrios.engine.template import render_template

    given = [f"{name}={v if isinstance(v, str) else json.dumps(v)}" for name, v in sorted(target.params.items())]
    return {f"{graph.flow}.py": render_template("remote.py.j2", graph, target, engine=engine, given=given)}
