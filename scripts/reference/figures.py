"""The tables of measured figures; what they hold comes from the JSON files alone."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from scripts.reference.markdown import NOTICE, page, table

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks" / "results.json"
FAULTS = ROOT / "tests" / "faults" / "figures.json"


def benchmarks_page() -> str:
    """Return the page of benchmark figures."""
    lines = [
        "# Benchmarks",
        "",
        NOTICE,
        "",
        "Measured by `make bench`, side by side with a peer in the same run, medians of the rounds. A figure that",
        "misses its bar is marked.",
        "",
    ]
    for library, records in _by_library(read(BENCHMARKS)):
        rows = [
            (r["figure"], number(r["value"], r["unit"]), _bar(r), r.get("peer") or "-",
             number(r["peer_value"], r["unit"]) if r.get("peer_value") is not None else "-", r["rounds"],
             r["date"], r["cpu"], f"`{r['commit']}`")
            for r in records
        ]  # fmt: skip
        columns = ["figure", "value", "bar", "peer", "peer's value", "rounds", "date", "processor", "commit"]
        lines += [f"## {library}", "", *table(columns, rows, right=["value", "peer's value", "rounds"])]
    return page(lines)


def faults_page() -> str:
    """Return the page of fault figures."""
    lines = [
        "# Faults",
        "",
        NOTICE,
        "",
        "Counted by `make faults`; [how to inject faults](../how-to/inject-faults.md) says what each does. *Lost* is",
        "how many faults left something that had been acknowledged gone, torn or doubled.",
        "",
    ]
    for library, records in _by_library(read(FAULTS)):
        rows = [(r["figure"], r["tried"], r["survived"], r["lost"], f"`{r['commit']}`") for r in records]
        columns = ["fault", "tried", "survived", "lost", "commit"]
        lines += [f"## {library}", "", *table(columns, rows, right=["tried", "survived", "lost"])]
    return page(lines)


def read(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file of figures, by library and id."""
    records: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return sorted(records, key=lambda r: (str(r["library"]), str(r["id"])))


def _by_library(records: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(str(k), list(v)) for k, v in groupby(records, key=lambda r: r["library"])]


def number(value: float, unit: str) -> str:
    """Return a figure as it is shown, to four digits."""
    return f"{value:,.4g} {unit}" if abs(value) < 1000 else f"{value:,.0f} {unit}"


def _bar(record: dict[str, Any]) -> str:
    bar = record.get("bar")
    if bar is None:
        return "-"
    low = record["better"] == "low"
    missed = record["value"] > bar if low else record["value"] < bar
    return f"{'at most' if low else 'at least'} {bar:,.4g}" + (" **missed**" if missed else "")
