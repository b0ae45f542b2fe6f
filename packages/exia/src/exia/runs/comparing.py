"""Put runs side by side: what they were given, what came out, and what they were made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from exia.runs.port import RunRecord

#: Of what a run was made of, what says why another gave other results; each with the part that is shown.
_MADE_OF = (("code", "digest"), ("environment", "digest"), ("python", None), ("git", "dirty"))
_USED = ("packages/", "datasets/", "parameters/")
_ORDER = (
    "status",
    "params",
    "metrics",
    "tags",
    "commit",
    "git",
    "code",
    "environment",
    "python",
    "packages",
    "datasets",
)


def side_by_side(records: Sequence[RunRecord]) -> Iterator[dict[str, Any]]:
    """Give a row for each value that one of `records` has: ``value`` (its name), each run's id, and ``differs``.

    ``differs`` is ``"yes"`` or ``"no"``; a value that a run lacks is None.
    """
    told = [dict(_values(record)) for record in records]
    for name in sorted({name for values in told for name in values}, key=_place):
        row = [values.get(name) for values in told]
        differs = "yes" if any(value != row[0] for value in row) else "no"
        yield {"value": name, **{r.id: v for r, v in zip(records, row, strict=True)}, "differs": differs}


def _place(name: str) -> tuple[int, str]:
    head = re.split("[./]", name)[0]
    return _ORDER.index(head) if head in _ORDER else len(_ORDER), name


def _values(record: RunRecord) -> Iterator[tuple[str, Any]]:
    yield "status", record.status
    for kind in ("params", "metrics", "tags"):
        yield from ((f"{kind}.{key}", value) for key, value in getattr(record, kind).items())
    yield "commit", record.commit
    for name, part in _MADE_OF:
        fact = record.facts.get(name)
        if fact is not None:
            yield (name, fact) if part is None else (f"{name}.{part}", fact.get(part))
    yield from ((name, fact) for name, fact in record.facts.items() if name.startswith(_USED))
