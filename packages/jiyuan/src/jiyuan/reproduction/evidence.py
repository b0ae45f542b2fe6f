"""Everything that a run was made of, gathered into one folder, which is also what an archive holds.

::

    lineage.json   the run's lineage record      graph.json   the flow's graph, whose digest the record names
    run.json       what was known when it began  environment.txt  every distribution and its version
    flow/          the flow's folder             units/       units that were built on the machine
    store/         a store of the packages       data/        each data set as of the version that was read
    outputs/       the tables that it gave
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jiyuan.errors import BadInput, JiyuanError, NotFound

if TYPE_CHECKING:
    from kyrios import Run

#: What no flow reads and no archive needs.
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


@dataclass(frozen=True)
class Finding:
    """Something that is not as the record says.

    Parameters
    ----------
    what
        ``output``, ``package``, ``parameter``, ``data``, ``flow``, ``code``, ``environment``, ``cpu``, ``record``,
        or ``archive``.
    said
        One line about it.
    """

    what: str
    said: str


def gather(run: Run, folder: Path) -> list[Finding]:
    """Write everything that `run` was made of into `folder`; return what is no longer as it was.

    Raises
    ------
    NotFound
        If the run has no lineage record, or its flow is gone.
    BadInput
        If the run did not succeed.
    """
    if run.state.value != "succeeded":
        raise BadInput(
            f"run {run.run_id} is {run.state.value}; only one that succeeded can be repeated",
            hint=f"kyrios run --resume {run.run_id}",
        )
    place = Path(run.head.folder)
    if not place.is_dir():
        raise NotFound(f"the flow of run {run.run_id} was in {place}, which is gone", hint="reproduce its archive")
    record = bytes(run.data.get(f"{run.run_id}/lineage.json"))
    lineage = json.loads(record)
    begun = {"run_id": run.run_id, "flow": run.head.digest, "params": dict(run.head.params)}
    distributions = sorted(lineage["environment"].get("distributions", {}).items())
    shutil.copytree(place, folder / "flow", ignore=_LEFT_OUT)
    _write(folder / "lineage.json", record)
    _write(folder / "graph.json", run.head.graph.encode())
    _write(folder / "run.json", json.dumps(begun, indent=1, sort_keys=True).encode())
    _write(folder / "environment.txt", "".join(f"{name}=={version}\n" for name, version in distributions).encode())
    for task in json.loads(run.head.graph)["tasks"]:
        _built_unit(task["folder"], folder)
    found = [*_outputs(run, lineage, folder), *_packages(lineage, folder)]
    return [*found, *_data(lineage, folder)]


def check(folder: Path) -> list[Finding]:
    """Hold the files of a gathered run against the digests that its lineage record names."""
    lineage, begun = read(folder, "lineage.json"), read(folder, "run.json")
    found = []
    graph = (folder / "graph.json").read_bytes()
    if digest_of(graph) != lineage["flow"] or begun["flow"] != lineage["flow"]:
        found.append(Finding("flow", f"the graph of the flow is not {lineage['flow'][:19]}…, which the record names"))
    values = lineage["parameters"]["values"]
    text = json.dumps(values, sort_keys=True, separators=(",", ":")).encode()
    if digest_of(text) != lineage["parameters"]["version"] or values != begun["params"]:
        changed = first_change(begun["params"], values)
        said = f"{changed[0]} was {changed[1]!r} when the run began and is {changed[2]!r} in its record" if changed else (
            "the values are not those whose digest the record names"
        )  # fmt: skip
        found.append(Finding("parameter", said))
    for task in lineage["tasks"]:
        for output in task["outputs"]:
            path = folder / output["path"]
            if not path.is_file():
                found.append(Finding("output", f"{task['unit']}.{output['name']} is gone"))
            elif digest_of(path.read_bytes()) != output["digest"]:
                said = f"{task['unit']}.{output['name']} was changed after the run: it is not {output['digest'][:19]}…"
                found.append(Finding("output", said))
    return found


def digest_of(data: bytes) -> str:
    """Return ``sha256:`` and the digest of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def read(folder: Path, name: str) -> dict[str, Any]:
    """Return a file of a gathered run as JSON; raise `BadInput` if it is none."""
    try:
        found: dict[str, Any] = json.loads((folder / name).read_bytes())
    except (OSError, ValueError) as exc:
        raise BadInput(f"{name} cannot be read: {exc}", hint="jiyuan export RUN makes the archive anew") from None
    return found


def first_change(before: Any, after: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """Return where two JSON values differ first, with both values; None if nowhere."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            inner = f"{path}.{key}" if path else str(key)
            if key not in before or key not in after:
                return inner, before.get(key), after.get(key)
            if found := first_change(before[key], after[key], inner):
                return found
        return None
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            name = one.get("name", number) if isinstance(one, Mapping) else number
            if found := first_change(one, other, f"{path}.{name}"):
                return found
        return None
    return None if before == after else (path, before, after)


def _built_unit(where: str, folder: Path) -> None:
    from kyrios.registry import REGISTRY
    from kyrios.settings import home

    if where.startswith(REGISTRY):
        name = where.removeprefix(REGISTRY)
        shutil.copytree(home() / "units" / name, folder / "units" / name, ignore=_LEFT_OUT, dirs_exist_ok=True)


def _outputs(run: Run, lineage: Mapping[str, Any], folder: Path) -> list[Finding]:
    from kyrios.errors import NotFound as Missing

    for task in lineage["tasks"]:
        for output in task["outputs"]:
            try:
                _write(folder / output["path"], bytes(run.data.get(f"{run.run_id}/{output['path']}")))
            except Missing:
                continue  # `check` says so
    return []


def _packages(lineage: Mapping[str, Any], folder: Path) -> list[Finding]:
    """Copy each package, found by its digest, into a store of its own."""
    from veda import VedaError, push, sync

    target = f"file:{folder / 'store'}"
    found = []
    for package in lineage["packages"]:
        try:
            sync([f"{package['name']}@{package['digest']}"], to=target)
        except VedaError as first:
            try:  # registered here and never pushed
                push(f"{package['name']}@{package['digest']}", target)
            except VedaError:
                found.append(Finding("package", f"{package['name']}@{package['version']}: {first}"))
    return found


def _data(lineage: Mapping[str, Any], folder: Path) -> list[Finding]:
    """Copy each data set that was read, as of the newest version that was."""
    from jiyuan.reproduction.snapshot import take

    newest: dict[str, Mapping[str, Any]] = {}
    for read_set in lineage["datasets"]:
        before = newest.get(read_set["name"])
        if before is None or _order(read_set["version"]) > _order(before["version"]):
            newest[read_set["name"]] = read_set
    try:
        return [Finding("data", said) for said in take(list(newest.values()), folder / "data")]
    except JiyuanError as exc:
        return [Finding("data", str(exc))]


def _order(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdigit() else (0, version)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
