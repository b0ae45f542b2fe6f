"""What the page of the centre shows besides Ptolemy's own views; each is asked of its library anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
_STYLE = f'{STYLE}:root[data-theme="dark"]{{{DARK}}}:root[data-theme="light"]{{{LIGHT}}}.search input{{width:24rem}}'

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
            "flows": self._shelf.entries, "runs": lambda: _runs("", "", _LATEST), "pools": self._watch.rows,
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
        return "flows.html", {"entries": self._shelf.entries()}

    def flow(self, query: Query) -> Answer:
        from kyrios import get_run

        entry = self._shelf.entry(query["name"])
        if entry.flow is None:
            return "flow.html", {"entry": entry, "drawing": "", "runs": [], "run": None}
        graph = entry.flow.graph
        runs = [row for row in _runs(graph.flow, "flow", 100)[0] if row["name"] == graph.flow]
        same = [row["run_id"] for row in runs if row["flow"] == graph.digest]
        # Only a run of this very graph says how its units stand.
        run = query.get("run") if query.get("run") in same else next(iter(same), None)
        drawing = svg(graph, Shown.of(get_run(run)) if run else None, style=False)
        return "flow.html", {"entry": entry, "drawing": drawing, "runs": runs, "run": run}

    def runs(self, query: Query) -> Answer:
        text, kind = query.get("text", "").strip()[:200], query.get("kind", "")
        rows, counts = _runs(text, kind, MOST)
        return "runs.html", {"rows": rows, "counts": counts, "text": text, "kind": kind, "most": MOST}

    def run(self, query: Query) -> Answer:
        from jiyuan.lineage import trace
        from jiyuan.lineage.tracing import label

        found = trace(query["run"])
        used = [
            (label(kind, use), found.shared.get(label(kind, use), 0), kind, use)
            for kind in ("dataset", "package")
            for use in found.lineage[f"{kind}s"]
        ]
        flow = next(
            (e.name for e in self._shelf.entries() if e.flow and e.flow.graph.flow == found.lineage["name"]), ""
        )
        return "run.html", {"trace": found, "record": found.lineage, "used": used, "flow": flow}

    def pools(self, query: Query) -> Answer:
        return "pools.html", {"rows": self._watch.rows()}

    def packages(self, query: Query) -> Answer:
        newest = {release.name: release for release in _releases()}
        return "packages.html", {"rows": sorted(newest.values(), key=lambda r: r.name), "fleet": _fleet()}

    def package(self, query: Query) -> Answer:
        name = query["name"]
        found = [release for release in _releases() if release.name == name][::-1]
        if not found:
            raise NotFoundHere(f"there is no package {name[:100]!r}", hint="veda list")
        return "package.html", {"name": name, "rows": found, "fleet": [r for r in _fleet() if r.package == name]}


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


def _runs(text: str, kind: str, limit: int) -> tuple[list[dict[str, Any]], dict[str, int]]:
    with sources() as where, Index() as index:
        index.follow(where)
        return index.newest(text, kind, limit), index.counts()


def _releases() -> list[Any]:
    from veda.registry import open_registry

    with open_registry() as registry:
        return registry.releases()


def _fleet() -> list[Any]:
    from veda.rollout import fleet

    return fleet()
