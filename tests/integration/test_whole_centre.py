"""The demo on servers gives what it gives on embedded backends: the same tables and results, byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jiyuan.demo.place import Place, find_examples, read_backends, settings
from kyrios.data import open_data

pytest.importorskip(
    "bokeh_sampledata", reason="needs the sample bars: pip install 'jiyuan[demo]'", exc_type=ImportError
)
BIN = Path(sys.executable).parent
SERVERS = ("clickhouse", "consul", "elasticsearch", "influxdb", "minio", "mongodb", "mysql", "postgresql", "redis")
pytestmark = [getattr(pytest.mark, word) for word in ("celery", *SERVERS)]

#: What the demo finds the same wherever its data lie; the others are times, rates and ids.
SAME = ("rows", "package", "package_digest", "flow_digest", "results", "weights", "swapped_to", "live_top")


@dataclass(frozen=True)
class Done:
    """What a demo printed, its tables by name, and its page without durations and ids."""

    figures: dict[str, Any]
    tables: dict[str, bytes]
    lineage: dict[str, Any]
    folder: Path


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Give the demo on embedded backends."""
    return demo(tmp_path_factory.mktemp("embedded") / "out", None)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """Give the demo on servers, its flow on a worker of Celery."""
    folder = tmp_path_factory.mktemp("served")
    backends = folder / "servers.toml"
    backends.write_text(document())
    with worker(Place(find_examples(Path(__file__)), folder / "out", read_backends(backends))):
        yield demo(folder / "out", backends)


def document() -> str:
    """Return a jiyuan.toml that names a server for each port."""
    s3 = {name: os.environ[f"{name}_TEST_MINIO_URL"].replace("?", "/centre?") for name in ("EXIA", "KYRIOS", "VEDA")}
    urls = {
        "exia": {
            "artifacts": s3["EXIA"],
            "blobs": s3["EXIA"],
            "monitor": os.environ["EXIA_TEST_ELASTICSEARCH_URL"],
            "objects": os.environ["EXIA_TEST_POSTGRESQL_URL"],
            "params": os.environ["EXIA_TEST_CONSUL_URL"],
            "runs": os.environ["EXIA_TEST_MONGODB_URL"],
        },
        "kyrios": {
            "data": s3["KYRIOS"],
            "engine": os.environ["KYRIOS_TEST_REDIS_URL"].replace("redis:", "celery:", 1) + f"?queue=c{os.getpid()}",
            "history": os.environ["KYRIOS_TEST_MYSQL_URL"],
        },
        "ptolemy": {"series": os.environ["PTOLEMY_TEST_INFLUXDB_URL"]},
        "veda": {"index": os.environ["VEDA_TEST_CLICKHOUSE_URL"], "store": s3["VEDA"]},
    }
    return "".join(f"[{lib}]\n" + "".join(f'{k} = "{v}"\n' for k, v in keys.items()) for lib, keys in urls.items())


@contextmanager
def worker(place: Place) -> Iterator[None]:
    """Keep a worker that has the demo's settings."""
    place.make()
    words = [str(BIN / "kyrios"), "worker", "--engine", place.environment()["KYRIOS_ENGINE"]]
    with settings(place.environment()), (place.out.parent / "worker.log").open("wb") as log:
        process = subprocess.Popen(words, cwd=place.out, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def demo(out: Path, backends: Path | None) -> Done:
    words = [str(BIN / "jiyuan"), "demo", "--out", str(out), "--json"]
    words += ["--backends", str(backends)] if backends else []
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]
    place = Place(find_examples(Path(__file__)), out, read_backends(backends) if backends else {})
    with settings(place.environment()):
        data = open_data()
        keys = data.keys(f"{figures['run_id']}/outputs/")
        tables = {key.rpartition("/")[2]: bytes(data.get(key)) for key in keys}
        lineage = json.loads(bytes(data.get(f"{figures['run_id']}/lineage.json")))
    return Done(figures, tables, lineage, out)


def results(done: Done) -> str:
    """Return the part of the page with the results: what comes after them tells of engines, times and ids."""
    page = (done.folder / "report.html").read_text()
    return page[page.index("<h2>What one unit") : page.index("<h2>The flow</h2>")]


def test_every_table_is_the_same_byte_for_byte(embedded, served):
    assert "backtest.equity.arrow" in embedded.tables
    assert served.tables == embedded.tables


def test_the_demo_finds_the_same(embedded, served):
    assert {k: served.figures[k] for k in SAME} == {k: embedded.figures[k] for k in SAME}
    assert served.figures["swap_failed"] == 0


def test_the_page_shows_the_same_results(embedded, served):
    assert results(served) == results(embedded)


def test_the_servers_hold_what_was_made_and_this_machine_does_not(served):
    kept = {p.relative_to(served.folder).as_posix() for p in served.folder.rglob("*") if p.is_file()}

    assert not [p for p in kept if p.startswith(("home/ptolemy/series", "home/kyrios/data", "store/"))]
    assert not [p for p in kept if p.endswith(".arrow")]


def test_no_password_of_a_server_is_on_the_page_or_in_the_lineage(served):
    written = (served.folder / "report.html").read_text() + json.dumps(served.lineage)

    assert os.environ["VEDA_TEST_MINIO_URL"].partition("@")[0].rpartition(":")[2] not in written
    assert (served.folder / "jiyuan.toml").stat().st_mode & 0o077 == 0
