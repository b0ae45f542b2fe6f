"""The five steps of the demo, one for each library; each returns one line about what it did."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from jiyuan.demo.place import Place, settings
from jiyuan.demo.report import write_report

THREADS, OBJECTS = 8, 4


@dataclass
class Result:
    """What the steps have made so far, for those that come after."""

    place: Place
    steps: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    run: Any = None
    dag_file: Path | None = None


@dataclass(frozen=True)
class Step:
    """One step: the library that does it, and the work."""

    library: str
    work: Callable[[Result], Mapping[str, Any]]


def load_data(result: Result) -> Mapping[str, Any]:
    """Ptolemy: collect the real daily bars, then answer as Tushare would."""
    import ptolemy as pt

    written = {w.dataset: w for w in pt.collect(sample_source(result.place))}
    year = pt.api().daily(ts_code="AAPL.US", start_date="20120101", end_date="20121231")
    adjusted = pt.pro_bar(ts_code="AAPL.US", adj="qfq", start_date="20120101", end_date="20121231")
    result.figures |= {"rows": written["daily"].rows, "data_version": written["daily"].version}
    shown = adjusted[["ts_code", "trade_date", "open", "high", "low", "close", "pct_chg", "vol"]].head(3)
    return {
        "said": f"{written['daily'].rows:,} real daily bars of 5 shares; "
        f"AAPL.US in 2012: {len(year)} days, newest first",
        "shown": _indented(shown.to_string(index=False)),
    }


def distribute_algorithm(result: Result) -> Mapping[str, Any]:
    """Veda: pack, register and push as the author; pull and verify in an empty home."""
    import veda

    place = result.place
    folder = place.out / "packages"
    folder.mkdir(exist_ok=True)
    with settings({"VEDA_HOME": str(place.home("author"))}):
        package = veda.pack(place.algorithm, folder)
        veda.register(package.path)
        veda.push(package.path)
    # The reader trusts the author's public key, as a person would who got it from the author.
    for public in (place.home("author") / "keys").glob("*.pub"):
        veda.trust("author", str(public))
    pulled = veda.pull("momentum@~=1.2")
    result.figures |= {"package": f"{pulled.name}@{pulled.version}", "package_digest": pulled.digest}
    return {
        "said": f"{pulled.name} {pulled.version} packed, pushed, pulled into an empty home, verified: "
        f"{pulled.digest[:19]}…"
    }


def serve_algorithm(result: Result) -> Mapping[str, Any]:
    """Exia: a pool of 4 objects answers 8 threads, while its version and a parameter change; model and run are kept."""
    import exia
    import exia.models
    import exia.monitor
    import exia.params

    panel = _closes()
    loaded = exia.load("momentum@~=1.2")

    current: Any = loaded.factory

    class Cautious(current):  # type: ignore[misc]
        """The next version: half of each weight, the rest is cash."""

        def signal(self, prices: Any) -> Any:
            return super().signal(prices) / 2

    exia.params.define("demo", loaded.factory, {"lookback": 126, "skip": 21, "top": 2}, why="the demo begins")
    with (
        exia.monitor.start(service="demo", every=0.5) as monitor,
        exia.pool(loaded.factory, max_size=OBJECTS, name="demo") as pool,
        exia.params.follow("demo", pool) as live,
    ):

        def signal(day: int) -> float:
            with pool.lease() as momentum:
                return float(momentum.signal(panel[: day + 1]).sum())

        begin = perf_counter()
        with ThreadPoolExecutor(THREADS) as threads:
            invested = threads.map(signal, range(200, len(panel)))
            swap = pool.swap(Cautious)  # the threads go on meanwhile
            calls = len(list(invested))
        seconds = perf_counter() - begin

        begin = perf_counter()
        live.wait(exia.params.set("demo", {"top": 1}, why="hold the best alone").version)
        with pool.lease() as momentum:
            top = momentum.top
        live_ms = (perf_counter() - begin) * 1e3

        lease_us = _lease_us(pool)
        stats = pool.stats()
        monitor.deliver()
    model = exia.models.save("demo", {"weights": loaded.factory().signal(panel)}, alias="champion", why="the demo")
    weights = exia.models.load("demo@champion")["weights"]
    with exia.run("demo", params={"threads": THREADS, "objects": OBJECTS, "model": model.ref}) as run:
        run.log_metric("calls_per_second", calls / seconds)
        run.log_metric("invested", float(weights.sum()))
    events = exia.monitor.query(where={"service.name": "demo", "event.kind": "event"}, limit=1_000)
    result.figures |= {
        "calls_per_second": round(calls / seconds),
        "lease_us": round(lease_us, 3),
        "swapped_to": stats.version,
        "swap_failed": stats.errors,
        "live_top": top,
        "live_ms": round(live_ms, 1),
        "model": model.ref,
        "weights": weights.tolist(),
    }
    return {
        "said": f"{calls:,} signals from {THREADS} threads on {OBJECTS} objects: {calls / seconds:,.0f} calls a "
        f"second, {lease_us:.2f} µs a lease; version and a parameter changed live, {stats.errors} calls failed",
        "shown": _indented(
            f"pool {stats.name}: {stats.max_size} at most, {stats.created} made, {stats.leases:,} leases, "
            f"{stats.in_use} in use, {stats.idle} idle, {stats.timeouts} time-outs\n"
            f"version {swap.old} -> {swap.new} under load; top 2 -> {top}, set durably and in the next lease "
            f"after {live_ms:.0f} ms; {len(events)} events recorded\n"
            f"model {model.ref} signed, saved and loaded again; run {run.id[-6:]} kept"
        ),
    }


def _closes() -> Any:
    """Return the adjusted closes of three shares, days by shares."""
    import numpy as np

    import ptolemy as pt

    series = [
        pt.pro_bar(ts_code=code, adj="hfq", precision=None).set_index("trade_date")["close"].sort_index()
        for code in ("AAPL.US", "IBM.US", "MSFT.US")
    ]
    return np.column_stack([one.to_numpy() for one in series])


def _lease_us(pool: Any) -> float:
    rounds = 20_000
    begin = perf_counter()
    for _ in range(rounds):
        with pool.lease():
            pass
    return (perf_counter() - begin) / rounds * 1e6


def run_flow(result: Result) -> Mapping[str, Any]:
    """Kyrios: run the flow here, and write it for Airflow."""
    import kyrios
    from kyrios.draw import text

    flow = kyrios.load_flow(result.place.flow)
    run = flow.run()
    (written,) = flow.render("airflow", result.place.out / "dags")
    dag_file = result.place.out / "dags" / written.name
    compile(dag_file.read_text(encoding="utf-8"), str(dag_file), "exec")
    result.run, result.dag_file = run, dag_file
    result.figures |= {"run_id": run.run_id, "flow_digest": flow.digest}
    return {
        "said": f"flow {flow.name} ran here in {len(run.tasks)} tasks; the same flow for Airflow: dags/{dag_file.name}",
        "shown": _indented(text(flow.graph)),
    }


def report_results(result: Result) -> Mapping[str, Any]:
    """Jiyuan: one page with the results and where they come from."""
    assert result.run is not None
    assert result.dag_file is not None
    import kyrios

    lineage = json.loads(bytes(result.run.data.get(f"{result.run.run_id}/lineage.json")))
    flow = kyrios.load_flow(result.place.flow)
    wanted = ("backtest.equity", "signals.targets", "report.yearly", "report.summary")
    outputs = {name: result.run.table(name).to_pydict() for name in wanted}
    page = result.place.out / "report.html"
    write_report(
        page,
        outputs=outputs,
        lineage=lineage,
        edges=flow.graph.edges,
        steps=result.steps,
        dag_file=str(result.dag_file.relative_to(result.place.out)),
    )
    summary = outputs["report.summary"]
    result.figures["results"] = {
        figure: {"strategy": s, "buy_and_hold": b}
        for figure, s, b in zip(summary["figure"], summary["strategy"], summary["buy_and_hold"], strict=True)
    }
    total = result.figures["results"]["total return"]
    return {
        "said": f"momentum {total['strategy']:+,.0f} %, buy-and-hold {total['buy_and_hold']:+,.0f} % "
        f"from {outputs['backtest.equity']['trade_date'][0]} to {outputs['backtest.equity']['trade_date'][-1]}"
    }


STEPS = (
    Step("ptolemy", load_data),
    Step("veda", distribute_algorithm),
    Step("exia", serve_algorithm),
    Step("kyrios", run_flow),
    Step("jiyuan", report_results),
)


def sample_source(place: Place) -> str:
    """Return the URL of the sample bars, with the mapping that makes catalogue columns of them."""
    from importlib.util import find_spec

    from jiyuan.errors import MissingExtra

    spec = find_spec("bokeh_sampledata")  # found, not imported: importing it parses all of its data
    if spec is None or spec.origin is None:
        raise MissingExtra("the demo needs the sample bars of bokeh_sampledata", hint="pip install 'jiyuan[demo]'")
    bars = Path(spec.origin).parent / "_data" / "stocks.csv.gz"
    return f"csv://{bars}?mapping={place.examples / 'data' / 'bokeh-stocks.toml'}"


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())
