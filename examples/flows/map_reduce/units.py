"""Python units of the flow map_reduce."""

from __future__ import annotations

import pyarrow as pa


def texts(*, texts: list[str]) -> pa.Table:
    """Return the texts, one a line."""
    return pa.table({"text": texts})


def words(texts: pa.Table, *, line: int) -> pa.Table:
    """Return how often each word stands in one line."""
    found = texts["text"][line].as_py().split()
    names = sorted(set(found))
    return pa.table({"word": names, "count": pa.array(map(found.count, names), pa.int64())})


def total(words: pa.Table) -> pa.Table:
    """Return how often each word stands in all lines."""
    return words.group_by("word").aggregate([("count", "sum")]).rename_columns(["word", "count"]).sort_by("word")
