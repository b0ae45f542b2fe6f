"""A run as a lineage record: what gave its results, each with a digest or a version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from exia.runs import RunRecord

SCHEMA = "urn:jiyuan:lineage:1"

_STATES = {
    "running": "running",
    "finished": "succeeded",
    "failed": "failed",
    "interrupted": "cancelled",
    "lost": "failed",
}


def lineage_of(record: RunRecord) -> dict[str, Any]:
    """Return `record` in the form that all libraries of the centre write and read: ``lineage.schema.json``.

    Packages and data sets are those that the run was told of by `Run.log_package` and `Run.log_dataset`.
    """
    values = dict(sorted(record.params.items()))
    return {
        "schema": SCHEMA,
        "run_id": record.id,
        "trace_id": record.tags.get("trace_id") or record.id,
        "kind": "run",
        "name": record.name,
        "flow": None,
        "engine": "exia",
        "host": record.host or "unknown",
        "state": _STATES[record.status],
        "started": record.started,
        "ended": record.ended,
        "parameters": {"values": values, "version": _digest(values)},
        "packages": [_package(name, facts) for name, facts in _given(record, "packages")],
        "datasets": [_dataset(name, facts) for name, facts in _given(record, "datasets")],
        "environment": {
            "digest": record.facts.get("environment", {}).get("digest") or _digest({}),
            "python": record.facts.get("python") or "unknown",
            "platform": record.facts.get("platform") or "unknown",
        },
        "tasks": [],
    }


def _given(record: RunRecord, kind: str) -> list[tuple[str, Mapping[str, Any]]]:
    prefix = f"{kind}/"
    return [(key.removeprefix(prefix), facts) for key, facts in sorted(record.facts.items()) if key.startswith(prefix)]


def _package(name: str, facts: Mapping[str, Any]) -> dict[str, str]:
    version = facts.get("version") or "unknown"
    return {"ref": f"{name}@{version}", "name": name, "version": version, "digest": facts.get("digest") or "unknown"}


def _dataset(name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: facts.get(key) for key in ("rows", "first", "last")}
    return {"name": name, "version": facts.get("version") or "unknown", **known}


def _digest(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
