"""``airflow``: one DAG file for Airflow 2.11 and 3; rendering it needs no Airflow."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kyrios._house.backends import BackendURL
from kyrios.engine.port import Engine, Target
from kyrios.graph import Graph


class AirflowEngine:
    """Each unit becomes a BashOperator that calls ``kyrios run-unit``."""

    name = "airflow"

    def __init__(self, url: BackendURL) -> None:
        """Take the bare word ``airflow``; nothing is connected to."""

    def render(self, graph: Graph, target: Target) -> Mapping[str, str]:
        """Return the DAG file; its tasks need Kyrios, the file itself does not."""
        from kyrios.engine.template import render_template

        commands = {
            task.name: plain(
                f"{target.command} run-unit --engine airflow --flow {shlex.quote(target.folder)}"
                f" --unit {task.name} --digest {graph.digest}"
            )
            for task in graph.tasks
        }
        environment = {key: plain(value) for key, value in sorted(target.environment.items())}
        text = render_template("airflow.py.j2", graph, target, commands=commands, environment=environment)
        return {f"{graph.flow}.py": text}


def plain(text: str) -> str:
    """Return `text` so that Airflow's own templates leave it as it is."""
    # Airflow renders operator fields with Jinja2 and takes one that ends with .sh for a file's name.
    if any(mark in text for mark in ("{{", "{%", "{#")) or text.endswith((".sh", ".bash")):
        return "{{ " + repr(text).replace("{", "\\x7b").replace("}", "\\x7d").replace("%", "\\x25") + " }}"
    return text


if TYPE_CHECKING:
    _fits: type[Engine] = AirflowEngine
