"""Trace a run back to what gave it, and a data set or package forward to what it gave."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jiyuan._house.errors import nearest
from jiyuan.errors import BadInput, NotFound
from jiyuan.lineage.index import Index
from jiyuan.lineage.records import Source, earlier, sources


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Trace:
    """Where the results of one run come from, and where they went.

    Parameters
    ----------
    lineage
        The run's own record, after ``docs/reference/lineage.schema.json``.
    earlier
        Runs that it took outputs from.
    later
        Runs that took outputs from it, and others of the same trace.
    shared
        How many runs in all used each of its data sets and packages, such as ``{"daily@v12": 3}``.
    """

    lineage: Mapping[str, Any]
    earlier: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    shared: Mapping[str, int] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """The run."""
        return str(self.lineage["run_id"])

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        links = {"earlier": list(self.earlier), "later": list(self.later), "shared": dict(self.shared)}
        return {"lineage": dict(self.lineage), "links": links}

    def tree(self) -> str:
        """Return it as text: a tree of what gave the results, then of the units."""
        from jiyuan.lineage.drawing import tree

        return tree(self)

    def mermaid(self) -> str:
        """Return it as a Mermaid graph, from data and packages to the tables."""
        from jiyuan.lineage.drawing import mermaid

        return mermaid(self)

    def html(self) -> str:
        """Return it as one page that needs no other file."""
        from jiyuan.lineage.page import page

        return page(self)

    def _repr_html_(self) -> str:
        from jiyuan.lineage.page import fragment

        return fragment(self)

    def __str__(self) -> str:
        return self.tree()


@dataclass(frozen=True)
class Use:
    """One run that used a data set or a package.

    Parameters
    ----------
    version, digest
        What of it; the digest is empty where none was recorded.
    rows
        Rows that it read, where that was recorded.
    """

    run_id: str
    kind: str
    name: str
    state: str
    started: str | None
    version: str
    digest: str
    rows: int | None


def trace(run: str | Any) -> Trace:
    """Return where the results of a run come from.

    Parameters
    ----------
    run
        Its id, the beginning or the end of its id, or the run itself, of Kyrios or Exia.

    Raises
    ------
    NotFound
        If there is no such run.
    BadInput
        If several begin, or end, so.

    Examples
    --------
    >>> import jiyuan as jy
    >>> with jy.run("experiment", params={"window": 20}) as run:
    ...     run.log_dataset("daily", "12")
    >>> found = jy.trace(run)
    >>> found.lineage["parameters"]["values"]
    {'window': 20}
    """
    asked = run if isinstance(run, str) else str(getattr(run, "run_id", None) or getattr(run, "id", ""))
    where = sources()
    with Index() as index:
        index.follow(where)
        run_id = asked if _UUID.fullmatch(asked) else full_id(index, asked)
        record = _record(where, run_id)
        if record is None:
            raise NotFound(f"there is no run {asked!r}", hint="kyrios runs list, or exia runs list")
        shared = {
            f"{use['name']}@{_version(kind, use['version'])}": index.count(kind, use["name"], use["version"])
            for kind in ("dataset", "package")
            for use in record[f"{kind}s"]
        }
        later = [found["run_id"] for found in index.users("run", run_id)]
        later += [other for other in index.related(record["trace_id"]) if other != run_id]
    return Trace(record, tuple(_earlier(record, run_id)), tuple(dict.fromkeys(later)), shared)


def users_of(what: str) -> list[Use]:
    """Return the runs that used a data set or a package, newest first.

    Parameters
    ----------
    what
        ``"daily@v12"``, ``"momentum@1.2.0"``, ``"momentum@sha256:..."``, or a name alone for every version.

    Raises
    ------
    NotFound
        If no run used anything of this name.

    Examples
    --------
    >>> import jiyuan as jy
    >>> with jy.run("experiment") as run:
    ...     run.log_dataset("weekly", "3")
    >>> [use.name for use in jy.users_of("weekly@v3")]
    ['experiment']
    """
    name, at, version = what.partition("@")
    if not name or (at and not version):
        raise BadInput(f"{what!r} names no data set and no package", hint="daily@v12, or momentum@1.2.0")
    with Index() as index:
        index.follow(sources())
        known = {kind: index.names(kind) for kind in ("dataset", "package")}
        kinds = [kind for kind, names in known.items() if name in names]
        if not kinds:
            every = [*known["dataset"], *known["package"]]
            raise NotFound(f"no run used {name!r}", hint=nearest(name, every) or "kyrios.uses_dataset says it in a unit")
        rows = [
            row
            for kind in kinds
            for row in index.users(kind, name, re.sub(r"^v(?=\d+$)", "", version) if kind == "dataset" else version)
        ]
    rows.sort(key=lambda row: row["run_id"], reverse=True)
    return [Use(**{f: row[f] for f in Use.__dataclass_fields__}) for row in rows]


def full_id(index: Index, asked: str) -> str:
    """Return the one run that `asked` names.

    Raises
    ------
    NotFound, BadInput
        If there is none, or more than one.
    """
    found = index.ids(asked) if asked else []
    if asked in found:
        return asked
    if len(found) > 1:
        hint = f"write more of it, or the end of it, such as {found[0][-6:]}"
        raise BadInput(f"{len(found)} runs or more begin or end with {asked!r}", hint=hint)
    if not found:
        raise NotFound(f"there is no run {asked!r}", hint="kyrios runs list, or exia runs list")
    return found[0]


def label(kind: str, use: Mapping[str, Any]) -> str:
    """Return how a use is named: ``daily@v12`` or ``momentum@1.2.0``."""
    return f"{use['name']}@{_version(kind, use['version'])}"


def _version(kind: str, version: str) -> str:
    return f"v{version}" if kind == "dataset" and version.isdigit() else version


def _record(where: list[Source], run_id: str) -> Mapping[str, Any] | None:
    return next((record for source in where if (record := source.record(run_id)) is not None), None)


def _earlier(record: Mapping[str, Any], run_id: str) -> list[str]:
    if record["kind"] != "flow" or not any(task["state"] == "cached" for task in record["tasks"]):
        return []
    from kyrios.run import get_run

    return sorted({found for task in get_run(run_id).tasks if (found := earlier(task.reason))})
