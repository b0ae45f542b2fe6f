"""The units of the flow hello: each takes and gives Arrow tables by name."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

import kyrios


def people(*, name: str, times: int) -> pa.Table:
    """Return `name` as often as `times` says, numbered."""
    kyrios.uses_dataset(name="people", version="1", rows=times)
    return pa.table({"name": [f"{name} {i + 1}" for i in range(times)]})


def greet(people: pa.Table) -> dict[str, pa.Table]:
    """Return a greeting for each of `people`."""
    texts = [f"hello, {name}" for name in people["name"].to_pylist()]
    print(f"{len(texts)} greetings")
    return {"greetings": people.append_column("text", pa.array(texts, pa.string()))}


def count(people: pa.Table) -> pa.Table:
    """Return how many letters each name has."""
    return people.append_column("letters", pc.utf8_length(people["name"]))


def report(greetings: pa.Table, letters: pa.Table) -> pa.Table:
    """Return greetings and letters side by side, in the order of the greetings."""
    return greetings.append_column("letters", letters["letters"])
