"""Python units of the flow retry."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa


def shaky(*, mark: str) -> pa.Table:
    """Return a row, at the second try of a run: the first one leaves a mark and fails."""
    seen = Path(mark, "shaky-was-here") if mark else None
    if seen is not None and not seen.exists():
        seen.touch()
        raise ConnectionError("the source does not answer yet")
    return pa.table({"row": [1]})


def dead() -> pa.Table:
    """Fail: the source is gone."""
    raise ConnectionError("the source is gone")


def spare() -> pa.Table:
    """Return a row from another source."""
    return pa.table({"row": [2]})


def both(shaky: pa.Table, feed: pa.Table) -> pa.Table:
    """Return the rows of both."""
    return pa.concat_tables([shaky, feed])
