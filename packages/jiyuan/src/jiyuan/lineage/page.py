"""A trace as one page, and as a piece of a notebook: no script, no other file, light and dark."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jiyuan.lineage.tracing import Trace

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
:target { background: #fc03; }
"""


def page(trace: Trace) -> str:
    """Return the page of `trace`."""
    title = escape(f"{trace.lineage['name']} {trace.run_id}")
    record = escape(json.dumps(trace.to_dict(), indent=2, ensure_ascii=False))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>\n<h1>{title}</h1>\n'
        f"{fragment(trace)}\n<details><summary>The whole record</summary><pre><code>{record}</code></pre></details>\n"
        "</body></html>\n"
    )


def fragment(trace: Trace) -> str:
    """Return tables with links between them: from an output back to what gave it, and forward."""
    from jiyuan.lineage.drawing import live
    from jiyuan.lineage.tracing import label

    record = trace.lineage
    environment = record["environment"]
    parts = [
        _table(
            "Run",
            ("", ""),
            [
                ("run", _code(record["run_id"])),
                ("state", escape(record["state"])),
                ("when", escape(f"{record['started']} to {record['ended'] or 'now'}")),
                ("where", escape(f"{record['host']}, engine {record['engine']}")),
                ("by", escape(record.get("user", "-"))),
                ("flow", _code(record["flow"] or "-")),
                ("environment", f"{_code(environment['digest'])} Python {escape(environment['python'])}"),
                *((("takes from", _code(run))) for run in trace.earlier),
                *((("goes on in", _code(run))) for run in trace.later),
            ],
        ),
        _table(
            "Parameters",
            ("name", "value"),
            [(escape(k), _code(json.dumps(v, ensure_ascii=False))) for k, v in record["parameters"]["values"].items()],
        ),
        _table("Live parameters", ("name", "versions"), [(escape(name), escape(text)) for name, text in live(record)]),
        _table(
            "Packages",
            ("package", "digest", "asked for as", "runs that used it"),
            [
                (escape(name := label("package", p)), _code(p["digest"]), _code(p["ref"]), _shared(trace, name))
                for p in record["packages"]
            ],
        ),
        _table(
            "Data sets",
            ("version", "rows", "first", "last", "runs that used it"),
            [
                (
                    escape(name := label("dataset", d)),
                    *(_cell(d[k]) for k in ("rows", "first", "last")),
                    _shared(trace, name),
                )
                for d in record["datasets"]
            ],
        ),
        _table("Units", ("unit", "state", "seconds", "takes", "gives", "feeds"), list(_units(record))),
    ]
    return "\n".join(part for part in parts if part)


def _units(record: Any) -> Iterable[tuple[str, ...]]:
    feeds: dict[str, list[str]] = {}
    for task in record["tasks"]:
        for source in task["inputs"].values():
            feeds.setdefault(source.partition(".")[0], []).append(task["unit"])
    for task in record["tasks"]:
        unit = escape(task["unit"], quote=True)
        takes = ", ".join(_link(s.partition(".")[0], s) for s in task["inputs"].values())
        gives = "<br>".join(
            f"{escape(o['name'])}: {o['rows']:,} rows {_code(o['digest'][:19] + '…')}" for o in task["outputs"]
        )
        after = ", ".join(_link(name, name) for name in dict.fromkeys(feeds.get(task["unit"], [])))
        seconds = "-" if task["seconds"] is None else f"{task['seconds']:.3f}"
        yield f'<span id="unit-{unit}">{unit}</span>', escape(task["state"]), seconds, takes, gives, after


def _link(unit: str, text: str) -> str:
    return f'<a href="#unit-{escape(unit, quote=True)}">{escape(text)}</a>'


def _shared(trace: Trace, name: str) -> str:
    return _cell(trace.shared.get(name))


def _cell(value: Any) -> str:
    return "-" if value is None else escape(f"{value:,}" if isinstance(value, int) else str(value))


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    head = f"<tr>{''.join(f'<th>{c}</th>' for c in columns)}</tr>" if any(columns) else ""
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<h2>{title}</h2>\n<table>{head}\n{body}</table>"
