"""The lineage record of a run: what gave its results, after ``docs/reference/lineage.schema.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from kyrios.graph import Graph
from kyrios.params import version_of
from kyrios.run import Run

SCHEMA = "urn:jiyuan:lineage:1"


def lineage_of(run: Run, graph: Graph) -> dict[str, Any]:
    """Return the lineage record of `run` as it is now; its keys are in their fixed order."""
    head = run.head
    return {
        "schema": SCHEMA,
        "run_id": head.run_id,
        "trace_id": head.trace_id,
        "kind": "flow",
        "name": head.flow,
        "version": graph.version,
        "flow": head.digest,
        "engine": head.engine,
        "host": head.host,
        "state": run.state.value,
        "started": run.started,
        "ended": run.ended,
        "parameters": {"values": dict(head.params), "version": version_of(head.params)},
        "packages": _distinct(p for t in run.tasks for p in t.packages),
        "datasets": _distinct(d for t in run.tasks for d in t.datasets),
        "environment": dict(head.environment),
        "tasks": [
            {
                "unit": task.name,
                "state": task.state.value,
                "started": task.started,
                "ended": task.ended,
                "seconds": task.seconds,
                "code": task.code,
                "inputs": task.inputs,
                "outputs": task.outputs,
            }
            for task in run.tasks
        ],
    }


def _distinct(facts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    texts = {json.dumps(fact, sort_keys=True): dict(fact) for fact in facts}
    return [texts[key] for key in sorted(texts)]
