"""The lineage record of a run: what gave its results, after ``docs/reference/lineage.schema.json``."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from exia.runs import RunRecord

SCHEMA = "urn:jiyuan:lineage:1"
_STATES = {"finished": "succeeded", "failed": "failed", "interrupted": "cancelled", "lost": "failed"}
_UNKNOWN = f"sha256:{'0' * 64}"  # a run of another machine may have been recorded without it


def lineage_of(run: RunRecord) -> dict[str, Any]:
    """Return the lineage record of `run` as it is now; its keys are in their fixed order.

    Packages, data sets and versions of live parameters are those of `Run.log_package`, `Run.log_dataset` and
    `Run.log_parameters`; ``rows`` is a number there, or the first and the last row's number. A pool that records
    itself is a session; of its packages it has those that were leased. A run that was made in a notebook is one of
    the kind ``notebook``.
    """
    facts = run.facts
    environment = facts.get("environment", {})
    return {
        "schema": SCHEMA,
        "run_id": run.id,
        "trace_id": run.tags.get("trace_id", run.id),
        "kind": next((kind for kind in ("session", "notebook") if kind in facts), "run"),
        "name": run.name,
        "flow": None,
        "engine": "exia",
        "host": run.host or "unknown",
        **({"user": str(facts["user"])} if facts.get("user") else {}),
        "state": _STATES.get(run.status, "running"),
        "started": run.started,
        "ended": run.ended,
        "parameters": _parameters(run.params, _told(facts, "parameters/")),
        "packages": [_package(name, told) for name, told in _told(facts, "packages/") if told.get("leases") != 0],
        "datasets": [_dataset(name, told) for name, told in _told(facts, "datasets/")],
        "environment": {
            "digest": environment.get("digest", _UNKNOWN),
            "python": facts.get("python", "unknown"),
            "platform": facts.get("platform", "unknown"),
        },
        "tasks": [],
    }


def _told(facts: dict[str, Any], prefix: str) -> list[tuple[str, dict[str, Any]]]:
    return [(key.removeprefix(prefix), facts[key]) for key in sorted(facts) if key.startswith(prefix)]


def _parameters(values: dict[str, Any], told: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    found: dict[str, Any] = {"values": dict(sorted(values.items())), "version": _version(values)}
    sets: dict[str, set[int]] = {}
    for name, one in told:
        sets.setdefault(one.get("name", name), set()).add(int(one["version"]))
    return {**found, "sets": {name: sorted(sets[name]) for name in sorted(sets)}} if sets else found


def _package(name: str, told: dict[str, Any]) -> dict[str, Any]:
    name, version = told.get("name", name), told.get("version") or "unknown"
    return {"ref": f"{name}@{version}", "name": name, "version": version, "digest": told.get("digest") or "unknown"}


def _dataset(name: str, told: dict[str, Any]) -> dict[str, Any]:
    rows = told.get("rows")
    if isinstance(rows, list) and len(rows) == 2 and all(isinstance(row, int) for row in rows):
        rows = max(0, rows[1] - rows[0])
    found = {
        "name": name,
        "version": told.get("version") or "unknown",
        "rows": rows if isinstance(rows, int) and rows >= 0 else None,
        "first": _text(told.get("first")),
        "last": _text(told.get("last")),
    }
    return {**found, "digest": told["digest"]} if isinstance(told.get("digest"), str) else found


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _version(values: dict[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
