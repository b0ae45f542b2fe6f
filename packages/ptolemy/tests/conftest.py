from __future__ import annotations

import gzip
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

import ptolemy as pt
from ptolemy._house.command import run
from ptolemy.cli import root

MAPPING = Path(__file__).parents[3] / "examples" / "data" / "bokeh-stocks.toml"

BARS = """\
ts_code,trade_date,open,high,low,close,vol
000001.SZ,20240102,10.0,11.0,9.5,10.5,1000
000001.SZ,20240103,10.5,12.0,10.0,11.5,1200
600000.SH,20240102,20.0,21.0,19.0,20.5,500
"""


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a home, a configuration and a working folder of its own."""
    monkeypatch.setenv("PTOLEMY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PTOLEMY_SERIES", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def ptolemy(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Give a callable that runs the command as a user does."""

    def call(*words: str) -> Result:
        with pytest.raises(SystemExit) as left:
            run(root, words)
        out, err = capsys.readouterr()
        return Result(int(left.value.code or 0), out, err)

    return call


@pytest.fixture(scope="session")
def stocks() -> Path:
    """Return the real bars: five US tickers, 12,154 rows."""
    spec = find_spec("bokeh_sampledata")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "_data" / "stocks.csv.gz"


@pytest.fixture(scope="session")
def real(stocks: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the URL of a series store that holds the real bars; nobody writes to it."""
    url = f"arrow://{tmp_path_factory.mktemp('real')}"
    pt.collect(f"csv://{stocks}?mapping={MAPPING}", series=url)
    return url


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    """Return a small CSV whose columns bear the catalogue's names."""
    path = tmp_path / "bars.csv"
    path.write_text(BARS)
    return path


@pytest.fixture
def packed(stocks: Path) -> str:
    """Return the text of the real bars."""
    return gzip.decompress(stocks.read_bytes()).decode()
