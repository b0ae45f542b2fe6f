"""Outputs kept by what gave them: the content of the inputs, the code and the parameters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from kyrios.data import Data
from kyrios.errors import NotFound
from kyrios.graph import Task


def digest(data: Any) -> str:
    """Return ``sha256:`` and the digest of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def cache_key(task: Task, code: str, params: Mapping[str, Any], inputs: Mapping[str, str], values: Any) -> str:
    """Return the key of a task's outputs.

    Parameters
    ----------
    code
        Digest of its code.
    inputs
        Digest of the bytes of each input.
    values
        What else it reads: the flow's parameters where it is mapped over one of them.
    """
    facts = {
        "call": task.call,
        "code": code,
        "inputs": dict(inputs),
        "options": dict(task.options),
        "outputs": {port: columns and dict(columns) for port, columns in task.outputs.items()},
        "params": dict(params),
        "unit": [task.unit, task.version],
        "values": values,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def keep(data: Data, key: str, record: Mapping[str, Any], tables: Mapping[str, bytes]) -> None:
    """Keep the outputs of a task under `key`: each table once, under the digest of its content."""
    for name, content in tables.items():
        if not data.has(_object(name)):
            data.put(_object(name), content)
    data.put(f"cache/{key}.json", json.dumps(record, sort_keys=True).encode())


def find(data: Data, key: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return what is recorded under `key` and the bytes by digest; None if it is not there, or not whole."""
    try:
        record: dict[str, Any] = json.loads(bytes(data.get(f"cache/{key}.json")))
        tables = {output["digest"]: data.get(_object(output["digest"])) for output in record["outputs"]}
    except (NotFound, ValueError, KeyError, TypeError):
        return None
    return (record, tables) if all(digest(content) == name for name, content in tables.items()) else None


def _object(name: str) -> str:
    return f"objects/{name.removeprefix('sha256:')}"
