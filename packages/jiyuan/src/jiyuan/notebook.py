"""In a notebook: what the libraries return is shown as tables, and ``%trace`` shows where a result comes from.

A notebook that imports jiyuan shows the tables; ``%load_ext jiyuan`` adds ``%trace``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from html import escape
from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """Add ``%trace RUN``, and show tables."""
    from jiyuan.lineage import trace

    show_tables(shell)
    shell.register_magic_function(lambda line: trace(line.strip()), "line", "trace")


def show_tables(shell: Any = None) -> None:
    """Tell the running notebook how the libraries' objects are shown; nothing where none runs."""
    if shell is None:
        shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None:
        return
    formatter = shell.display_formatter.formatters["text/html"]
    for (module, name), show in _SHOWN.items():  # by name: nothing is imported for it
        formatter.for_type_by_name(module, name, show)


def table(rows: Sequence[Mapping[str, Any]], title: str = "") -> str:
    """Return rows as an HTML table; the keys of the first are its columns."""
    columns = list(rows[0]) if rows else []
    head = "".join(f"<th>{escape(str(c))}</th>" for c in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(row.get(c))}</td>' for c in columns)}</tr>" for row in rows)
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _pulled(found: Any) -> str:
    return table(_facts(asdict(found)), f"{found.name}@{found.version}")


def _pool(pool: Any) -> str:
    return table(_facts(asdict(pool.stats())), f"pool {pool.stats().name}")


def _flow_run(run: Any) -> str:
    rows = [
        {"unit": t.name, "state": t.state.value, "seconds": t.seconds, "rows": ", ".join(str(o["rows"]) for o in t.outputs)}
        for t in run.tasks
    ]
    return table(rows, f"{run.head.flow} {run.run_id} {run.state.value}")


def _record(run: Any) -> str:
    facts = {"run": run.id, "name": run.name}
    for word in ("status", "started", "ended", "params", "metrics"):
        if hasattr(run, word):
            facts[word] = getattr(run, word)
    return table(_facts(facts), f"run {run.name}")


def _flow(flow: Any) -> str:
    rows = [
        {"unit": t.name, "is": f"{t.unit}@{t.version}", "takes": ", ".join(t.inputs.values()), "gives": ", ".join(t.outputs)}
        for t in flow.graph.tasks
    ]
    return table(rows, f"flow {flow.name} {flow.graph.version}")


def _facts(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"": name, "value": value} for name, value in facts.items()]


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        value = ", ".join(f"{k}={v}" for k, v in value.items())
    return "-" if value is None else escape(str(value))


_SHOWN: dict[tuple[str, str], Callable[[Any], str]] = {
    ("veda.fetch", "Pulled"): _pulled,
    ("veda.publish", "Pushed"): _pulled,
    ("exia.pooling.pool", "Pool"): _pool,
    ("exia.recording", "Run"): _record,
    ("exia.runs.port", "RunRecord"): _record,
    ("kyrios.run", "Run"): _flow_run,
    ("kyrios.flows", "Flow"): _flow,
}
