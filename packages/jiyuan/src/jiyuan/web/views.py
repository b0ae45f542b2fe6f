"""What the page of the centre shows besides Ptolemy's own views; each is asked of its library anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from exia.pooling.showing import Watch
from jiyuan.lineage.index import Index
from jiyuan.lineage.records import sources
from jiyuan.web.words import CHINESE
from kyrios.picture import DARK, LIGHT, STYLE, Shown, svg
from kyrios.serving.shelf import Shelf
from ptolemy.errors import BadParam, PtolemyError
from ptolemy.errors import NotFound as NotFoundHere
from ptolemy.web.more import More

MOST = 1000  #: Runs on a page.
_LATEST = 15  # runs on the first page
#: The colours of a graph are its own: the page has others under the same names.
_STYLE = (
    STYLE.replace(":root", ".graph")
    + f':root[data-theme="dark"] .graph{{{DARK}}}:root[data-theme="light"] .graph{{{LIGHT}}}'
    + (files("jiyuan.web") / "centre.css").read_text(encoding="utf-8")
)

Query = Mapping[str, str]
Answer = tuple[str, dict[str, Any]]


def centre(flows: Sequence[Path], watch: Watch) -> More:
    """Return the views of a centre.

    Parameters
    ----------
    flows
        Folders of one flow, or of folders of flows.
    watch
        A look at the pools of all processes, held open as long as the page.
    """
    views = _Views(Shelf(flows), watch)
    return More(
        name="Jiyuan",
        first="/web/centre",
        links=(
            ("/web/centre", "Centre"), ("/web/flows", "Flows"), ("/web/runs", "Runs"), ("/web/pools", "Pools"),
            ("/web/packages", "Packages"),
        ),
        views={
            "/web/centre": partial(_told, views.centre),
            "/web/flows": partial(_told, views.flows),
            "/web/flows/{name}": partial(_told, views.flow),
            "/web/runs": partial(_told, views.runs),
            "/web/runs/{run}": partial(_told, views.run),
            "/web/pools": partial(_told, views.pools),
            "/web/pools/{name}": partial(_told, views.pool),
            "/web/packages": partial(_told, views.packages),
            "/web/packages/{name}": partial(_told, views.package),
        },
        templates=Path(str(files("jiyuan.web") / "templates")),
        words=CHINESE,
        style=_STYLE,
    )  # fmt: skip


class _Views:
    def __init__(self, shelf: Shelf, watch: Watch) -> None:
        self._shelf, self._watch = shelf, watch

    def centre(self, query: Query) -> Answer:
        from ptolemy.web import data

        asked: dict[str, Callable[[], Any]] = {
            "flows": self._shelf.entries, "runs": lambda: _runs(limit=_LATEST), "pools": self._watch.rows,
            "releases": _releases, "fleet": _fleet, "datasets": lambda: data.datasets(None),
        }  # fmt: skip
        found: dict[str, Any] = {}
        problems = {}
        for name, ask in asked.items():
            try:
                found[name] = ask()
            except Exception as exc:  # one backend that is down must not hide the others
                if not hasattr(exc, "exit_code"):
                    raise
                found[name], problems[name] = None, str(exc)
        return "centre.html", {**found, "problems": problems}

    def flows(self, query: Query) -> Answer:
        last: dict[str, dict[str, Any]] = {}
        for row in reversed(_runs(kind="flow", limit=MOST).rows):
            last[row["name"]] = row
        return "flows.html", {"entries": self._shelf.entries(), "last": last}

    def flow(self, query: Query) -> Answer:
        from kyrios import get_run

        entry = self._shelf.entry(query["name"])
        if entry.flow is None:
            return "flow.html", {"entry": entry, "drawing": "", "runs": [], "run": None}
        graph = entry.flow.graph
        runs = [row for row in _runs(graph.flow, "flow", limit=100).rows if row["name"] == graph.flow]
        same = [row["run_id"] for row in runs if row["flow"] == graph.digest]
        # Only a run of this very graph says how its units stand.
        run = query.get("run") if query.get("run") in same else next(iter(same), None)
        drawing = svg(graph, Shown.of(get_run(run)) if run else None, style=False)
        return "flow.html", {"entry": entry, "drawing": drawing, "runs": runs, "run": run}

    def runs(self, query: Query) -> Answer:
        text, kind, state = query.get("text", "").strip()[:200], query.get("kind", ""), query.get("state", "")
        runs = _runs(text, kind, state, limit=MOST)
        return "runs.html", {"runs": runs, "text": text, "kind": kind, "state": state, "most": MOST}

    def run(self, query: Query) -> Answer:
        from jiyuan.lineage import trace
        from jiyuan.lineage.tracing import label

        found = trace(query["run"])
        record = found.lineage
        used = [
            (label(kind, use), found.shared.get(label(kind, use), 0), kind, use)
            for kind in ("dataset", "package")
            for use in record[f"{kind}s"]
        ]
        flow = next((e.name for e in self._shelf.entries() if e.flow and e.flow.graph.flow == record["name"]), "")
        return "run.html", {"trace": found, "record": record, "used": used, "flow": flow}

    def pools(self, query: Query) -> Answer:
        return "pools.html", {"rows": self._watch.rows()}

    def pool(self, query: Query) -> Answer:
        rows = [row for row in self._watch.rows() if row["name"] == query["name"]]
        runs = [row for row in _runs(query["name"], limit=100).rows if row["name"] == query["name"]]
        if not rows and not runs:
            raise NotFoundHere(f"no process keeps a pool {query['name'][:100]!r} now", hint="exia top")
        return "pool.html", {"name": query["name"], "rows": rows, "runs": runs}

    def packages(self, query: Query) -> Answer:
        newest: dict[str, Any] = {}
        versions: dict[str, int] = {}
        for release in _releases():
            newest[release.name] = release
            versions[release.name] = versions.get(release.name, 0) + 1
        rows = sorted(newest.values(), key=lambda release: release.name)
        return "packages.html", {"rows": rows, "versions": versions, "used": _runs(limit=0).used, "fleet": _fleet()}

    def package(self, query: Query) -> Answer:
        name = query["name"]
        found = [release for release in _releases() if release.name == name][::-1]
        if not found:
            raise NotFoundHere(f"there is no package {name[:100]!r}", hint="veda list")
        with _index() as index:
            used = {release.version: index.count("package", name, release.version) for release in found}
        fleet = [row for row in _fleet() if row.package == name]
        return "package.html", {"name": name, "rows": found, "used": used, "fleet": fleet}


def _told(view: Callable[[Query], Answer], query: Query) -> Answer:
    """Ask a view; an error of any of the five libraries becomes one that the page tells."""
    try:
        return view(query)
    except PtolemyError:
        raise
    except Exception as exc:
        if not hasattr(exc, "exit_code"):
            raise
        kind = NotFoundHere if exc.exit_code == NotFoundHere.exit_code else BadParam
        raise kind(str(exc), hint=getattr(exc, "hint", None)) from exc


@dataclass(frozen=True)
class _Runs:
    """Runs that were asked for, how many there are in all by kind and state, and how many used what."""

    rows: list[dict[str, Any]]
    counts: dict[tuple[str, str], int]
    used: dict[str, int]

    def of(self, kind: str = "", state: str = "") -> int:
        """Return how many runs there are in all of a kind, in a state."""
        return sum(n for (k, s), n in self.counts.items() if kind in ("", k) and state in ("", s))

    @property
    def kinds(self) -> list[str]:
        return sorted({kind for kind, _ in self.counts})

    @property
    def states(self) -> list[str]:
        return sorted({state for _, state in self.counts})


def _runs(text: str = "", kind: str = "", state: str = "", *, limit: int) -> _Runs:
    with _index() as index:
        rows = index.newest(text, kind, state, limit)
        return _Runs([{**row, "seconds": _seconds(row)} for row in rows], index.counts(), index.used())


def _seconds(row: Mapping[str, Any]) -> float | None:
    if not row["started"] or not row["ended"]:
        return None
    return (datetime.fromisoformat(row["ended"]) - datetime.fromisoformat(row["started"])).total_seconds()


@contextmanager
def _index() -> Iterator[Index]:
    with sources() as where, Index() as index:
        index.follow(where)
        yield index


def _releases() -> list[Any]:
    from veda.registry import open_registry

    with open_registry() as registry:
        return registry.releases()


def _fleet() -> list[Any]:
    from veda.rollout import fleet

    return fleet()
