"""What every engine that runs flows must do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from kyrios._house.backends import BackendURL
from kyrios.data.file import FileData
from kyrios.engine import Job, Runner, Target
from kyrios.engine.port import Step
from kyrios.execution import Execution
from kyrios.graph import Graph, Task, ordered
from kyrios.history import Head, History
from kyrios.state import State, check_transition

UNITS = """
import os

def noted(*, name, notes, failing, before):
    for other in before:
        if not os.path.exists(f"{notes}/done-{other}"):
            raise RuntimeError(f"{name} was begun before the end of {other}")
    with open(f"{notes}/calls", "a") as file:
        file.write(name + "\\n")
    with open(f"{notes}/{name}", "a") as file:
        file.write(".")
    with open(f"{notes}/{name}") as file:
        if len(file.read()) <= failing:
            raise ValueError(f"{name} fails")
    open(f"{notes}/done-{name}", "w").close()
"""


class Recorded:
    """What became of a graph whose tasks only note in `folder` that they were called."""

    def __init__(self, runner: Runner, graph: Graph, folder: Path, done: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "noting.py").write_text(UNITS, encoding="utf-8")
        for name in done:
            (folder / f"done-{name}").touch()
        self.steps: list[Step] = []
        self.now: dict[str, State] = {}
        address = BackendURL.parse(f"file://{folder}/data")
        head = Head("contract", "", graph.flow, "", runner.name, "", "", str(folder), "", {}, "", {})
        execution = Execution(graph, folder, head, FileData(address), cast(History, None))
        runner.run(Job(graph, done, execution.execute, self._record, execution.order))
        calls = folder / "calls"
        self.called = calls.read_text(encoding="utf-8").split() if calls.exists() else []

    def _record(self, steps: Sequence[Step]) -> None:
        for name, state, _, _ in steps:
            check_transition(name, self.now.get(name, State.DECLARED), state)
            self.now[name] = state
        self.steps += steps


def graph(
    upstream: Mapping[str, Sequence[str]],
    folder: Path,
    failing: Mapping[str, int] | None = None,
    *,
    retries: int = 0,
    timeout: float | None = None,
) -> Graph:
    """Return a graph of tasks with the tasks before them, some of which fail as often as they are told to."""
    tasks = (
        Task(
            name,
            "noted",
            "1",
            "noting:noted",
            params={"name": name, "notes": str(folder), "failing": (failing or {}).get(name, 0), "before": list(above)},
            after=tuple(above),
            retries=retries,
            retry_delay=0.001,
            timeout=timeout,
        )
        for name, above in upstream.items()
    )
    return Graph("contract", "1", ordered(tasks))


_WAITING = """
import threading

def wait(**ignored):
    threading.Event().wait(5)
"""
_DIAMOND: dict[str, Sequence[str]] = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
_WHOLE = [State.QUEUED, State.RUNNING, State.SUCCEEDED]


class RunnerContract:
    """Give a `runner` fixture that opens the engine."""

    def test_every_task_runs_once_and_after_those_before_it(self, runner: Runner, tmp_path: Path) -> None:
        record = Recorded(runner, graph(_DIAMOND, tmp_path), tmp_path)

        assert sorted(record.called) == ["a", "b", "c", "d"]
        for name in "abcd":
            assert [state for task, state, *_ in record.steps if task == name] == _WHOLE

    def test_what_follows_a_failure_is_skipped_and_the_rest_goes_on(self, runner: Runner, tmp_path: Path) -> None:
        record = Recorded(runner, graph({**_DIAMOND, "e": ["c"], "f": ["d"]}, tmp_path, {"b": 1}), tmp_path)

        assert record.now == {
            "a": State.SUCCEEDED,
            "b": State.FAILED,
            "c": State.SUCCEEDED,
            "d": State.SKIPPED,
            "e": State.SUCCEEDED,
            "f": State.SKIPPED,
        }
        assert next(detail for task, state, detail, _ in record.steps if state == State.FAILED)["error"].startswith(
            "ValueError: b fails"
        )

    def test_a_task_is_tried_again_as_often_as_it_says(self, runner: Runner, tmp_path: Path) -> None:
        record = Recorded(runner, graph({"a": [], "b": ["a"]}, tmp_path, {"a": 2}, retries=2), tmp_path)

        assert record.called == ["a", "a", "a", "b"]
        states = [state for task, state, *_ in record.steps if task == "a"]
        assert states == [
            State.QUEUED,
            State.RUNNING,
            State.UP_FOR_RETRY,
            State.RUNNING,
            State.UP_FOR_RETRY,
            State.RUNNING,
            State.SUCCEEDED,
        ]

    def test_a_task_fails_when_its_last_try_does(self, runner: Runner, tmp_path: Path) -> None:
        record = Recorded(runner, graph({"a": []}, tmp_path, {"a": 9}, retries=1), tmp_path)

        assert record.called == ["a", "a"]
        assert record.now == {"a": State.FAILED}

    def test_what_has_succeeded_before_does_not_run_again(self, runner: Runner, tmp_path: Path) -> None:
        record = Recorded(runner, graph(_DIAMOND, tmp_path), tmp_path, done=["a", "b"])

        assert sorted(record.called) == ["c", "d"]

    def test_a_graph_that_is_done_needs_nothing(self, runner: Runner, tmp_path: Path) -> None:
        assert Recorded(runner, graph({"a": []}, tmp_path), tmp_path, done=["a"]).steps == []

    def test_a_wide_and_deep_graph_ends(self, runner: Runner, tmp_path: Path) -> None:
        layers: dict[str, Sequence[str]] = {}
        for depth in range(10):
            above = [f"t{depth - 1}_{i}" for i in range(20)] if depth else []
            layers |= {f"t{depth}_{i}": above[i : i + 3] for i in range(20)}
        record = Recorded(runner, graph(layers, tmp_path), tmp_path)

        assert len(record.called) == 200
        assert set(record.now.values()) == {State.SUCCEEDED}

    def test_tasks_that_are_fused_have_each_the_states_of_their_own(self, runner: Runner, tmp_path: Path) -> None:
        shape = {**_DIAMOND, "e": ["c"], "f": ["d"], "g": ["e"], "h": ["g", "a"]}
        plain = graph(shape, tmp_path, {"b": 9, "e": 1}, retries=1)
        record = Recorded(runner, replace(plain, fused={"one": ("a", "b", "c"), "two": ("e", "f", "g")}), tmp_path)

        states = {name: [state for task, state, *_ in record.steps if task == name] for name in shape}
        again = [State.QUEUED, State.RUNNING, State.UP_FOR_RETRY, State.RUNNING]
        assert states == {
            "a": _WHOLE,
            "b": [*again, State.FAILED],
            "c": _WHOLE,
            "d": [State.SKIPPED],
            "e": [*again, State.SUCCEEDED],
            "f": [State.SKIPPED],
            "g": _WHOLE,
            "h": _WHOLE,
        }

    def test_what_has_succeeded_in_a_group_does_not_run_again(self, runner: Runner, tmp_path: Path) -> None:
        group = replace(graph(_DIAMOND, tmp_path), fused={"one": ("a", "b", "c", "d")})
        record = Recorded(runner, group, tmp_path, done=["a", "c"])

        assert record.called == ["b", "d"]

    def test_a_task_that_takes_too_long_fails_and_the_rest_goes_on(self, runner: Runner, tmp_path: Path) -> None:
        slow = graph({"a": []}, tmp_path, timeout=0.5)
        (tmp_path / "waiting.py").write_text(_WAITING, encoding="utf-8")
        late = replace(slow.task("a"), call="waiting:wait")
        rest = graph({"b": [], "c": ["b"]}, tmp_path)
        record = Recorded(runner, Graph("contract", "1", (late, *rest.tasks)), tmp_path)

        assert record.now == {"a": State.FAILED, "b": State.SUCCEEDED, "c": State.SUCCEEDED}
        assert next(d for _, state, d, _ in record.steps if state == State.FAILED)["error"] == "no result within 0.5 s"

    def test_the_same_graph_renders_to_the_same_bytes(self, runner: Runner, tmp_path: Path) -> None:
        target = Target("/flows/contract")

        assert runner.render(graph(_DIAMOND, tmp_path), target) == runner.render(graph(_DIAMOND, tmp_path), target)
