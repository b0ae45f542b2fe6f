"""Run a flow on several engines and compare what they give, byte by byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kyrios._house.backends import known_backends
from kyrios.engine import Runner, open_engine
from kyrios.errors import BackendUnavailable, MissingExtra, UnitFailed
from kyrios.state import State

if TYPE_CHECKING:
    from kyrios.flows import Flow
    from kyrios.run import Run


@dataclass(frozen=True)
class Answer:
    """What one engine made of a flow.

    Parameters
    ----------
    state
        ``succeeded``, ``failed``, or ``unreachable`` where the engine does not answer.
    same
        Whether every output has the bytes of the first engine's, and every unit ended as there.
    differs
        The outputs and units that do not.
    detail
        Why it failed, if it did.
    """

    engine: str
    state: str
    run_id: str | None = None
    seconds: float | None = None
    same: bool = False
    differs: tuple[str, ...] = ()
    detail: str = ""


def runners() -> list[str]:
    """Return the engines that run flows from here and whose drivers are installed, ``local`` first."""
    found = []
    for name in known_backends("engine"):
        try:
            engine = open_engine(name)
        except MissingExtra:
            continue
        if isinstance(engine, Runner):
            found.append(name)
    return sorted(found, key=lambda name: (name != "local", name))


def compare(
    flow: Flow,
    engines: Sequence[str] | None = None,
    params: Mapping[str, Any] | None = None,
    *,
    begins: Callable[[str], None] = lambda engine: None,
) -> Iterator[Answer]:
    """Run `flow` on each of `engines` and compare its outputs with those of the first.

    Parameters
    ----------
    engines
        URLs; None are all of `runners`.
    begins
        Called with each engine before its run.
    """
    first: dict[str, str] | None = None
    for engine in runners() if engines is None else engines:
        begins(engine)
        try:
            run = _run(flow, engine, params)
        except BackendUnavailable as exc:
            yield Answer(engine, "unreachable", detail=exc.message)
            continue
        found = _result(run)
        first = found if first is None else first
        differs = tuple(sorted(name for name in {*first, *found} if first.get(name) != found.get(name)))
        error = next((task.error or "" for task in run.tasks if task.error), "")
        yield Answer(engine, run.state.value, run.run_id, run.seconds, not differs, differs, error)


def _run(flow: Flow, engine: str, params: Mapping[str, Any] | None) -> Run:
    from kyrios.run import get_run

    try:
        return flow.run(params, engine=engine)
    except UnitFailed as exc:
        return get_run(exc.run_id)


def _result(run: Run) -> dict[str, str]:
    """Return each output's digest, of the bytes as they lie there now, and how each unit ended."""
    import hashlib

    # A table that an earlier run has kept is as good as one that is made: its bytes are compared below.
    ended = {task.name: State.SUCCEEDED if task.state is State.CACHED else task.state for task in run.tasks}
    found = {name: state.value for name, state in ended.items()}
    for task in run.tasks:
        for output in task.outputs:
            data = run.data.get(f"{run.run_id}/{output['path']}")
            found[f"{task.name}.{output['name']}"] = hashlib.sha256(data).hexdigest()
    return found
