"""``airflow``: one DAG file for Airflow 2.11 and 3; rendering it needs no Airflow."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kyrios._house.backends import BackendURL
from kyrios.engine.port import Engine, Target
from kyrios.graph import Graph, Task
from kyrios.warm.standby import PASSING


class AirflowEngine:
    """Each unit becomes a BashOperator that calls ``kyrios run-unit``."""

    name = "airflow"

    def __init__(self, url: BackendURL) -> None:
        """Take the bare word ``airflow``; nothing is connected to."""

    def render(self, graph: Graph, target: Target) -> Mapping[str, str]:
        """Return the DAG file; its tasks need Kyrios, the file itself does not."""
        from kyrios.engine.template import identifier, literal, render_template
        from kyrios.fusion import blocks

        begin = f"{target.command} run-unit --engine airflow --flow {shlex.quote(target.folder)} --unit "
        found = blocks(graph)
        fused = {block.name for block in found if block.fused}
        names = {block.name: identifier(block.name) for block in found}
        tasks, edges = [], []
        for block in found:
            first = block.tasks[0]
            lone = None if block.fused else first
            tasks.append({
                "name": names[block.name],
                "id": literal(block.name),
                "command": literal(plain(f"{begin}{block.name} --digest {graph.digest}")),
                "retries": literal(lone.retries) if lone and lone.retries else "",
                "retry_delay": _seconds(first.retry_delay),
                "backoff": literal(lone.backoff) if lone and lone.retries and lone.backoff != 1 else "",
                "longest_delay": _seconds(first.longest_delay),
                "timeout": _seconds(lone.timeout) if lone and lone.timeout else "",
                # Whoever comes after a group must ask how the one unit has ended that it needs.
                "judges": block.fused or first.when != "all_succeeded" or not fused.isdisjoint(block.upstream),
                "doc": literal(first.summary if lone else f"{len(block.tasks)} units: {_some(block.tasks)}"),
            })  # fmt: skip
            if block.upstream:
                above = [names[name] for name in block.upstream]
                edges.append((above[0] if len(above) == 1 else f"[{', '.join(above)}]", names[block.name]))
        environment = {key: plain(value) for key, value in sorted(target.environment.items())}
        waits = any(task["retries"] or task["timeout"] for task in tasks)
        text = render_template(
            "airflow.py.j2", graph, target, tasks=tasks, edges=edges, waits=waits, environment=environment,
            backs_off=any(task["backoff"] for task in tasks),
            # A command of several words may be a shell's or another machine's: nobody stands by there.
            warm=shlex.quote(target.command) == target.command, passing=PASSING,
        )  # fmt: skip
        return {f"{graph.flow}.py": text}


def _seconds(value: float) -> str:
    return repr(int(value) if value.is_integer() else value)


def _some(tasks: Sequence[Task]) -> str:
    names = [task.name for task in tasks]
    return ", ".join(names if len(names) <= 6 else [*names[:5], "...", names[-1]])


def plain(text: str) -> str:
    """Return `text` so that Airflow's own templates leave it as it is."""
    # Airflow renders operator fields with Jinja2 and takes one that ends with .sh for a file's name.
    if any(mark in text for mark in ("{{", "{%", "{#")) or text.endswith((".sh", ".bash")):
        return "{{ " + repr(text).replace("{", "\\x7b").replace("}", "\\x7d").replace("%", "\\x25") + " }}"
    return text


if TYPE_CHECKING:
    _fits: type[Engine] = AirflowEngine
