"""What is found in what is kept, and the page that shows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import ptolemy as pt
from ptolemy.catalogue import interface
from ptolemy.inspection import inspect
from ptolemy.journal import Journal
from ptolemy.report import coverage
from ptolemy.screening import screen

MAPPING = Path(__file__).parents[3] / "examples" / "data" / "bokeh-stocks.toml"
DAYS = ["20240102", "20240103", "20240104", "20240105", "20240108", "20240109", "20240110", "20240111", "20240112"]


def bars(prices: list[float], volumes: list[float] | None = None, code: str = "000001.SZ") -> pa.Table:
    known = interface("daily")
    rows = [
        {"ts_code": code, "trade_date": day, "open": p, "high": p * 1.01, "low": p * 0.99, "close": p,
         "vol": volumes[i] if volumes else 100.0 + i}
        for i, (day, p) in enumerate(zip(DAYS, prices, strict=False))
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=known.schema())


def kinds(table: pa.Table, before: pa.Table | None = None) -> dict[int, str]:
    return {fault.row: fault.kind for fault in screen(interface("daily"), table, before)}


def test_a_price_that_leaves_and_comes_back_is_a_spike_and_one_that_stays_is_none():
    assert kinds(bars([10, 10.1, 10, 14, 10.2, 10.1, 10, 10.1, 10])) == {3: "spike"}
    assert kinds(bars([10, 10.1, 10, 5.1, 5.2, 5.1, 5, 5.1, 5])) == {}  # a split
    assert kinds(bars([10, 10.1, 10, 1010, 10.2, 10.1, 10, 10.1, 10])) == {3: "unit"}


def test_the_newest_price_is_judged_when_the_next_day_is_there():
    assert kinds(bars([10, 10.1, 10, 10.1, 14])) == {}
    assert kinds(bars([10, 10.1, 10, 10.1, 14, 10.1])) == {4: "spike"}


def test_a_volume_in_shares_is_found_by_the_volumes_around_it():
    volumes = [100.0, 120, 90, 11000, 100, 130, 95, 110, 100]
    assert kinds(bars([10, 10.1, 10, 10.2, 10, 10.1, 10, 10.1, 10], volumes)) == {3: "unit"}
    burst = [100.0, 120, 90, 2000, 1500, 900, 400, 210, 100]
    assert kinds(bars([10, 10.1, 10, 10.2, 10, 10.1, 10, 10.1, 10], burst)) == {}


def test_new_rows_are_judged_beside_those_that_are_kept():
    kept = bars([10, 10.1, 10, 10.2, 10, 10.1])
    news = bars([10, 10.1, 10, 10.2, 10, 10.1, 10.2, 10.3, 10.1], [1] * 6 + [10100.0, 10200, 10150]).slice(6)

    assert kinds(news) == {}
    assert kinds(news, kept) == {0: "unit", 1: "unit", 2: "unit"}
    again = bars([10, 10.1, 10, 10.2, 10, 10.1, 10.1], [0, 0, 0, 0, 0, 105, 105]).slice(6)
    assert kinds(again, kept) == {0: "stale"}


def test_money_that_does_not_fit_the_price_is_a_wrong_unit():
    known = interface("daily")
    row = {"ts_code": "A.SH", "trade_date": "20240102", "open": 10.0, "high": 11.0, "low": 9.0, "close": 10.0}
    right, wrong = row | {"vol": 100.0, "amount": 100.0}, row | {"vol": 10000.0, "amount": 100.0}

    assert screen(known, pa.Table.from_pylist([right], schema=known.schema())) == []
    (fault,) = screen(known, pa.Table.from_pylist([wrong], schema=known.schema()))
    assert fault.kind == "unit"
    assert "outside the bar's range" in fault.why


def test_infinities_bad_days_and_days_without_a_session_are_found():
    known = interface("daily")
    row = {"ts_code": "A.SH", "trade_date": "20240102", "open": 10.0, "high": 11.0, "low": 9.0, "close": 10.0}
    rows = [
        row | {"amount": float("inf")}, row | {"trade_date": "20240230"}, row | {"trade_date": "20240106"},
        row | {"ts_code": None}, row | {"trade_date": "20240103"},
    ]  # fmt: skip

    faults = screen(known, pa.Table.from_pylist(rows, schema=known.schema()))

    assert [(f.row, f.kind) for f in faults] == [(0, "value"), (1, "date"), (2, "session"), (3, "missing")]


def test_rows_that_stand_out_are_set_aside_and_older_versions_keep_them(ptolemy: Callable[..., Any]):
    with pt.open_series() as series:
        series.upsert("daily", bars([10, 10.1, 10, 14, 10.2, 10.1, 10, 10.1, 10]), key=interface("daily").key)
    first = ptolemy("quality", "check", "--no-late", "--json")
    assert first.code == 1
    assert [(f["kind"], f["start"]) for f in json.loads(first.out)] == [("spike", "20240105")]

    ptolemy("quality", "check", "--quarantine", "--no-late")

    assert pt.api().daily().shape[0] == 8
    assert pt.api().daily(as_of=1).shape[0] == 9
    with Journal() as journal:
        (row,) = journal.quarantine()
    assert (row.kind, row.code, row.time) == ("spike", "000001.SZ", "20240105")


@pytest.fixture
def faulty(stocks: Path, ptolemy: Callable[..., Any], tmp_path: Path) -> Path:
    """Return a report of the real bars, with a gap and a spike put in."""
    pt.collect(f"csv://{stocks}?mapping={MAPPING}", "daily")
    with pt.open_series() as series:
        series.delete("daily", codes=["IBM.US"], start="20080602", end="20080630")
        spiked = series.read("daily", codes=["AAPL.US"], start="20120605", end="20120605").to_pylist()
        for name in ("open", "high", "low", "close"):
            spiked[0][name] *= 2
        table = pa.Table.from_pylist(spiked, schema=series.read("daily", codes=[]).schema)
        series.upsert("daily", table, key=interface("daily").key)
    done = ptolemy("quality", "report", "--out", "report.html", "--json")
    assert done.code == 0
    assert json.loads(done.out)["findings"] == 3  # and that it is late
    return tmp_path / "report.html"


def test_the_map_shows_what_share_of_a_months_sessions_is_there(faulty: Path):
    with pt.open_series() as series:
        codes, periods, share = coverage(series, interface("daily"))
        findings = inspect(series)

    assert codes == ["AAPL.US", "FB.US", "GOOG.US", "IBM.US", "MSFT.US"]
    assert share[codes.index("IBM.US"), periods.index("200806")] == 0
    assert share[codes.index("IBM.US"), periods.index("200807")] == 1
    assert share[codes.index("FB.US"), periods.index("201304") if "201304" in periods else -1] == 1
    gap = next(f for f in findings if f.kind == "gap")
    assert (gap.code, gap.start, gap.end, gap.rows) == ("IBM.US", "20080602", "20080630", 21)


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, faulty: Path, open_url: Callable[..., Any]) -> Any:
    return open_url(faulty.as_uri(), color_scheme=request.param)


@pytest.mark.chromium
def test_the_report_opens_without_a_sound_and_asks_no_other_host(page: Any):
    page.wait_for_load_state("networkidle")

    assert page.said == []
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
    heat = page.locator("svg.heat")
    assert heat.count() == 1
    assert heat.bounding_box()["height"] > 60
    assert heat.locator("rect.none").count() == 1
    assert heat.locator("rect.full").count() > 500
    assert page.get_by_text("IBM.US 200806: 0.0%").count() == 1
    assert page.get_by_role("cell", name="spike").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    background = page.evaluate("getComputedStyle(document.documentElement).colorScheme")
    assert background == "light dark"
    assert isinstance(dark, bool)
