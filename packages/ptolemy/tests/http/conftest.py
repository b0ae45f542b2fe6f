"""A service without a network, and one with: what a caller sends and what it gets."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import ptolemy as pt
from ptolemy.http.app import application
from ptolemy.http.limits import Limits
from ptolemy.http.service import Service
from ptolemy.http.tokens import Tokens

ROOT = Path(__file__).resolve().parents[4]
MAPPING = Path(__file__).parents[4] / "examples" / "data" / "bokeh-stocks.toml"


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Caller:
    """Calls the application as a server would."""

    service: Service
    clock: Clock
    client: str = "127.0.0.1"
    headers: dict[str, str] = field(default_factory=lambda: {"host": "127.0.0.1:8100"})

    def __call__(self, method: str, target: str, body: bytes = b"", **headers: str) -> Reply:
        path, _, query = target.partition("?")
        given = self.headers | {k.replace("_", "-"): v for k, v in headers.items()}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
            "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "scheme": "http",
            "client": (self.client, 5), "server": ("127.0.0.1", 8100),
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in given.items()],
        }  # fmt: skip
        sent: list[dict[str, Any]] = []
        # As a network does, it gives the body in pieces.
        pieces = [body[: len(body) // 2], body[len(body) // 2 :]]

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(application(self.service)(scope, receive, send))  # type: ignore[arg-type]
        start, *rest = sent
        found = {k.decode(): v.decode() for k, v in start["headers"]}
        whole = b"".join(m["body"] for m in rest)
        assert len(whole) == int(found.get("content-length", len(whole)))
        return Reply(start["status"], found, whole)

    def get(self, target: str, token: str = "", **headers: str) -> Reply:
        return self("GET", target, **headers, **({"authorization": f"Bearer {token}"} if token else {}))

    def post(self, target: str, document: Any, token: str = "") -> Reply:
        return self(
            "POST", target, json.dumps(document).encode(), **({"authorization": f"Bearer {token}"} if token else {})
        )

    def tushare(self, api_name: str, token: str = "any", fields: Any = "", **params: Any) -> Any:
        """Ask as Tushare's client does, which is answered with HTTP 200 whatever happens."""
        reply = self.post("/", {"api_name": api_name, "token": token, "params": params, "fields": fields})
        assert reply.status == 200
        assert reply.headers["content-type"].startswith("application/json")
        return reply.json


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "home" / "tokens.json", "ptl")


@pytest.fixture
def call(real: str, tokens: Tokens) -> Iterator[Caller]:
    """Give a service of the real bars."""
    clock = Clock()
    with pt.open_series(real) as series:
        yield Caller(Service(series, tokens, limits=Limits(clock)), clock)


@dataclass
class Running:
    url: str
    process: subprocess.Popen[str]
    home: Path


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Give a callable that starts ``ptolemy serve`` on a free port; all of them end with the tests."""
    running: list[Running] = []

    def start(series: str, *words: str) -> Running:
        home = tmp_path_factory.mktemp("home")
        command = [str(Path(sys.executable).with_name("ptolemy")), "serve", "--port", "0", "--json", "--store", series]
        process = subprocess.Popen(
            [*command, *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={"PATH": "/usr/bin:/bin", "PTOLEMY_HOME": str(home), "HOME": str(home), "XDG_CONFIG_HOME": str(home)},
            cwd=home,
        )  # fmt: skip
        assert process.stdout is not None
        lines = ""
        for line in process.stdout:
            lines += line
            if line.startswith("}"):
                break
        assert lines, process.communicate()
        running.append(Running(json.loads(lines)["url"], process, home))
        return running[-1]

    yield start
    for each in running:
        each.process.terminate()
        each.process.communicate(timeout=20)


@pytest.fixture(scope="session")
def service(serve: Callable[..., Running], real: str) -> Running:
    """Give a running service of the real bars that has no token yet."""
    return serve(real)


@pytest.fixture(scope="session")
def whole(stocks: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a store that holds every interface: real bars, what is made of them, and made-up rows for the rest."""
    import pyarrow as pa

    from ptolemy import resample, sample
    from ptolemy.catalogue import interface, interfaces

    url = f"arrow://{tmp_path_factory.mktemp('whole')}"
    pt.collect(f"csv://{stocks}?mapping={MAPPING}", series=url)
    with pt.open_series(url) as series:
        daily = series.read("daily", codes=["AAPL.US", "MSFT.US"], start="20041101", end="20050331")
        minutes = resample.minutes_of_ticks(sample.ticks(daily.filter(pa.compute.field("trade_date") < "20041122")))
        series.upsert("stk_mins", minutes, key=interface("stk_mins").key)
        for name, period in (("weekly", "W-FRI"), ("monthly", "M")):
            series.upsert(name, longer(daily.to_pandas(), interface(name), period), key=interface(name).key)
        for known in interfaces().values():
            if not known.computed and known.name not in series.datasets():
                rows = sample.rows(known, codes=5, days=["20050103", "20050104", "20050105"])
                series.upsert(known.name, rows, key=known.key)
    return url


def longer(daily: Any, known: Any, period: str) -> Any:
    """Return the bars of weeks or months that daily bars make."""
    import pandas as pd
    import pyarrow as pa

    daily = daily.sort_values(["ts_code", "trade_date"])
    daily["period"] = pd.to_datetime(daily["trade_date"]).dt.to_period(period)
    made = daily.groupby(["ts_code", "period"], as_index=False).agg(
        {"trade_date": "last", "open": "first", "high": "max", "low": "min", "close": "last", "pre_close": "first",
         "vol": "sum"}
    )  # fmt: skip
    made["change"] = made["close"] - made["pre_close"]
    made["pct_chg"] = made["change"] / made["pre_close"]
    made["amount"] = float("nan")
    return pa.Table.from_pandas(made[known.names], schema=known.schema(), preserve_index=False)


#: The versions, with what they import and do not declare; the older one calls what pandas 3 has no more.
CLIENTS = {
    "1.4.29": ["tushare==1.4.29", "six", "setuptools"],
    "1.2.89": ["tushare==1.2.89", "six", "setuptools", "pandas<3"],
}


def make(version: str) -> Path:
    """Return the interpreter of an environment with this client, made once and kept in .cache."""
    folder = ROOT / ".cache" / f"tushare-{version}"
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        uv = shutil.which("uv") or str(ROOT / "scripts" / "uv")
        env = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([uv, "venv", "-q", "-p", sys.executable, str(folder)], check=True, env=env)
        subprocess.run([uv, "pip", "install", "-q", "-p", str(python), *CLIENTS[version]], check=True, env=env)
        (folder / "made").touch()
    return python


@pytest.fixture(scope="session")
def public_client() -> Callable[[str], Path]:
    """Give a callable that returns the interpreter of an environment with a version of Tushare's client."""
    return make
