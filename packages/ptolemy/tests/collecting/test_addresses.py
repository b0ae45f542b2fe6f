"""Sources at an address, in a file or in a function."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ptolemy as pt
from ptolemy.errors import BackendUnavailable, BadData
from ptolemy.sources import Source, open_source
from ptolemy.testing.sources import ROWS, SourceContract


def test_an_address_is_asked_day_by_day_with_its_mapping(stub: Any, tmp_path: Path):
    (tmp_path / "map.toml").write_text(
        '[daily]\nts_code = "s"\ntrade_date = {column = "d", format = "%Y-%m-%d"}\nopen = "o"\nhigh = "h"\n'
        'low = "l"\nclose = "c"\n'
    )
    rows = [{"s": "a.sh", "d": f"2024-01-0{i}", "o": 9 + i / 10, "h": 10, "l": 9, "c": 9.5} for i in (2, 3)]
    stub.special = [(200, json.dumps({"data": {"rows": [row]}}).encode()) for row in rows]
    url = f"http://{stub.url}/bars/{{day}}?mapping=map.toml&rows=data.rows&day={{day}}&key=k&rate=0"

    (got,) = pt.collect(url, start="20240102", end="20240103")

    assert got.written == 2
    assert [(c["path"], c["query"]) for c in stub.calls] == [
        (f"/bars/{d}", {"day": d, "key": "k"}) for d in ("20240102", "20240103")
    ]
    assert pt.api().daily()["ts_code"].tolist() == ["A.SH", "A.SH"]


def test_an_address_of_lists_is_asked_security_by_security(stub: Any):
    stub.special = [
        (200, json.dumps({"columns": ["trade_date", "adj_factor"], "values": [["20240102", 1.5]]}).encode())
    ] * 2
    url = f"http://{stub.url}/f?code={{code}}&from={{start}}&rows=values&rate=0"

    pt.collect(url, "adj_factor", start="20240102", end="20240102", codes=["A.SH", "B.SH"])

    assert [c["query"] for c in stub.calls] == [{"code": c, "from": "20240102"} for c in ("A.SH", "B.SH")]
    assert pt.api().adj_factor()["ts_code"].tolist() == ["A.SH", "B.SH"]


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        ((404, b"gone"), pt.NotFound, "404"),
        ((401, b"who"), pt.errors.NotAllowed, "401"),
        ((400, b"what"), BackendUnavailable, "400"),
        ((200, b"[1, 2"), BadData, "no json"),
        ((200, b"a,b\n1\n"), BadData, "row 1"),
        ((200, b"ts_code,trade_date\nA,20240102\n"), BadData, "'open' is missing"),
    ],
)
def test_an_address_that_gives_no_rows_is_told(stub: Any, reply: Any, kind: Any, text: str):
    stub.special = [reply]

    with pytest.raises(kind, match=text):
        pt.collect(f"http://{stub.url}/bars.csv?rate=0", "daily")
    assert pt.api().datasets() == []


def test_a_part_of_a_file_is_kept_by_days_and_codes(bars: Path):
    pt.collect("csv:bars.csv", "daily", start="20240103", codes="000001.SZ")

    assert pt.api().daily()[["ts_code", "trade_date"]].to_numpy().tolist() == [["000001.SZ", "20240103"]]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("tushare://:t@host?rat=1", "option 'rat'"),
        ("tushare://:t@host?rate=x", "are numbers"),
        ("tushare://:t@host?tls=maybe", "tls is true or false"),
        ("tushare://host", "no token"),
        ("http:", "names no host"),
        ("http://h/x?format=xml", "csv or json"),
        ("http://h/x?rate=fast", "rate is a number"),
        ("python:nothing", "names no function"),
        ("python:no.such.module:f", "no module"),
        ("python:missing.py:f", "no file"),
        ("python:json:nothing", "no function"),
        ("python:json:dumps?x=1", "option 'x'"),
    ],
)
def test_a_source_that_cannot_be_meant_is_refused(url: str, why: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TUSHARE_TOKEN", raising=False)
    with pytest.raises(pt.PtolemyError, match=why):
        pt.collect(url, "daily", start="20240102", end="20240102")


class TestHttp(SourceContract):
    """All of `SourceContract` over an address."""

    @pytest.fixture
    def source(self, stub: Any) -> Iterator[Source]:
        lines = [",".join(ROWS), *(",".join(map(str, row)) for row in zip(*ROWS.values(), strict=True))]
        stub.special = [(200, "\n".join(lines).encode())] * 4
        with open_source(f"http://{stub.url}/bars.csv?rate=0") as source:
            yield source


class TestPython(SourceContract):
    """All of `SourceContract` over a function."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Iterator[Source]:
        (tmp_path / "feed_of_rows.py").write_text(
            f"import pandas\nROWS = {ROWS!r}\n"
            "def bars(dataset, start, end, codes):\n    return pandas.DataFrame(ROWS)\n"
        )
        with open_source(f"python:{tmp_path / 'feed_of_rows.py'}:bars") as source:
            yield source
