"""Each server of the table starts, answers, keeps what was written through ``kill -9``, and goes without a trace."""

from __future__ import annotations

import subprocess
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.services import seaweedfs, wire
from tests.services.process import Server
from tests.services.running import Running
from tests.services.sshd import Sshd
from tests.services.table import SERVICES

WORDS = [pytest.param(row.word, marks=getattr(pytest.mark, row.mark)) for row in SERVICES if row.server]

Write = Callable[[Server], None]
Read = Callable[[Server], Any]


@pytest.fixture
def server(request: pytest.FixtureRequest, services: Running) -> Server:
    return services.start(request.param)


@pytest.mark.parametrize("server", WORDS, indirect=True)
def test_a_server_answers_in_its_own_protocol(server: Server):
    server.ping()

    assert server.pid is not None


@pytest.mark.parametrize("server", WORDS, indirect=True)
def test_a_server_listens_on_loopback_only(server: Server):
    assert server.pid is not None

    addresses = _listening(_family(server.pid))

    assert addresses
    assert all(address.startswith("127.") for address in addresses), addresses


@pytest.mark.parametrize("server", WORDS, indirect=True)
def test_what_was_written_can_be_read(server: Server):
    write, read = CLIENTS[server.word]

    write(server)

    assert read(server) == "绩元"


@pytest.mark.parametrize("server", [p for p in WORDS if p.values[0] not in {"osmem", "sshd"}], indirect=True)
def test_an_acknowledged_write_survives_kill_9(server: Server):
    write, read = CLIENTS[server.word]
    write(server)

    server.kill()
    assert server.pid is None
    server.start()

    assert read(server) == "绩元"


@pytest.mark.parametrize("server", WORDS, indirect=True)
def test_a_stopped_server_has_no_process_left_and_starts_again(server: Server):
    assert server.pid is not None
    family = _family(server.pid)

    server.stop()

    assert not any(_runs(pid) for pid in family)
    server.start()
    server.ping()


# One write and one read a server, with the driver that our adapters use, or HTTP where that is what they speak.


def write_postgresql(server):
    with _postgresql(server) as link, link.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS word")
        cursor.execute("CREATE TABLE word (word text)")
        cursor.execute("INSERT INTO word VALUES ('绩元')")
        link.commit()


def read_postgresql(server):
    with _postgresql(server) as link, link.cursor() as cursor:
        cursor.execute("SELECT word FROM word")
        return cursor.fetchone()[0]


def _postgresql(server):
    psycopg2 = pytest.importorskip("psycopg2", reason="needs psycopg2: uv sync --group servers")
    import contextlib

    return contextlib.closing(psycopg2.connect(server.url("")))


def write_redis(server):
    assert wire.redis(server.port, "SET", "word", "绩元") == "+OK"


def read_redis(server):
    redis = pytest.importorskip("redis", reason="needs redis: uv sync --group servers")
    with redis.Redis.from_url(server.url("")) as client:
        return client.get("word").decode()


def write_mariadb(server):
    with _mariadb(server) as link, link.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS word (id INT PRIMARY KEY, word TEXT) CHARACTER SET utf8mb4")
        cursor.execute("REPLACE INTO word VALUES (1, '绩元')")
        link.commit()


def read_mariadb(server):
    with _mariadb(server) as link, link.cursor() as cursor:
        cursor.execute("SELECT word FROM word")
        return cursor.fetchone()[0]


def _mariadb(server):
    pymysql = pytest.importorskip("pymysql", reason="needs pymysql: uv sync --group servers")
    return pymysql.connect(
        host="127.0.0.1", port=server.port, user="jiyuan", password="jiyuan", database="jiyuan", charset="utf8mb4"
    )


def write_clickhouse(server):
    with _clickhouse(server) as client:
        client.execute("CREATE TABLE IF NOT EXISTS word (id UInt8, word String) ENGINE = MergeTree ORDER BY id")
        # As a list, never inside the statement: the driver hangs on values in the statement with this server.
        client.execute("INSERT INTO word VALUES", [(1, "绩元")])


def read_clickhouse(server):
    with _clickhouse(server) as client:
        return client.execute("SELECT any(word) FROM word")[0][0]


def _clickhouse(server):
    driver = pytest.importorskip("clickhouse_driver", reason="needs clickhouse-driver: uv sync --group servers")
    return driver.Client.from_url(server.url(""))


def write_influxdb(server):
    wire.http(server.port, "POST", "/write?db=jiyuan", 'word word="绩元" 1000000000')


def read_influxdb(server):
    answer = wire.json_get(server.port, "/query?db=jiyuan&q=SELECT%20word%20FROM%20word")
    return answer["results"][0]["series"][0]["values"][0][1]


def write_victoriametrics(server):
    client = pytest.importorskip("influxdb_client", reason="needs influxdb-client: uv sync --group servers")
    from influxdb_client.client.write_api import SYNCHRONOUS

    with client.InfluxDBClient(url=f"http://127.0.0.1:{server.port}", token="-", org="-") as influx:
        influx.write_api(write_options=SYNCHRONOUS).write("jiyuan", record="word,word=绩元 n=1 1700000000000000000")
    # What was taken is searchable, and on disk, after a flush; without one it takes seconds.
    wire.http_get(server.port, "/internal/force_flush")


def read_victoriametrics(server):
    matching = urllib.parse.quote('{__name__="word_n"}', safe="")
    answer = wire.json_get(server.port, f"/api/v1/series?match[]={matching}&start=1699999999&end=1700000001")
    return answer["data"][0]["word"]


def write_consul(server):
    assert _consul(server).kv.put("word", "绩元")


def read_consul(server):
    _, found = _consul(server).kv.get("word")
    return found["Value"].decode()


def _consul(server):
    consul = pytest.importorskip("consul", reason="needs py-consul: uv sync --group servers")
    return consul.Consul(host="127.0.0.1", port=server.port)


def write_seaweedfs(server):
    import io

    body = "绩元".encode()
    _minio(server).put_object("jiyuan", "a/word", io.BytesIO(body), len(body))


def read_seaweedfs(server):
    answer = _minio(server).get_object("jiyuan", "a/word")
    try:
        return answer.read().decode()
    finally:
        answer.close()
        answer.release_conn()


def _minio(server):
    minio = pytest.importorskip("minio", reason="needs minio: uv sync --group servers")
    return minio.Minio(f"127.0.0.1:{server.port}", access_key=seaweedfs.KEY, secret_key=seaweedfs.SECRET, secure=False)


def write_secantusdb(server):
    with _pymongo(server) as client:
        client.jiyuan.words.replace_one({"_id": 1}, {"word": "绩元"}, upsert=True)


def read_secantusdb(server):
    with _pymongo(server) as client:
        return client.jiyuan.words.find_one({"_id": 1})["word"]


def _pymongo(server):
    pymongo = pytest.importorskip("pymongo", reason="needs pymongo: uv sync --group servers")
    return pymongo.MongoClient(server.url(""), serverSelectionTimeoutMS=5000)


def write_mlflow(server):
    known = wire.json_get(server.port, "/api/2.0/mlflow/experiments/search?max_results=100")
    if "绩元" not in [experiment["name"] for experiment in known["experiments"]]:
        wire.http(server.port, "POST", "/api/2.0/mlflow/experiments/create", '{"name": "绩元"}')


def read_mlflow(server):
    name = urllib.parse.quote("绩元")
    answer = wire.json_get(server.port, f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}")
    return answer["experiment"]["name"]


def write_noida(server):
    with _elasticsearch(server) as client:
        client.index(index="words", id="1", document={"word": "绩元"}, refresh=True)


def read_noida(server):
    with _elasticsearch(server) as client:
        return client.search(index="words", query={"match_all": {}})["hits"]["hits"][0]["_source"]["word"]


def _elasticsearch(server):
    elasticsearch = pytest.importorskip("elasticsearch", reason="needs elasticsearch: uv sync --group servers")
    return elasticsearch.Elasticsearch(f"http://127.0.0.1:{server.port}", request_timeout=10)


def write_osmem(server):
    wire.http(server.port, "PUT", "/words/_doc/1?refresh=true", '{"word": "绩元", "n": 1}')


def read_osmem(server):
    # An aggregation that noida-db lacks is why this server is here.
    asked = '{"aggs": {"n": {"percentiles": {"field": "n"}}}}'
    import json

    answer = json.loads(wire.http(server.port, "POST", "/words/_search", asked))
    assert answer["aggregations"]["n"]["values"]["50.0"] == 1
    return answer["hits"]["hits"][0]["_source"]["word"]


def write_sshd(server):
    _ssh(server, "printf 绩元 > word")


def read_sshd(server):
    return _ssh(server, "cat word")


def _ssh(server: Sshd, command: str) -> str:
    inside = f"cd {server.folder} && {command}"
    return subprocess.run(server.ssh(inside), check=True, capture_output=True, text=True, timeout=30).stdout


CLIENTS: dict[str, tuple[Write, Read]] = {
    row.word: (globals()[f"write_{row.word}"], globals()[f"read_{row.word}"]) for row in SERVICES if row.server
}


def _family(pid: int) -> list[int]:
    """Return `pid` and the ids of all its descendants."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in children.read_text().split()]
    return found


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _listening(pids: list[int]) -> set[str]:
    """Return the addresses on which these processes listen, TCP over IPv4 and IPv6."""
    sockets = {
        link.readlink().name
        for pid in pids
        for link in Path(f"/proc/{pid}/fd").glob("*")
        if link.is_symlink() and str(link.readlink()).startswith("socket:")
    }
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                raw = bytes.fromhex(fields[1].partition(":")[0])
                found.add(".".join(map(str, raw[::-1])) if table == "tcp" else "ipv6 " + raw.hex())
    return found
