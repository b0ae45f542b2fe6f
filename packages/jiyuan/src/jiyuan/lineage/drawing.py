"""A trace as a tree of text, and as a Mermaid graph."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jiyuan.lineage.tracing import Trace

Branch = tuple[str, Sequence["Branch"]]


def tree(trace: Trace) -> str:
    """Return `trace` as a tree; each line is one fact."""
    head, branches = branches_of(trace)
    return "\n".join([head, *_lines(branches, "")])


def branches_of(trace: Trace) -> tuple[str, list[Branch]]:
    """Return the first line, and what hangs below it."""
    from jiyuan.lineage.tracing import label

    record = trace.lineage
    version = f" {record['version']}" if record.get("version") else ""
    head = f"{record['kind']} {record['name']}{version}: run {record['run_id']} {record['state']}"
    parameters = record["parameters"]
    environment = record["environment"]
    branches: list[Branch] = [
        (f"when: {record['started']} to {record['ended'] or 'now'}, on {record['host']} by {_by(record)}", ()),
        (
            f"parameters {short(parameters['version'])}",
            [
                *((f"{k} = {json.dumps(v, ensure_ascii=False)}", ()) for k, v in parameters["values"].items()),
                *((f"live parameters {name} {versions}", ()) for name, versions in live(record)),
            ],
        ),
        ("packages", [(_package(trace, p), ()) for p in record["packages"]]),
        ("data sets", [(_dataset(trace, d), ()) for d in record["datasets"]]),
        (
            f"environment {short(environment['digest'])}",
            [
                (f"Python {environment['python']}, {environment['platform']}", ()),
                *([(f"{len(found)} distributions", ())] if (found := environment.get("distributions")) else []),
            ],
        ),
    ]
    if record["flow"]:
        branches.append((f"flow {short(record['flow'])}", ()))
    if record["tasks"]:
        branches.append(("units", [_task(task) for task in record["tasks"]]))
    links = [(f"took outputs from run {run}", ()) for run in trace.earlier]
    links += [(f"run {run} goes on from it", ()) for run in trace.later]
    links += [
        (f"{count - 1} other runs used {name}: jiyuan trace --uses {name}", ())
        for use in (*record["datasets"], *record["packages"])
        for name in [label("dataset" if use in record["datasets"] else "package", use)]
        if (count := trace.shared.get(name, 0)) > 1
    ]
    if links:
        branches.append(("links", links))
    return head, [branch for branch in branches if branch[1] or (" " in branch[0] and branch[0] != "data sets")]


def _by(record: Mapping[str, Any]) -> str:
    return f"{record['engine']}, {record['user']}" if record.get("user") else str(record["engine"])


def mermaid(trace: Trace) -> str:
    """Return `trace` as a Mermaid flowchart, from left to right."""
    from jiyuan.lineage.tracing import label

    record = trace.lineage
    lines = ["flowchart LR"]
    feeds: list[str] = []
    for kind, shape in (("dataset", ("[(", ")]")), ("package", ("{{", "}}"))):
        for number, use in enumerate(record[f"{kind}s"]):
            lines.append(f"  {kind}{number}{shape[0]}{_quoted(label(kind, use))}{shape[1]}")
            feeds.append(f"{kind}{number}")
    lines.append(f"  run([{_quoted(record['name'] + ' ' + record['run_id'])}])")
    for number, (name, versions) in enumerate(live(record)):
        lines.append(f"  parameters{number}[/{_quoted(f'{name} {versions}')}/]")
        feeds.append(f"parameters{number}")
    lines += [f"  {feed} --> run" for feed in feeds]
    names = {task["unit"]: f"unit{number}" for number, task in enumerate(record["tasks"])}
    for task in record["tasks"]:
        outputs = "".join(f"<br/>{o['name']} {short(o['digest'])}" for o in task["outputs"])
        lines.append(f"  {names[task['unit']]}[{_quoted(task['unit'] + outputs)}]")
        before = sorted({source.partition(".")[0] for source in task["inputs"].values()})
        lines += [f"  {names[b]} --> {names[task['unit']]}" for b in before if b in names]
        if not any(b in names for b in before):
            lines.append(f"  run --> {names[task['unit']]}")
    for number, run in enumerate(trace.earlier):
        lines.append(f"  earlier{number}([{_quoted('run ' + run)}]) --> run")
    for number, run in enumerate(trace.later):
        lines.append(f"  run --> later{number}([{_quoted('run ' + run)}])")
    return "\n".join(lines)


def live(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return which versions of which live parameters a run or session had, such as ``("limits", "v3, v4")``."""
    sets = record["parameters"].get("sets", {})
    return [(name, ", ".join(f"v{version}" for version in versions)) for name, versions in sets.items()]


def short(digest: str) -> str:
    """Return the beginning of a digest, enough to tell it from others."""
    return f"{digest[:19]}…" if digest.startswith("sha256:") else digest


def _lines(branches: Sequence[Branch], prefix: str) -> Iterator[str]:
    for number, (text, below) in enumerate(branches):
        last = number == len(branches) - 1
        yield f"{prefix}{'└── ' if last else '├── '}{_safe(text)}"
        yield from _lines(below, f"{prefix}{'    ' if last else '│   '}")


def _task(task: Mapping[str, Any]) -> Branch:
    seconds = "" if task["seconds"] is None else f" in {task['seconds']:.3f} s"
    code = f", code {short(task['code'])}" if task["code"] else ""
    below: list[Branch] = [(f"takes {source} as {port}", ()) for port, source in task["inputs"].items()]
    below += [
        (f"gives {task['unit']}.{o['name']}: {o['rows']:,} rows, {short(o['digest'])}", ()) for o in task["outputs"]
    ]
    return f"{task['unit']} {task['state']}{seconds}{code}", below


def _package(trace: Trace, use: Mapping[str, Any]) -> str:
    return f"{use['name']}@{use['version']} {short(use['digest'])}, asked for as {use['ref']}"


def _dataset(trace: Trace, use: Mapping[str, Any]) -> str:
    from jiyuan.lineage.tracing import label

    rows = "" if use["rows"] is None else f" {use['rows']:,} rows"
    days = f" {use['first']} to {use['last']}" if use["first"] else ""
    digest = f", {short(use['digest'])}" if use.get("digest") else ""
    return f"{label('dataset', use)}{rows}{days}{digest}"


def _quoted(text: str) -> str:
    safe = _safe(text).replace('"', "#quot;")
    return f'"{safe}"'


def _safe(text: str) -> str:
    # A control character in a name must not drive the reader's terminal.
    return "".join(c if c.isprintable() else "�" for c in text)
