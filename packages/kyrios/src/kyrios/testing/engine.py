"""What every engine that runs flows must do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Event as Flag
from threading import Lock
from typing import Any

from kyrios.engine import Job, Runner, Target
from kyrios.engine.port import Step
from kyrios.graph import Graph, Task, ordered
from kyrios.state import State, check_transition


class _Record:
    """Runs a graph whose tasks do nothing but be noted, and fail as often as they are told to."""

    def __init__(self, failing: Mapping[str, int] | None = None) -> None:
        self.failing = dict(failing or {})
        self.steps: list[Step] = []
        self.called: list[str] = []
        self.now: dict[str, State] = {}
        self._lock = Lock()

    def record(self, steps: Sequence[Step]) -> None:
        for name, state, _ in steps:
            check_transition(name, self.now.get(name, State.DECLARED), state)
            self.now[name] = state
        self.steps += steps

    def execute(self, task: Task, abandoned: Flag) -> Mapping[str, Any]:
        with self._lock:
            assert all(self.now.get(u) == State.SUCCEEDED for u in task.upstream if u not in self.done)
            self.called.append(task.name)
            self.failing[task.name] = self.failing.get(task.name, 0) - 1
            if self.failing[task.name] >= 0:
                raise ValueError(f"{task.name} fails")
        return {"seconds": 0.0}

    def run(self, runner: Runner, graph: Graph, done: Sequence[str] = ()) -> _Record:
        self.done = done
        runner.run(Job(graph, done, self.execute, self.record))
        return self


def graph(upstream: Mapping[str, Sequence[str]], *, retries: int = 0) -> Graph:
    """Return a graph of tasks with the tasks before them."""
    tasks = (Task(n, n, "1", "m:f", after=tuple(u), retries=retries, retry_delay=0.001) for n, u in upstream.items())
    return Graph("contract", "1", ordered(tasks))


_DIAMOND: dict[str, Sequence[str]] = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
_WHOLE = [State.QUEUED, State.RUNNING, State.SUCCEEDED]


class RunnerContract:
    """Give a `runner` fixture that opens the engine."""

    def test_every_task_runs_once_and_after_those_before_it(self, runner: Runner) -> None:
        record = _Record().run(runner, graph(_DIAMOND))

        assert sorted(record.called) == ["a", "b", "c", "d"]
        for name in "abcd":
            assert [state for task, state, _ in record.steps if task == name] == _WHOLE

    def test_what_follows_a_failure_is_skipped_and_the_rest_goes_on(self, runner: Runner) -> None:
        record = _Record({"b": 1}).run(runner, graph({**_DIAMOND, "e": ["c"], "f": ["d"]}))

        assert record.now == {
            "a": State.SUCCEEDED,
            "b": State.FAILED,
            "c": State.SUCCEEDED,
            "d": State.SKIPPED,
            "e": State.SUCCEEDED,
            "f": State.SKIPPED,
        }
        assert next(detail for task, state, detail in record.steps if state == State.FAILED)["error"] == "b fails"

    def test_a_task_is_tried_again_as_often_as_it_says(self, runner: Runner) -> None:
        record = _Record({"a": 2}).run(runner, graph({"a": [], "b": ["a"]}, retries=2))

        assert record.called == ["a", "a", "a", "b"]
        states = [state for task, state, _ in record.steps if task == "a"]
        assert states == [
            State.QUEUED,
            State.RUNNING,
            State.UP_FOR_RETRY,
            State.RUNNING,
            State.UP_FOR_RETRY,
            State.RUNNING,
            State.SUCCEEDED,
        ]

    def test_a_task_fails_when_its_last_try_does(self, runner: Runner) -> None:
        record = _Record({"a": 9}).run(runner, graph({"a": []}, retries=1))

        assert record.called == ["a", "a"]
        assert record.now == {"a": State.FAILED}

    def test_what_has_succeeded_before_does_not_run_again(self, runner: Runner) -> None:
        record = _Record().run(runner, graph(_DIAMOND), done=["a", "b"])

        assert sorted(record.called) == ["c", "d"]

    def test_a_graph_that_is_done_needs_nothing(self, runner: Runner) -> None:
        assert _Record().run(runner, graph({"a": []}), done=["a"]).steps == []

    def test_a_wide_and_deep_graph_ends(self, runner: Runner) -> None:
        layers: dict[str, Sequence[str]] = {}
        for depth in range(10):
            above = [f"t{depth - 1}_{i}" for i in range(20)] if depth else []
            layers |= {f"t{depth}_{i}": above[i : i + 3] for i in range(20)}
        record = _Record().run(runner, graph(layers))

        assert len(record.called) == 200
        assert set(record.now.values()) == {State.SUCCEEDED}

    def test_the_same_graph_renders_to_the_same_bytes(self, runner: Runner) -> None:
        target = Target("/flows/contract")

        assert runner.render(graph(_DIAMOND), target) == runner.render(graph(_DIAMOND), target)
