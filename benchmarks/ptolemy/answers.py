"""Rows over HTTP: our client and Tushare's, our server and the servers that others write.

Bars of 50 securities and 2,000 days, 100,000 rows of 11 columns, asked for whole, and 250 rows of one
security. Each client runs in a process of its own and is asked in turn with its peer, so that a noisy
machine moves both alike; figures are medians of the paired rounds. CPU time of a server is what the
kernel has counted for its process.

The peer of the large answer is the unmodified Tushare client on a server that is the best that its
protocol allows with the standard library: the rows lie ready as Python lists, and only ``json.dumps``
and one write are left to do. The peer of the small answer is FastAPI with its quickest parts: uvicorn with
the loop of uvloop and the parser httptools, named and not left to be found, no access log, orjson, and the
rows ready as Python lists.
"""

from __future__ import annotations

import json
import os
import platform
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.figures import figure

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 7
SMALL = 1500  #: calls in a round
CODES, DAYS = 50, 2000
TUSHARE = ["tushare==1.4.29", "six", "setuptools"]
FASTAPI = ["fastapi==0.165.0", "uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0", "orjson==3.13.0"]


def figures() -> list[dict[str, Any]]:
    """Measure and return one dict per figure; the harness adds date, cpu and commit."""
    tushare, fastapi = _environment("tushare", TUSHARE), _environment("fastapi", FASTAPI)
    with tempfile.TemporaryDirectory() as folder:
        series = f"arrow://{folder}/series"
        _fill(series)
        with _serve(series) as ours, _started([sys.executable, "-c", _STDLIB, series]) as theirs:
            large = _large(ours, theirs, tushare)
        rows = Path(folder) / "rows.json"
        rows.write_text(json.dumps(_rows(series)))
        with _serve(series) as ours, _started([str(fastapi), "-c", _FASTAPI, str(rows)]) as theirs:
            small = _small(ours, theirs)
    return [*large, *small]


def _large(ours: Any, theirs: Any, tushare: Path) -> list[dict[str, Any]]:
    with (
        _client([sys.executable, "-c", _OUR_CLIENT, ours.url]) as our_client,
        _client([str(tushare), "-c", _THEIR_CLIENT, theirs.url]) as their_client,
        _client([str(tushare), "-c", _THEIR_CLIENT, ours.url]) as their_client_on_ours,
    ):
        for ask in (our_client, their_client, their_client_on_ours):
            ask()
        ratios, work, wall, peer_wall, cpu, peer_cpu = [], [], [], [], [], []
        for _ in range(ROUNDS):
            # The kernel counts in hundredths of a second, so that one quick answer could not be told from none.
            before = ours.cpu()
            each = [our_client() for _ in range(10)]
            all_of_ours = (sum(c for _, c in each) + ours.cpu() - before) / len(each)
            wall.append(statistics.median(w for w, _ in each))
            before = theirs.cpu()
            seconds, own = their_client()
            peer_wall.append(seconds)
            peer_cpu.append(theirs.cpu() - before)
            before = ours.cpu()
            their_client_on_ours()
            cpu.append(ours.cpu() - before)
            ratios.append(peer_wall[-1] / wall[-1])
            work.append((own + peer_cpu[-1]) / all_of_ours)
    peer = f"tushare 1.4.29 on http.server and json.dumps of Python {platform.python_version()}, rows ready as lists"
    median = statistics.median
    return [
        _figure("100k", "100,000 rows over HTTP to a DataFrame, our client: times as fast", median(ratios), "x", 30,
                better="high", peer=peer, peer_value=1.0),
        _figure("100k-cpu", "the same, CPU time of client and server together: times less", median(work), "x", 30,
                better="high", peer=peer, peer_value=1.0),
        _figure("100k-ms", "the same, wall time", median(wall) * 1000, "ms", None, peer=peer,
                peer_value=median(peer_wall) * 1000),
        _figure("100k-tushare-cpu", "the same, unmodified Tushare client on our server: CPU time of the server",
                median(cpu) * 1000, "ms", 90, peer=peer, peer_value=median(peer_cpu) * 1000),
    ]  # fmt: skip


def _small(ours: Any, theirs: Any) -> list[dict[str, Any]]:
    def native(i: int) -> bytes:
        body = json.dumps({"ts_code": _code(i), "start_date": _day(DAYS - 250), "end_date": _day(DAYS - 1)})
        return _request("/v1/daily", body, "accept: application/vnd.apache.arrow.stream\r\n")

    def face(i: int) -> bytes:
        params = {"ts_code": _code(i), "start_date": _day(DAYS - 250), "end_date": _day(DAYS - 1)}
        return _request("/", json.dumps({"api_name": "daily", "token": "", "params": params, "fields": ""}), "")

    cpu: dict[str, list[float]] = {"native": [], "face": [], "peer": []}
    rate: dict[str, list[float]] = {"native": [], "face": [], "peer": []}
    for number in range(ROUNDS + 1):
        for name, server, request in (("native", ours, native), ("face", ours, face), ("peer", theirs, face)):
            before, began = server.cpu(), time.perf_counter()
            _load(server.url, [request(i) for i in range(SMALL)])
            seconds = time.perf_counter() - began
            if number:  # the first round warms up
                cpu[name].append((server.cpu() - before) / SMALL * 1e6)
                rate[name].append(SMALL / seconds)
    named = ", ".join(package.replace("==", " ") for package in FASTAPI)
    peer = f"{named}: one process, loop uvloop, parser httptools, no access log, rows ready as lists, the same JSON"
    median = statistics.median
    return [
        _figure("small-cpu", "daily(), 250 rows, to our client: CPU time of the server a call", median(cpu["native"]),
                "us", 250, peer=peer, peer_value=median(cpu["peer"])),
        _figure("small-rate", "the same: calls a second of one process", median(rate["native"]), "1/s", 4000,
                better="high", peer=peer, peer_value=median(rate["peer"])),
        _figure("small-tushare-cpu", "daily(), 250 rows, to Tushare's client: CPU time of the server a call",
                median(cpu["face"]), "us", None, peer=peer, peer_value=median(cpu["peer"])),
    ]  # fmt: skip


def _figure(name: str, what: str, value: float, unit: str, bar: float | None, **more: Any) -> dict[str, Any]:
    return figure("ptolemy-http", name, what, value, unit, bar, rounds=ROUNDS, **more)


def _code(i: int) -> str:
    return f"{600000 + i % CODES:06}.SH"


def _day(i: int) -> str:
    # Any increasing days will do: 28 a month, so that each is a date.
    year, rest = divmod(i, 336)
    return f"{2015 + year}{1 + rest // 28:02}{1 + rest % 28:02}"


def _fill(series: str) -> None:
    import numpy as np
    import pyarrow as pa

    import ptolemy as pt
    from ptolemy.catalogue import interface

    rng = np.random.default_rng(7)
    known = interface("daily")
    count = CODES * DAYS
    columns: dict[str, Any] = {
        "ts_code": np.repeat([_code(i) for i in range(CODES)], DAYS),
        "trade_date": np.tile([_day(i) for i in range(DAYS)], CODES),
    }
    for column in known.columns:
        if column.type == "float" and not column.hidden:
            columns[column.name] = np.round(rng.random(count) * 1000, 2)
    table = pa.table({n: pa.array(columns[n]) for n in known.names if n in columns})
    with pt.open_series(series) as store:
        store.upsert("daily", table, key=known.key)


def _rows(series: str) -> dict[str, Any]:
    import ptolemy as pt

    found = {}
    for i in range(CODES):
        frame = pt.api(series=series).daily(_code(i), start_date=_day(DAYS - 250), end_date=_day(DAYS - 1))
        found[_code(i)] = {"fields": list(frame.columns), "items": frame.to_numpy().tolist()}
    return found


class _Server:
    def __init__(self, url: str, pid: int) -> None:
        self.url, self._pid = url, pid

    def cpu(self) -> float:
        """Return the seconds of CPU time that the process has used."""
        words = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _started(command: list[str]) -> Iterator[_Server]:
    """Start a server that prints its address first."""
    with (
        tempfile.TemporaryDirectory() as home,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                         env={**os.environ, "PTOLEMY_HOME": home}) as process,
    ):  # fmt: skip
        assert process.stdout is not None
        try:
            yield _Server(process.stdout.readline().split()[-1], process.pid)
        finally:
            process.terminate()


@contextmanager
def _serve(series: str) -> Iterator[_Server]:
    code = f"""
from ptolemy.http.running import Serving, serve
serve(Serving({series!r}, port=0), lambda url, is_open: print(url, flush=True))
"""
    with _started([sys.executable, "-c", code]) as server:
        yield server


@contextmanager
def _client(command: list[str]) -> Iterator[Any]:
    """Give a callable that has a client ask once and returns its seconds and those of its CPU."""
    environment = {**os.environ, "HOME": tempfile.gettempdir()}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask() -> tuple[float, float]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            wall, cpu = process.stdout.readline().split()
            return float(wall), float(cpu)

        yield ask
        process.stdin.close()


def _request(path: str, body: str, headers: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{headers}"
    return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()


def _load(url: str, requests: list[bytes], connections: int = 8) -> None:
    """Send `requests` over connections that stay open, each with one call under way.

    One thread that waits for all of them takes 60 us a call, so that the server is what is measured.
    """
    host, _, port = url.removeprefix("http://").partition(":")
    waiting = iter(requests)
    answer = bytearray(1 << 18)
    with ExitStack() as open_ones, selectors.DefaultSelector() as selector:
        for request in islice(waiting, connections):
            connection = open_ones.enter_context(socket.create_connection((host, int(port))))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ, [0])
            connection.sendall(request)
        while selector.get_map():
            for key, _ in selector.select():
                got, left = key.fileobj.recv_into(answer), key.data  # type: ignore[union-attr]
                assert got, "the server hung up"
                if not left[0]:
                    end = answer.index(b"\r\n\r\n", 0, got)
                    head = bytes(answer[:end]).lower()
                    assert head.startswith(b"http/1.1 200"), head
                    left[0] = end + 4 + int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
                left[0] -= got
                if not left[0]:
                    if request := next(waiting, b""):
                        key.fileobj.sendall(request)  # type: ignore[union-attr]
                    else:
                        selector.unregister(key.fileobj)


def _environment(name: str, packages: list[str]) -> Path:
    folder = ROOT / ".cache" / f"bench-{name}"
    python = folder / "bin" / "python"
    made = folder / "made"
    if not made.exists() or made.read_text() != " ".join(packages):
        uv = shutil.which("uv") or str(ROOT / "scripts" / "uv")
        env = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([uv, "venv", "-q", "-p", sys.executable, str(folder)], check=True, env=env)
        subprocess.run([uv, "pip", "install", "-q", "-p", str(python), *packages], check=True, env=env)
        made.write_text(" ".join(packages))
    return python


_TIMED = """
import sys, time
for _ in sys.stdin:
    began, used = time.perf_counter(), time.process_time()
    frame = ask()
    took, used = time.perf_counter() - began, time.process_time() - used
    assert frame.shape == (100_000, 11), frame.shape
    print(took, used, flush=True)
"""
_OUR_CLIENT = f"""
import sys
import ptolemy as pt
api = pt.api(url=sys.argv[1])
ask = api.daily
{_TIMED}
"""
_THEIR_CLIENT = f"""
import sys, warnings
warnings.simplefilter("ignore")
import tushare as ts
from tushare.pro import client
client.DataApi._DataApi__http_url = sys.argv[1] + "/dataapi"
ask = ts.pro_api("any").daily
{_TIMED}
"""
_STDLIB = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import ptolemy as pt
frame = pt.api(series=sys.argv[1]).daily()
data = {"fields": list(frame.columns), "items": frame.to_numpy().tolist(), "has_more": False, "count": len(frame)}
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        json.loads(self.rfile.read(int(self.headers["content-length"])))
        body = json.dumps({"request_id": "1", "code": 0, "msg": "", "data": data}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
"""
_FASTAPI = """
import json, socket, sys
import orjson, uvicorn
from fastapi import FastAPI, Request, Response
rows = json.load(open(sys.argv[1]))
app = FastAPI()
@app.post("/")
async def answer(request: Request):
    asked = orjson.loads(await request.body())
    data = {**rows[asked["params"]["ts_code"]], "has_more": False, "count": 250}
    body = orjson.dumps({"request_id": "1", "code": 0, "msg": "", "data": data})
    return Response(body, media_type="application/json")
listening = socket.create_server(("127.0.0.1", 0), backlog=128)
print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
config = uvicorn.Config(app, access_log=False, log_level="warning", loop="uvloop", http="httptools")
uvicorn.Server(config).run(sockets=[listening])
"""
