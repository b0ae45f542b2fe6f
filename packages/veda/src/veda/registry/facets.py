"""What of a release is searched: its words, and its facts by kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from veda.registry.port import Release

KINDS = ("method", "parameter", "author", "uses")
_END_OF_NAME = re.compile(r"[^A-Za-z0-9._-]")


def facets(release: Release) -> dict[str, list[str]]:
    """Return the facts that a search asks for, by kind; names of distributions in their normal form."""
    facts = release.facts
    points: list[Mapping[str, Any]] = list(facts.get("entry_points") or [])
    return {
        "method": sorted({m for p in points for m in p.get("methods", {})}),
        "parameter": sorted({m for p in points for m in dict(p.get("parameters", {})).get("properties", {})}),
        "author": sorted({str(a) for a in facts.get("authors") or []}),
        "uses": sorted({used(r) for k in ("requires", "packages") for r in facts.get(k) or []}),
    }


def words(release: Release) -> str:
    """Return the text that a search by words looks at."""
    points: list[Mapping[str, Any]] = list(release.facts.get("entry_points") or [])
    summaries = [str(release.facts.get("summary") or "")]
    for point in points:
        summaries.append(str(point.get("summary") or ""))
        summaries += [str(m.get("summary") or "") for m in point.get("methods", {}).values()]
    return "\n".join([release.name, *summaries, *(v for kind in facets(release).values() for v in kind)])


def used(requirement: object) -> str:
    """Return the normal form of the name that a requirement begins with."""
    return re.sub(r"[-_.]+", "-", _END_OF_NAME.split(str(requirement).strip(), maxsplit=1)[0]).lower()


def terms(text: str) -> list[str]:
    """Return the words of a search, in lower case."""
    return text.lower().split()
