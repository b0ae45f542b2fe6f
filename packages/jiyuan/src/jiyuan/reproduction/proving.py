"""Reproduce: run again what a record names, and say whether every byte is the same, and if not, why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

from jiyuan.errors import BadInput
from jiyuan.reproduction.evidence import Finding, check, digest_of, gather, read

if TYPE_CHECKING:
    from kyrios import Run

#: Findings that make a second run pointless: it would not be the same run.
_FATAL = ("archive", "record", "package", "data", "parameter", "flow", "code")


@dataclass(frozen=True)
class Reproduction:
    """What came of running a run again.

    Parameters
    ----------
    equal
        Whether every table is what it was, byte by byte or within what the flow tolerates.
    outputs, tolerated
        How many tables were compared, and how many of them are equal only within the flow's tolerance.
    difference
        Where the first table differs that does; empty if none does.
    causes
        What is not as it was, the likelier cause first. Where all tables are equal, it did no harm.
    seconds
        How long the second run and the comparison took.
    """

    run_id: str
    flow: str
    equal: bool
    outputs: int
    tolerated: int
    difference: str
    causes: tuple[Finding, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return asdict(self)

    def __str__(self) -> str:
        if self.equal:
            within = f", {self.tolerated} of them within the flow's tolerance" if self.tolerated else ""
            lines = [f"equal: {self.outputs} tables of {self.flow} are the same byte by byte{within}"]
            return "\n".join([*lines, *(f"differs, and does no harm: {c.what}: {c.said}" for c in self.causes)])
        lines = [f"different: {self.difference}"] if self.difference else []
        lines += [f"{'cause' if number == 0 else 'also'}: {c.what}: {c.said}" for number, c in enumerate(self.causes)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def reproduce(run: str | Path | Any) -> Reproduction:
    """Run again what the record of a run names, and compare every table byte by byte.

    The packages are pulled by their digests, the data sets are read as they were at the recorded versions, the
    parameters are those of the record; a ``pylock.toml`` beside the flow is installed first. The flow runs on the
    local engine in homes of its own, whatever engine it ran on.

    Parameters
    ----------
    run
        Its id, part of its id, the run itself, or the path of an archive that `export` has made.

    Raises
    ------
    NotFound
        If there is no such run or archive, or its flow is gone.
    BadInput
        If the run did not succeed, or is no run of a flow.

    Examples
    --------
    >>> import jiyuan as jy
    >>> run = jy.flow("examples/flows/hello").run()
    >>> print(jy.reproduce(run))
    equal: 4 tables of hello are the same byte by byte
    """
    begin = perf_counter()
    with TemporaryDirectory(prefix="jiyuan-") as name:
        folder, work = Path(name) / "run", Path(name) / "work"
        folder.mkdir()
        work.mkdir()
        if isinstance(run, Path) or (isinstance(run, str) and (run.endswith(".zip") or Path(run).is_file())):
            from jiyuan.reproduction.archive import unpack

            faults = unpack(Path(run), folder)
        else:
            faults = gather(flow_run(run), folder)
        return _judged(folder, work, faults, begin)


def flow_run(run: str | Any) -> Run:
    """Return a run of a flow by its id, part of it, or itself.

    Raises
    ------
    NotFound
        If there is none.
    BadInput
        If it is a run of something else.
    """
    if not isinstance(run, str):
        if hasattr(run, "head"):
            found: Run = run
            return found
        run = str(getattr(run, "run_id", None) or getattr(run, "id", ""))
    from kyrios.errors import RunNotFound
    from kyrios.run import get_run

    from jiyuan.lineage.index import Index
    from jiyuan.lineage.records import sources
    from jiyuan.lineage.tracing import full_id

    try:
        return get_run(run)
    except RunNotFound:
        pass
    with Index() as index:
        index.follow(sources())
        full = full_id(index, run)
    try:
        return get_run(full)
    except RunNotFound as exc:
        raise BadInput(
            f"run {full} is no run of a flow; only flows can be run again", hint=f"jiyuan trace {full}"
        ) from exc


def _judged(folder: Path, work: Path, faults: list[Finding], begin: float) -> Reproduction:
    from jiyuan.reproduction.comparing import causes, changed_code, environment, upstream_of
    from jiyuan.reproduction.rerun import RerunFailed, rerun

    if any(fault.what in ("archive", "record", "flow") for fault in faults):
        return _refused(folder, faults, begin)
    lineage = read(folder, "lineage.json")
    faults += [fault for fault in check(folder) if not any(f.what == fault.what for f in faults)]
    local = changed_code(folder)
    if any(fault.what in _FATAL for fault in faults):
        return _refused(folder, [*faults, *local], begin)
    try:
        again, outputs = rerun(folder, lineage, work)
    except RerunFailed as exc:
        what = {"veda": "package", "ptolemy": "data", "environment": "environment"}.get(exc.library, "flow")
        later = [*faults, *local, *environment(lineage["environment"], _here())]
        return _refused(folder, [*later, Finding(what, f"the flow cannot be run again: {exc}")], begin)
    tolerance = read(folder, "graph.json").get("tolerance", {})
    unit, difference, count, tolerated = _compared(folder, outputs, lineage, tolerance)
    known = [*faults, *local] + [
        c for c in causes(lineage, again, upstream_of(lineage["tasks"], unit)) if not any(c.what == f.what for f in local)
    ]
    if difference and not known:
        known = [Finding("code", f"nothing that is recorded: unit {unit} may use the time, chance or a file elsewhere")]
    equal = not difference and not faults
    return Reproduction(
        lineage["run_id"], lineage["name"], equal, count, tolerated, difference, tuple(known), _since(begin)
    )


def _compared(
    folder: Path, outputs: Path, lineage: Mapping[str, Any], tolerance: Mapping[str, float]
) -> tuple[str, str, int, int]:
    """Return the unit of the first table that differs, where it does, and how many were compared and tolerated."""
    from jiyuan.reproduction.comparing import differs

    count = tolerated = 0
    for task in lineage["tasks"]:
        for output in task["outputs"]:
            count += 1
            name = f"{task['unit']}.{output['name']}"
            new = outputs / output["path"]
            if not new.is_file():
                return task["unit"], f"{name}: the second run did not give it", count, tolerated
            before, after = folder / output["path"], new.read_bytes()
            if not before.is_file():
                return task["unit"], f"{name}: the table of the run is gone", count, tolerated
            if found := differs(name, before.read_bytes(), after, tolerance.get(name)):
                return task["unit"], found, count, tolerated
            tolerated += digest_of(after) != digest_of(before.read_bytes())
    return "", "", count, tolerated


def _refused(folder: Path, faults: list[Finding], begin: float) -> Reproduction:
    try:
        lineage: Mapping[str, Any] = json.loads((folder / "lineage.json").read_bytes())
        run_id, name = str(lineage["run_id"]), str(lineage["name"])
    except (OSError, ValueError, KeyError, TypeError):
        run_id = name = "unknown"
    return Reproduction(run_id, name, False, 0, 0, "", tuple(faults), _since(begin))


def _here() -> Mapping[str, Any]:
    from kyrios.environment import this_environment

    return this_environment()


def _since(begin: float) -> float:
    return round(perf_counter() - begin, 3)
