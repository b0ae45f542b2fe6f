"""On which real server, or which stand-in, each adapter is tested."""

from __future__ import annotations

from scripts.reference.markdown import LIBRARIES, code, table
from scripts.reference.settings import project_of
from tests.services.table import SERVICES

_BEGIN, _END = "<!-- servers, from the code: begin -->", "<!-- servers, from the code: end -->"

#: What a package source means to a reader.
_SOURCES = {"debian": "Debian", "bullseye": "Debian bullseye", "pypi": "PyPI"}


def servers() -> list[str]:
    """Return the table: each adapter that needs a server, and what its contract suite runs on."""
    rows = []
    for library in LIBRARIES:
        project = project_of(library)
        extras = project.get("optional-dependencies", {})
        for group, entries in sorted(project.get("entry-points", {}).items()):
            owner, _, port = group.partition(".")
            for word in entries if owner == library else ():
                found = [s for s in SERVICES if s.mark == word]
                if found or extras.get(word):
                    rows.append((library, port, code(word), *_tested(word)))
    return table(["library", "port", "backend", "tested on", "which is"], rows)


def _tested(word: str) -> tuple[str, str]:
    found = [s for s in SERVICES if s.mark == word]
    if not found:
        return "-", "no server here; not verified on one"
    kinds = [f"a stand-in for {s.stand_in_for}" if s.stand_in_for else "the real one" for s in found]
    return ", ".join(f"{s.package} ({_SOURCES[s.source]})" for s in found), ", ".join(kinds)


def filled(text: str) -> str:
    """Return the page `text` with the table between its two marks."""
    head, _, rest = text.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    assert end, f"the page lacks {_BEGIN} and {_END}"
    return "\n".join([head + _BEGIN, "", *servers(), _END + tail])
