"""Small pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: Stands at the head of every written page.
NOTICE = "<!-- Written by scripts/docs from the code; edit that, then run scripts/docs. -->"

LIBRARIES = ("veda", "exia", "kyrios", "ptolemy", "jiyuan")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> list[str]:
    """Return the lines of a table; the columns named in `right` hold numbers."""
    lines = ["| " + " | ".join(columns) + " |"]
    lines.append("| " + " | ".join("---:" if c in right else "---" for c in columns) + " |")
    return [*lines, *("| " + " | ".join(cell(value) for value in row) + " |" for row in rows), ""]


def cell(value: object) -> str:
    """Return `value` on one line, without what would end a cell."""
    return " ".join(str(value).split()).replace("|", "\\|")


def code(text: object) -> str:
    """Return `text` as code, or a dash for nothing."""
    return f"`{text}`" if str(text) else "-"


def fence(text: str, language: str) -> list[str]:
    """Return a block of code."""
    return [f"```{language}", *text.rstrip("\n").split("\n"), "```", ""]


def page(*parts: Iterable[str]) -> str:
    """Join lines to a page with one empty line at most between two others."""
    lines: list[str] = []
    for part in parts:
        for line in part:
            if line or (lines and lines[-1]):
                lines.append(line)
    return "\n".join(lines).rstrip("\n") + "\n"
