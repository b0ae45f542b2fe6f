"""kyrios: draw a workflow once, as units and a flow, and run it here or on another engine.

>>> import kyrios
>>> flow = kyrios.load_flow("flows/hello")  # doctest: +SKIP
>>> run = flow.run({"name": "world"})  # doctest: +SKIP
>>> run.table("greet.greeting").to_pydict()  # doctest: +SKIP
{'text': ['hello, world']}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kyrios.errors import (
    BackendUnavailable,
    BadInput,
    ChannelFull,
    ConfigError,
    Conflict,
    FlowInvalid,
    IllegalTransition,
    KyriosError,
    MissingExtra,
    NotAllowed,
    NotFound,
    Problem,
    RunNotFound,
    UnitFailed,
    UnknownBackend,
)

if TYPE_CHECKING:
    from kyrios.authoring import branch, flow, gate, parallel, select, sequence, unit, use
    from kyrios.channel import Channel, open_channel
    from kyrios.data import open_data
    from kyrios.engine import open_engine
    from kyrios.extension import UnitCall
    from kyrios.flows import Flow, load_flow
    from kyrios.graph import Graph, Task
    from kyrios.history import open_history
    from kyrios.run import Run, TaskRun, get_run, runs
    from kyrios.state import Event, State
    from kyrios.ticks import Tick, checkpointed, memory, tick
    from kyrios.uses import uses_dataset, uses_package

__all__ = [
    "BackendUnavailable",
    "BadInput",
    "Channel",
    "ChannelFull",
    "ConfigError",
    "Conflict",
    "Event",
    "Flow",
    "FlowInvalid",
    "Graph",
    "IllegalTransition",
    "KyriosError",
    "MissingExtra",
    "NotAllowed",
    "NotFound",
    "Problem",
    "Run",
    "RunNotFound",
    "State",
    "Task",
    "TaskRun",
    "Tick",
    "UnitCall",
    "UnitFailed",
    "UnknownBackend",
    "branch",
    "checkpointed",
    "flow",
    "gate",
    "get_run",
    "load_flow",
    "memory",
    "open_channel",
    "open_data",
    "open_engine",
    "open_history",
    "parallel",
    "runs",
    "select",
    "sequence",
    "tick",
    "unit",
    "use",
    "uses_dataset",
    "uses_package",
]

_LATER = {
    "Channel": "channel",
    "Event": "state",
    "Flow": "flows",
    "Graph": "graph",
    "Run": "run",
    "State": "state",
    "Task": "graph",
    "TaskRun": "run",
    "Tick": "ticks",
    "UnitCall": "extension",
    **dict.fromkeys(("branch", "flow", "gate", "parallel", "select", "sequence", "unit", "use"), "authoring"),
    "checkpointed": "ticks",
    "get_run": "run",
    "load_flow": "flows",
    "memory": "ticks",
    "open_channel": "channel",
    "open_data": "data",
    "open_engine": "engine",
    "open_history": "history",
    "runs": "run",
    "tick": "ticks",
    "uses_dataset": "uses",
    "uses_package": "uses",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'kyrios' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"kyrios.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
