"""The contract on a real InfluxDB 1.6.7, and what is delivered there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from ptolemy.series import Series, open_series
from ptolemy.testing import SeriesContract

pytestmark = pytest.mark.influxdb


@pytest.fixture
def url(tmp_path: Path) -> str:
    server = os.environ["PTOLEMY_TEST_INFLUXDB_URL"].rpartition("/")[0]
    return f"{server}/test_{uuid4().hex[:12]}?spool={tmp_path / 'spool'}"


@pytest.fixture
def series(url: str) -> Iterator[Series]:
    with open_series(url) as store:
        yield store


@pytest.fixture
def reopened(url: str) -> Callable[[], Series]:
    return lambda: open_series(url)


class TestInfluxdb(SeriesContract):
    """All of `SeriesContract`, on a real server."""
