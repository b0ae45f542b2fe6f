"""A source that refuses, limits or is away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import ptolemy as pt
from ptolemy.catalogue import interface
from ptolemy.errors import BackendUnavailable, BadData, BadParam, BadToken, NoPermission, RateLimited
from ptolemy.sources import Wanted
from ptolemy.sources.rates import Rate
from ptolemy.sources.tushare import TushareSource


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        ({"code": 40101, "msg": "您的token不对，请确认。", "data": None}, BadToken, "token"),
        ({"code": 2002, "msg": "权限不足", "data": None}, NoPermission, "权限不足"),
        ({"code": -2002, "message": "没有权限", "data": None}, NoPermission, "没有权限"),
        ({"code": -2001, "msg": "参数校验失败,start_date", "data": None}, BadParam, "-2001"),
        ({"code": 40203, "msg": "抱歉，您每天最多访问该接口2次", "data": None}, RateLimited, "每天"),
        ({"code": 0, "msg": "", "data": {"fields": ["ts_code"], "items": [["a", "b"]]}}, BadData, "do not fit"),
        ((200, b"<html>maintenance</html>"), BackendUnavailable, "does not answer as Tushare"),
    ],
)
def test_what_the_service_refuses_is_an_error_of_its_kind(stub: Any, tushare: str, reply: Any, kind: Any, text: str):
    stub.special = [reply]

    with pytest.raises(kind, match=text):
        pt.collect(tushare, "daily", start="20240102", end="20240102")
    assert pt.api().datasets() == []


def test_a_rate_by_the_minute_is_learned_and_waited_for(stub: Any, tmp_path: Path):
    clock = [1000.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    rate = Rate(tmp_path / "rates", "x", 0, clock=lambda: clock[0], sleep=sleep)
    source = TushareSource(f"http://{stub.url}", "t", rate, sleep=sleep)
    stub.special = [
        {"code": 40203, "msg": "抱歉，您每分钟最多访问该接口120次，权限的具体详情访问：https://x", "data": None},
        (429, b""), (502, b"bad gateway"),
    ]  # fmt: skip

    (batch,) = source.read(interface("daily"), wanted=Wanted("20240102", "20240102", None, "trade_date"))

    assert batch.table.num_rows == 2
    assert len(stub.calls) == 4
    assert sum(slept) >= 60
    other = Rate(tmp_path / "rates", "x", 6000, clock=lambda: clock[0], sleep=sleep)  # another process
    assert [round(other.wait(), 2) > 0.4 for _ in range(3)][1:] == [True, True]


def test_all_processes_share_one_rate(tmp_path: Path):
    clock = [50.0]
    mine, other = (Rate(tmp_path, "host token", 60, clock=lambda: clock[0], sleep=lambda _: None) for _ in range(2))

    assert [mine.wait(), other.wait(), mine.wait()] == [0.0, 1.0, 2.0]
    clock[0] += 100
    assert other.wait() == 0.0
    assert "host" not in "".join(p.read_text() + p.name for p in tmp_path.iterdir())


def test_a_service_that_is_away_is_told_after_a_few_tries(tmp_path: Path):
    slept: list[float] = []
    source = TushareSource("http://127.0.0.1:9", "t", Rate(tmp_path, "x", 0), sleep=slept.append)

    with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1:9 does not answer"):
        list(source.read(interface("daily"), wanted=Wanted("20240102", "20240102", None, "trade_date")))
    assert len(slept) == 4
