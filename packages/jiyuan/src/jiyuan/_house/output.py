"""What a command prints: stdout is the result, stderr is everything else."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO


def print_record(record: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one record: ``key  value`` lines, or a JSON object."""
    if as_json:
        print(json_text(record))
        return
    width = max((display_width(k) for k in record), default=0)
    for key, value in record.items():
        print(f"{pad(key, width)}  {_cell(value)}".rstrip())


def print_records(records: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print records: an aligned table of `columns`, or a JSON array with all keys."""
    rows = list(records)
    if as_json:
        print(json_text(rows))
        return
    cells = [[_cell(row.get(c)) for c in columns] for row in rows]
    widths = [max(display_width(line[i]) for line in [list(columns), *cells]) for i in range(len(columns))]
    for line in ([c.upper() for c in columns], *cells):
        print("  ".join(pad(text, width) for text, width in zip(line, widths, strict=True)).rstrip())


def json_text(value: Any) -> str:
    """Return `value` as JSON with its keys in their own order; what JSON lacks becomes text."""
    try:
        return json.dumps(value, ensure_ascii=False, indent=2, default=_plain, allow_nan=False)
    except ValueError:  # JSON has no NaN and no infinity: what is not there is null
        return json_text(json.loads(json.dumps(value, default=_plain), parse_constant=lambda _: None))


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Colour `text` for a terminal; plain in a pipe, and always plain under ``NO_COLOR``."""
    stream = stream or sys.stdout
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def display_width(text: str) -> int:
    """Return the columns that `text` takes on a terminal; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def pad(text: str, width: int) -> str:
    """Fill `text` with spaces up to `width` columns."""
    return text + " " * (width - display_width(text))


_COLOURS = {"red": 31, "green": 32, "yellow": 33, "dim": 2, "bold": 1}


def _plain(value: Any) -> Any:
    # A NumPy scalar stays a number.
    return value.item() if hasattr(value, "item") and not getattr(value, "shape", ()) else str(value)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(v) for v in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{k}={_cell(v)}" for k, v in value.items())
    # A control character in data must not drive the reader's terminal.
    return "".join(c if c.isprintable() else "�" for c in str(value))
