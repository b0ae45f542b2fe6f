"""Python units of the flow nested."""

from __future__ import annotations

import pyarrow as pa


def spread(left: pa.Table, right: pa.Table) -> pa.Table:
    """Return the difference of two values."""
    return pa.table({"spread": [right["value"][0].as_py() - left["value"][0].as_py()]})
