"""Compare two runs: their tables byte by byte, and what gave them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jiyuan.reproduction.evidence import Finding, digest_of, first_change, read

if TYPE_CHECKING:
    import pyarrow as pa


def differs(name: str, before: bytes, after: bytes, tolerance: float | None) -> str | None:
    """Return where the table `name` differs first, in one line; None if nowhere, or within `tolerance`."""
    if before == after:
        return None
    from kyrios.tables import from_bytes

    try:
        old = from_bytes(before)
    except Exception:
        at = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
        return f"{name}: byte {at:,} of {len(before):,} differs, and the table cannot be read any more"
    return _first(name, old, from_bytes(after), tolerance)


def changed_code(folder: Path) -> list[Finding]:
    """Return what of the flow in a gathered run is not what ran: its graph, and the code of each unit."""
    from kyrios import KyriosError, load_flow

    lineage = read(folder, "lineage.json")
    found = []
    try:
        graph = load_flow(folder / "flow").graph.canonical
    except KyriosError as exc:
        return [Finding("flow", f"the flow cannot be read: {exc}")]
    recorded = (folder / "graph.json").read_text(encoding="utf-8")
    if graph != recorded:
        change = first_change(json.loads(recorded), json.loads(graph))
        said = f"{change[0]} was {change[1]!r} and is {change[2]!r}" if change else "its text differs"
        found.append(Finding("flow", f"the flow has changed since the run: {said}"))
    tasks = {task["name"]: task for task in json.loads(recorded)["tasks"]}
    seen = set()
    for task in lineage["tasks"]:
        path = _module(folder, tasks[task["unit"]])
        if path is None or not task["code"] or path in seen:
            continue
        if digest_of(path.read_bytes()) != task["code"]:
            seen.add(path)
            name = path.relative_to(folder).as_posix()
            found.append(Finding("code", f"{name}, which holds unit {task['unit']}, has changed since the run"))
    return found


def causes(before: Mapping[str, Any], after: Mapping[str, Any], upstream: set[str]) -> list[Finding]:
    """Return what differs between what gave two runs, the likelier cause of another result first.

    Parameters
    ----------
    before, after
        Lineage records.
    upstream
        The unit whose output differs, and all before it.
    """
    found = []
    codes = {task["unit"]: task["code"] for task in after["tasks"]}
    for task in before["tasks"]:
        if task["unit"] in upstream and codes.get(task["unit"]) not in (None, task["code"]):
            found.append(Finding("code", f"the code of unit {task['unit']} is another than in the run"))
    if before["flow"] != after["flow"]:
        found.append(Finding("flow", "the flow is another than in the run"))
    if change := first_change(before["parameters"]["values"], after["parameters"]["values"]):
        found.append(Finding("parameter", f"{change[0]} was {change[1]!r} and is {change[2]!r}"))
    found += _uses("package", before["packages"], after["packages"])
    found += _uses("data", before["datasets"], after["datasets"])
    return [*found, *environment(before["environment"], after["environment"])]


def environment(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Finding]:
    """Return how two environments differ: Python and distributions first, then the processor."""
    found = []
    for word in ("python", "platform"):
        if before[word] != after[word]:
            found.append(Finding("environment", f"{word} was {before[word]} and is {after[word]}"))
    old, new = before.get("distributions", {}), after.get("distributions", {})
    found += [
        Finding("environment", f"{name} was {old.get(name, 'not there')} and is {new.get(name, 'not there')}")
        for name in sorted({*old, *new})
        if old and old.get(name) != new.get(name)
    ]
    if "cpu" in before and before["cpu"] != after.get("cpu"):
        gone = sorted({*before["cpu"]} - {*after.get("cpu", ())})
        come = sorted({*after.get("cpu", ())} - {*before["cpu"]})
        parts = [f"lacks {', '.join(gone)}"] * bool(gone) + [f"has {', '.join(come)}"] * bool(come)
        found.append(Finding("cpu", f"this processor {' and '.join(parts)}: libraries may add in another order"))
    return found


def upstream_of(tasks: list[Mapping[str, Any]], unit: str) -> set[str]:
    """Return `unit` and all units before it."""
    inputs = {t["unit"]: {s.partition(".")[0] for s in t["inputs"].values()} for t in tasks}
    found, todo = {unit}, [unit]
    while todo:
        for before in inputs.get(todo.pop(), set()) - found:
            found.add(before)
            todo.append(before)
    return found


def _uses(what: str, before: list[Mapping[str, Any]], after: list[Mapping[str, Any]]) -> list[Finding]:
    said = []
    words = ("version", "digest") if what == "package" else ("version", "rows", "first", "last", "digest")
    new = {use["name"]: use for use in after}
    for use in before:
        other = new.get(use["name"])
        if other is None:
            said.append(Finding(what, f"{use['name']} was used in the run and is not now"))
            continue
        word = next((w for w in words if use.get(w) != other.get(w)), None)
        if word:
            said.append(Finding(what, f"{use['name']}: {word} was {use.get(word)} and is {other.get(word)}"))
    old = {use["name"] for use in before}
    return said + [Finding(what, f"{name} is used now and was not in the run") for name in new if name not in old]


def _first(name: str, old: pa.Table, new: pa.Table, tolerance: float | None) -> str | None:
    if old.column_names != new.column_names:
        return f"{name}: its columns were {', '.join(old.column_names)} and are {', '.join(new.column_names)}"
    for column in old.column_names:
        if old[column].type != new[column].type:
            return f"{name}: column {column} was of type {old[column].type} and is of {new[column].type}"
    if old.num_rows != new.num_rows:
        return f"{name}: it had {old.num_rows:,} rows and has {new.num_rows:,}"
    first: tuple[int, str, Any, Any] | None = None
    for column in old.column_names:
        for row, (a, b) in enumerate(zip(old[column].to_pylist(), new[column].to_pylist(), strict=True)):
            if first is not None and row >= first[0]:
                break
            if a != b and not (a != a and b != b) and not _near(a, b, tolerance):
                first = row, column, a, b
                break
    if first is None:
        return None if tolerance is not None else f"{name}: the values are equal, and how they are stored is not"
    row, column, a, b = first
    return f"{name}: row {row:,} of {old.num_rows:,}, column {column}, was {a!r} and is {b!r}"


def _near(a: Any, b: Any, tolerance: float | None) -> bool:
    if tolerance is None or not isinstance(a, float) or not isinstance(b, float):
        return False
    return abs(a - b) <= tolerance * max(abs(a), abs(b))


def _module(folder: Path, task: Mapping[str, Any]) -> Path | None:
    """Return the file beside the flow that holds a unit's function; None if an installed module does."""
    from kyrios.registry import REGISTRY

    where = task["folder"]
    base = folder / "units" / where.removeprefix(REGISTRY) if where.startswith(REGISTRY) else folder / "flow" / where
    path = base / f"{task['call'].partition(':')[0].replace('.', '/')}.py"
    return path if path.is_file() else None
