"""Data on S3 and through Alluxio keeps the promises of the port; no Alluxio server runs here, see `FakeWorker`."""

from __future__ import annotations

import json
import os
import socket
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

import kyrios
from kyrios import open_data
from kyrios.testing import DataContract

pytest.importorskip("botocore", reason="needs the drivers of servers; run: scripts/install servers")
pytest.importorskip("alluxiofs", reason="needs the drivers of servers; run: scripts/install servers")

minio_only = [
    pytest.mark.minio,
    pytest.mark.skipif(not os.environ.get("KYRIOS_TEST_MINIO_URL"), reason="set KYRIOS_TEST_MINIO_URL"),
]


class FakeWorker(BaseHTTPRequestHandler):
    """A stand-in for an Alluxio worker: it answers for files of this machine, and nothing else."""

    reads: ClassVar[list[str]] = []
    short = False

    def do_GET(self):
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        path = unquote(query.get("path") or query.get("ufsFullPath") or "")
        file = Path(path.removeprefix("file://"))
        if parts.path == "/v1/info":
            self._answer(json.dumps([{"mType": "file", "mName": file.name, "mPath": path, "mUfsPath": path,
                                      "mLength": file.stat().st_size}]).encode())  # fmt: skip
        elif parts.path.startswith("/v1/chunk/"):
            content = file.read_bytes()
            type(self).reads.append(file.name)
            self._answer(content[:-1] if self.short else content)
        else:
            host, port = self.server.server_address
            self._answer(json.dumps({"Host": host, "HttpServerPort": port}).encode())

    def _answer(self, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def worker(monkeypatch):
    monkeypatch.setattr(FakeWorker, "reads", [])
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeWorker)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(
    params=[pytest.param("minio", marks=minio_only), "alluxio-below-only", "alluxio-dead-worker", "alluxio-fake-worker"]
)
def data(request, tmp_path):
    if request.param == "minio":
        base, _, query = os.environ["KYRIOS_TEST_MINIO_URL"].partition("?")
        return open_data(f"{base}/{uuid.uuid4().hex}?{query}")
    host = {"below": "", "dead": f"127.0.0.1:{closed_port()}"}.get(request.param.split("-")[1])
    if host is None:
        host = f"127.0.0.1:{request.getfixturevalue('worker')}"
    return open_data(f"alluxio://{host}?under=file://{tmp_path}/under")


class TestStorage(DataContract):
    """All of `DataContract`, once per backend."""


def test_a_table_is_read_through_the_worker_and_a_record_is_not(worker, tmp_path):
    data = open_data(f"alluxio://127.0.0.1:{worker}?under=file://{tmp_path}/under")
    data.put("r/outputs/a.b.arrow", b"table")
    data.put("r/lineage.json", b"{}")

    assert bytes(data.get("r/outputs/a.b.arrow")) == b"table"
    assert bytes(data.get("r/lineage.json")) == b"{}"
    assert FakeWorker.reads == ["a.b.arrow"]


def test_a_worker_that_gives_too_little_is_not_believed(worker, tmp_path, monkeypatch):
    monkeypatch.setattr(FakeWorker, "short", True)
    data = open_data(f"alluxio://127.0.0.1:{worker}?under=file://{tmp_path}/under")
    data.put("r/outputs/a.b.arrow", b"table")

    assert bytes(data.get("r/outputs/a.b.arrow")) == b"table"


def test_a_flow_gives_the_same_bytes_wherever_its_tables_lie(sums, tmp_path):
    flow = kyrios.load_flow(sums)
    places = ["memory://", f"alluxio://?under=file://{tmp_path}/under", f"file://{tmp_path}/files"]

    found = [[t.outputs for t in flow.run(data=place).tasks] for place in places]

    assert found[0] == found[1] == found[2]


@pytest.mark.minio
@pytest.mark.skipif(not os.environ.get("KYRIOS_TEST_MINIO_URL"), reason="set KYRIOS_TEST_MINIO_URL")
def test_a_flow_on_s3_is_cached_and_read_back(sums):
    flow, url = kyrios.load_flow(sums), os.environ["KYRIOS_TEST_MINIO_URL"].replace("/jiyuan?", "/jiyuan/flows?")

    run = flow.run(data=url)

    assert run.table("both.sums").to_pydict() == {"n": [4, 8]}
    assert "jiyuan-on-loopback" not in run.head.data
    assert run.where.startswith("s3://jiyuan/flows/")


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("minio://k:s@127.0.0.1:9000", kyrios.BadInput),
        ("alluxio://127.0.0.1:1", kyrios.BadInput),
        ("alluxio://?under=memory://", kyrios.BadInput),
    ],
)
def test_an_address_that_says_too_little_is_refused(url, error):
    with pytest.raises(error):
        open_data(url)


def test_a_server_that_is_gone_is_unavailable():
    data = open_data(f"minio://key:secret@127.0.0.1:{closed_port()}/bucket?secure=false")

    with pytest.raises(kyrios.BackendUnavailable) as caught:
        data.put("r/key", b"x")
    assert "secret" not in str(caught.value)
