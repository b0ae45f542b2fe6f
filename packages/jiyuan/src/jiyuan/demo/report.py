"""The demo's page: one HTML file that holds everything it shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jiyuan._house.files import write_durably
from jiyuan.demo.charts import Line, area_chart, graph_chart, line_chart, weights_chart


def write_report(
    path: Path,
    *,
    outputs: Mapping[str, Mapping[str, Sequence[Any]]],
    lineage: Mapping[str, Any],
    edges: Sequence[tuple[str, str]],
    steps: Sequence[Mapping[str, Any]],
    dag_file: str,
) -> None:
    """Write the page of one run of the momentum flow to `path`.

    Parameters
    ----------
    outputs
        The run's tables as columns: ``backtest.equity``, ``signals.targets``, ``report.yearly``
        and ``report.summary``.
    lineage
        The run's lineage record (``docs/reference/lineage.schema.json``).
    edges
        The flow's edges, from unit to unit.
    steps
        What each library did: ``library``, ``said`` and ``seconds``.
    dag_file
        Where the Airflow file of the same flow lies, as the page should show it.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("jiyuan.demo"), autoescape=True, undefined=StrictUndefined, trim_blocks=False
    )
    environment.filters["figure"] = _figure
    equity, targets = outputs["backtest.equity"], outputs["signals.targets"]
    dates = equity["trade_date"]
    curves = {"strategy": equity["strategy"], "market": equity["buy_and_hold"]}
    weights = [(name, values) for name, values in targets.items() if name != "trade_date"]
    tasks = [(t["unit"], t["state"], t["seconds"]) for t in lineage["tasks"]]
    page = environment.get_template("report.html.j2").render(
        title="Momentum over five US shares",
        first=_iso(dates[0]),
        last=_iso(dates[-1]),
        codes=[name for name, _ in weights],
        package=lineage["packages"][0],
        parameters=lineage["parameters"]["values"],
        summary=_rows(outputs["report.summary"]),
        yearly=_rows(outputs["report.yearly"]),
        equity_chart=Markup(line_chart(dates, [Line(k, k, v) for k, v in curves.items()], log=True)),
        drawdown_chart=Markup(area_chart(dates, [Line(k, k, _drawdown(v)) for k, v in curves.items()])),
        weights_chart=Markup(weights_chart(targets["trade_date"], weights)),
        graph_chart=Markup(graph_chart(tasks, edges)),
        seconds=sum(seconds for _, _, seconds in tasks),
        lineage=lineage,
        lineage_json=json.dumps(lineage, indent=2, ensure_ascii=False),
        steps=steps,
        dag_file=dag_file,
    )
    write_durably(path, page.encode())


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _drawdown(curve: Sequence[float]) -> list[float]:
    highest, falls = curve[0], []
    for value in curve:
        highest = max(highest, value)
        falls.append(100 * (value / highest - 1))
    return falls


def _figure(value: float, unit: str) -> str:
    return f"{value:,.1f} {unit}" if unit else f"{value:.2f}"


def _iso(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:]}"
