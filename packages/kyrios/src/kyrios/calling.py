"""Call a unit: its function with its inputs and parameters, once, for each item of a map, or in a loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kyrios.code import load_function
from kyrios.conditions import holds
from kyrios.errors import KyriosError
from kyrios.graph import Task
from kyrios.references import fill
from kyrios.registry import code_folder

if TYPE_CHECKING:
    import pyarrow as pa

Check = Callable[[Task, Any], dict[str, "pa.Table"]]
Read = Callable[[str], "pa.Table"]

_OWN = "kyrios.operators:"


def prepared(task: Task, folder: Path) -> tuple[Callable[..., Any], str]:
    """Return the function of `task` and the digest of its code; an operator of ours is told of its task."""
    function, code = load_function(code_folder(folder, task.folder), task.call)
    if task.call.startswith(_OWN):
        return lambda **given: function(task, *_parted(task, given)), ""
    return function, code


def _parted(task: Task, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        {k: v for k, v in given.items() if k not in task.types},
        {k: v for k, v in given.items() if k in task.types},
    )


def call(
    task: Task,
    function: Callable[..., Any],
    inputs: Mapping[str, pa.Table],
    params: Mapping[str, Any],
    values: Mapping[str, Any],
    read: Read,
    checked: Check,
) -> dict[str, pa.Table]:
    """Call `function` as often as the task says and return its tables, held to the interface by `checked`.

    Parameters
    ----------
    params
        Values of the task's parameters.
    values
        Values of the flow's parameters, for maps and loops over them.
    """
    over = task.options.get("map")
    if not over:
        return _looped(task, function, inputs, params, values, checked)
    items = [(word, _items(text, values, read)) for word, text in over.items()]
    combined: list[dict[str, Any]] = [{}]
    for word, found in items:
        combined = [{**before, word: value} for before in combined for value in found]
    if not combined:
        raise KyriosError(f"there is nothing to map over in {', '.join(over.values())}")
    parts = [_looped(task, function, inputs, {**params, **item}, values, checked) for item in combined]
    import pyarrow as pa

    return {port: pa.concat_tables([part[port] for part in parts]) for port in task.outputs}


def _items(text: str, values: Mapping[str, Any], read: Read) -> list[Any]:
    if text.startswith("${"):
        found = fill(text, values)
        if not isinstance(found, list):
            raise KyriosError(f"{text} must be a list to be mapped over, not {found!r}")
        return found
    source, _, column = text.rpartition(".")
    return list(read(source)[column].to_pylist())


def _looped(
    task: Task,
    function: Callable[..., Any],
    inputs: Mapping[str, pa.Table],
    params: Mapping[str, Any],
    values: Mapping[str, Any],
    checked: Check,
) -> dict[str, pa.Table]:
    loop = task.options.get("loop")
    tables = checked(task, function(**inputs, **params))
    if not loop:
        return tables
    until = loop["until"]
    for _ in range(loop["times"] - 1):
        if until and _holds(until, values, lambda source, given=tables: given[source]):  # type: ignore[misc]
            break
        # What it gave under the name of an input is what it takes next.
        inputs = {port: tables.get(port, table) for port, table in inputs.items()}
        tables = checked(task, function(**inputs, **params))
    return tables


def is_met(condition: Mapping[str, Any], values: Mapping[str, Any], read: Read) -> bool:
    """Tell whether a task's condition holds."""
    return _holds(condition, values, read)


def _holds(condition: Mapping[str, Any], values: Mapping[str, Any], read: Read) -> bool:
    known = {name: fill(text, values) for name, text in condition["params"].items()}
    for name, cell in condition["cells"].items():
        source, _, column = cell.rpartition(".")
        table = read(source)
        if column not in table.column_names:
            raise KyriosError(f"{source} has no column {column!r}, which a condition reads")
        known[name] = table[column][0].as_py() if table.num_rows else None
    return holds(condition["test"], known)
