"""The monitor: what is recorded, where it goes, and what happens while the store is away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime

import pytest

import exia
import exia.monitor
import exia.params
import exia.redaction
import exia.strategies
from exia.errors import BackendUnavailable, BadInput, Conflict
from exia.monitor import open_monitor
from exia.monitor.delivery import deliver_left, logs
from exia.testing import MonitorContract
from exia.testing.monitor import document

SCHEMA = {"type": "object", "properties": {"window": {"type": "integer", "minimum": 1}}}


@pytest.fixture(params=["jsonl", pytest.param("elasticsearch", marks=pytest.mark.elasticsearch)])
def url(request, tmp_path) -> str:
    if request.param == "jsonl":
        return f"jsonl://{tmp_path}/days"
    pytest.importorskip("elasticsearch", reason="pip install 'jiyuan-exia[elasticsearch]' to run this")
    return f"{os.environ['EXIA_TEST_ELASTICSEARCH_URL']}/t{os.getpid()}-{time.monotonic_ns()}"


@pytest.fixture
def store(url):
    opened = open_monitor(url)
    yield opened
    for day in opened.days():
        opened.drop(day)
    opened.close()


@pytest.fixture
def monitor(store):
    with exia.monitor.start(store, service="test", every=1000) as running:
        yield running


def told(monitor, store, **where):
    """Return what the store has once everything has been delivered."""
    monitor.deliver()
    names = {name.replace("__", "."): value for name, value in where.items()}
    return store.query(where=names, limit=1000)


class TestStore(MonitorContract):
    """All of `MonitorContract`, once per backend."""


def test_an_event_has_the_field_names_of_ecs(monitor, store):
    before = datetime.now(UTC).isoformat(timespec="milliseconds")[:23]

    monitor.event("reloaded", 1_500_000, "success", message="as planned", trace_id="t-1", window=20, name="甲")

    (event,) = told(monitor, store, event__dataset="exia.event")
    assert event["@timestamp"][:23] >= before
    assert event["@timestamp"].endswith("Z")
    assert event["event"] | {"id": "", "sequence": 0} == {
        "kind": "event", "module": "exia", "dataset": "exia.event", "action": "reloaded", "outcome": "success",
        "duration": 1_500_000, "id": "", "sequence": 0,
    }  # fmt: skip
    assert event["message"] == "as planned"
    assert event["trace"] == {"id": "t-1"}
    assert event["exia"] == {"data": {"window": 20, "name": "甲"}}
    assert event["service"] == {"name": "test"}
    assert event["process"]["pid"] == os.getpid()
    assert event["ecs"]["version"].startswith("8.")


def test_a_failure_has_type_message_and_places_but_no_code_and_no_values(monitor, store):
    def connect():
        password = "hunter2"
        raise ConnectionError(f"no answer from mongodb://u:{password}@host, password={password}, Bearer abcdefghij")

    try:
        connect()
    except ConnectionError as exc:
        monitor.failed("connected", exc, 7, attempt=1)

    (event,) = told(monitor, store, event__outcome="failure")
    assert event["error"]["type"] == "builtins.ConnectionError"
    assert event["error"]["message"] == ("no answer from mongodb://u:[hidden]@host, password=[hidden], Bearer [hidden]")
    assert " in connect" in event["error"]["stack_trace"]
    assert "hunter2" not in json.dumps(event)
    assert "raise" not in event["error"]["stack_trace"]
    assert event["log"]["level"] == "error"


def test_secrets_are_hidden_by_the_name_of_their_field_and_by_their_form(monitor, store):
    key = "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----"

    monitor.event(
        "x", api_key="k", nested={"Password": "p", "ok": [1, "token: t0k"]}, key_file=key, note="AKIAABCDEFGHIJKLMNOP",
        webtoken="a", jwt="eyJhbGciOiJI.eyJzdWIi.sig", own="exia_0a1b2c3d_" + "A" * 43 + "_0a1b2c3d",
    )  # fmt: skip

    (event,) = told(monitor, store, event__action="x")
    data = event["exia"]["data"]
    assert data["nested"] == {"Password": "[hidden]", "ok": ["1", "token: [hidden]"]}
    assert {data[name] for name in ("api_key", "key_file", "note", "webtoken", "jwt", "own")} == {"[hidden]"}


def test_further_words_hide_fields(store, monkeypatch):
    monkeypatch.setenv("EXIA_HIDE", "client desk")

    with exia.monitor.start(store, every=1000) as monitor:
        monitor.event("x", client_name="A", window=1)
        (event,) = told(monitor, store, event__action="x")

    assert event["exia"]["data"] == {"client_name": "[hidden]", "window": 1}


def test_what_json_lacks_is_recorded_as_something_that_it_has(monitor, store):
    monitor.event("x", nan=float("nan"), when=date(2026, 1, 2), nested={1: {2}}, long="y" * 20_000)

    (event,) = told(monitor, store, event__action="x")
    data = event["exia"]["data"]
    assert (data["nan"], data["when"], data["nested"]) == (None, "2026-01-02", {"1": [2]})
    assert len(data["long"]) < 9_000


def test_pools_tell_of_themselves_and_are_sampled(monitor, store):
    with exia.pool(dict, max_size=4, name="scores", sample=1) as pool:
        monitor.sample()
        for _ in range(10):
            with pool.lease():
                pass
        pool.swap(list)
        with pytest.raises(ValueError, match="x"), pool.lease():
            raise ValueError("x")
        monitor.sample()
        events = told(monitor, store, exia__pool__name="scores")

    actions = [event["event"].get("action") for event in events]
    assert "pool-created" in actions
    assert "pool-swapped" in actions
    swapped = events[actions.index("pool-swapped")]["exia"]["pool"]
    assert (swapped["old"], swapped["new"]) == ("dict", "list")
    first, second = (event["exia"]["pool"] for event in events if event["event"]["kind"] == "metric")
    assert (first["calls"], first["max_size"], first["version"]) == (0, 4, "dict")
    assert (second["calls"], second["errors"], second["saturation"], second["version"]) == (11, 1, 0.0, "list")
    assert second["calls_per_second"] > 0
    assert second["hold"]["p50"] <= second["hold"]["p99"]


def test_samples_are_taken_by_themselves(store):
    with exia.pool(dict, name="scores"), exia.monitor.start(store, every=0.1) as monitor:
        until = time.monotonic() + 20
        while not (found := told(monitor, store, event__kind="metric")) and time.monotonic() < until:
            threading.Event().wait(0.05)

    assert found[0]["exia"]["pool"]["name"] == "scores"


def test_a_leak_is_an_alert_with_the_place_of_the_borrower(monitor, store):
    with exia.pool(dict, name="scores", track="full", leak=exia.strategies.HeldFor(0.01)) as pool:
        lease = pool.acquire()
        until = time.monotonic() + 20
        while not pool.stats().leaked and time.monotonic() < until:
            pool.check()
        lease.release()

    found = told(monitor, store, event__kind="alert")
    assert found[0]["event"]["action"] == "pool-leaked"
    assert found[0]["event"]["duration"] >= 10_000_000
    assert "test_monitor.py" in found[0]["error"]["stack_trace"]


def test_parameters_that_change_or_are_rejected_are_told_of(monitor, store):
    class Momentum:
        def __init__(self, window):
            self.window = window

    exia.params.define("momentum", SCHEMA, {"window": 5})
    with (
        exia.pool(Momentum, params={"window": 5}, name="m") as pool,
        exia.params.follow("momentum", pool, check=lambda values: 1 / (values["window"] != 13)) as live,
    ):
        for window in (6, 13):
            live.wait(exia.params.set("momentum", {"window": window}, why="calmer").version)
    found = {one["event"]["action"]: one for one in told(monitor, store, event__dataset="exia.params")}

    changed = found["params-changed"]
    assert changed["exia"]["params"] == {"name": "momentum", "version": 2}
    assert (changed["message"], changed["event"]["outcome"]) == ("calmer", "success")
    assert "@" in changed["user"]["name"]
    assert found["params-rejected"]["event"]["kind"] == "alert"
    assert found["params-rejected"]["message"] == "division by zero"


def test_each_event_has_an_id_for_ever(monitor, store):
    for n in range(100):
        monitor.event("x", n)

    found = told(monitor, store, event__action="x")

    assert [one["event"]["duration"] for one in found] == list(range(100))
    assert len({one["event"]["id"] for one in found}) == 100
    assert all(one["event"]["id"].endswith(f"-{one['event']['sequence']}") for one in found)


def test_what_one_store_does_not_take_waits_on_this_disk_and_the_next_monitor_delivers_it(tmp_path):
    (tmp_path / "blocked").write_text("a file where a folder should be")
    with exia.monitor.start(f"jsonl://{tmp_path}/blocked", every=1000) as monitor:
        monitor.event("while away")
        monitor.flush()
        with pytest.raises(BackendUnavailable):
            monitor.deliver(1.0)
    assert len(list(logs().iterdir())) == 1

    with exia.monitor.start(f"jsonl://{tmp_path}/days", every=1000) as monitor:
        monitor.deliver()
        store = open_monitor(f"jsonl://{tmp_path}/days")
        assert [one["event"]["action"] for one in store.query()] == ["while away"]
    assert list(logs().iterdir()) == []


def test_what_a_killed_process_had_flushed_is_delivered_by_another(store, tmp_path):
    script = """
import os, signal, sys, exia.monitor
monitor = exia.monitor.start(f"jsonl://{sys.argv[1]}", every=1000)
for n in range(500):
    monitor.event("x", n)
monitor.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""
    (tmp_path / "blocked").write_text("")
    subprocess.run([sys.executable, "-c", script, tmp_path / "blocked"], check=False)

    assert deliver_left(store) == 500
    assert deliver_left(store) == 0

    assert [one["event"]["duration"] for one in store.query(limit=1000)] == list(range(500))


def test_a_delivery_that_was_cut_short_is_repeated_without_a_double(store, monkeypatch):
    monitor = exia.monitor.start(store, every=1000)
    from exia.monitor import delivery

    failures = iter([True, False])

    def cursor(path, at):
        if next(failures, False):
            raise BackendUnavailable("the disk is full")
        return keep(path, at)

    keep = delivery.write_cursor
    monkeypatch.setattr(delivery, "write_cursor", cursor)
    for n in range(10):
        monitor.event("x", n)
    try:
        monitor.deliver()
    except BackendUnavailable:
        monitor.deliver()
    monitor.close()

    assert [one["event"]["duration"] for one in store.query(where={"event.action": "x"})] == list(range(10))


def test_a_delivery_ends_although_more_is_recorded_all_the_while(store, monkeypatch):
    class Slow:
        """A store that is told of more while it takes what there is."""

        def __init__(self):
            self.told = 0

        def __getattr__(self, name):
            return getattr(store, name)

        def write(self, documents):
            if self.told < 200:
                self.told += 1
                monitor.event("more")
                monitor.flush()
            return store.write(documents)

    slow = Slow()
    with exia.monitor.start(slow, every=1000) as monitor:
        monitor.event("first")
        monitor.deliver()
        told, slow.told = slow.told, 200
        monitor.deliver()

    assert told < 100
    assert len(store.query(where={"event.action": "more"}, limit=1000)) >= told > 0


def test_a_document_that_the_store_will_never_take_is_set_aside(monitor, exia_home):
    class Picky:
        def write(self, documents):
            return [exia.monitor.Refused(one, "too odd") for one in documents if one["event"]["action"] == "odd"]

        def close(self):
            pass

    monitor.close()
    with exia.monitor.start(Picky(), every=1000) as other:
        other.event("odd")
        other.event("fine")
        other.deliver()

    (line,) = (exia_home / "monitor" / "log" / "refused.jsonl").read_text().splitlines()
    assert json.loads(line)["reason"] == "too odd"


def test_a_full_queue_drops_events_counts_them_and_says_so(tmp_path, monkeypatch):
    from exia.log import writer

    free = threading.Event()
    keep = writer._File.append
    monkeypatch.setattr(writer._File, "append", lambda self, payloads: (free.wait(), keep(self, payloads)))
    monkeypatch.setattr("exia.monitor.recorder._BOUND", 10_000)
    with exia.monitor.start(f"jsonl://{tmp_path}/days", every=1000) as monitor:
        for _ in range(30_000):
            monitor.event("x")
        assert (dropped := monitor.dropped) > 0
        free.set()
        monitor.deliver(60)
        lost = open_monitor(f"jsonl://{tmp_path}/days").query(where={"event.action": "events-lost"})

    assert sum(one["exia"]["monitor"]["lost"] for one in lost) == dropped


def test_a_long_text_is_looked_at_quickly(monitor, store):
    began = time.thread_time()
    exia.redaction.Redaction().text("y" * 200_000 + " token")
    exia.redaction.Redaction().text("token" * 40_000)

    assert time.thread_time() - began < 1.0


def test_a_process_has_one_monitor_at_a_time(monitor):
    assert exia.monitor.current() is monitor
    with pytest.raises(Conflict, match="service 'test'"):
        exia.monitor.start()

    monitor.close()

    assert exia.monitor.current() is None
    with pytest.raises(Conflict):
        monitor.event("too late")


def test_a_forked_child_records_nothing_and_may_start_a_monitor_of_its_own(monitor, store):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            monitor.event("in the child")
            assert exia.monitor.current() is None
            with exia.monitor.start(f"jsonl://{os.environ['EXIA_HOME']}/child", every=1000) as own:
                own.event("its own")
                own.deliver()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0

    assert told(monitor, store, event__action="in the child") == []


@pytest.mark.parametrize("every", [0, -1, float("nan"), "10", True])
def test_an_interval_that_is_none_is_refused(every):
    with pytest.raises(BadInput, match="every"):
        exia.monitor.start(every=every)


def test_days_files_are_json_lines_that_other_programs_can_read(tmp_path):
    store = open_monitor(f"jsonl://{tmp_path}/days")
    store.write([document(0)])

    (line,) = (tmp_path / "days" / "2026-01-02.jsonl").read_text().splitlines()

    assert json.loads(line) == document(0)


def test_a_torn_line_is_cut_off_and_written_again(tmp_path):
    path = tmp_path / "days" / "2026-01-02.jsonl"
    store = open_monitor(f"jsonl://{tmp_path}/days")
    store.write([document(n) for n in range(3)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])

    again = open_monitor(f"jsonl://{tmp_path}/days")
    assert len(again.query()) == 2
    again.write([document(n) for n in range(3)])

    assert path.read_bytes() == whole


def test_a_day_is_dropped_and_its_documents_could_be_written_again(tmp_path):
    store = open_monitor(f"jsonl://{tmp_path}/days")
    store.write([document(0)])
    store.drop(date(2026, 1, 2))

    store.write([document(0)])

    assert len(store.query()) == 1


@pytest.mark.elasticsearch
def test_the_daily_indices_have_the_types_of_the_template():
    import elasticsearch

    address = os.environ["EXIA_TEST_ELASTICSEARCH_URL"]
    prefix = f"typed{os.getpid()}"
    store = open_monitor(f"{address}/{prefix}?shards=1&replicas=0")
    pool = {"name": "a", "hold": {"p99": 5}, "saturation": 1, "calls_per_second": 3}
    store.write([document(0, exia={"pool": pool, "data": {"size": 1}}), document(1, exia={"data": {"size": 1.5}})])
    client = elasticsearch.Elasticsearch(address.replace("elasticsearch:", "http:"))
    index = f"{prefix}-2026.01.02"

    fields = client.indices.get_mapping(index=index)[index]["mappings"]["properties"]
    store.drop(date(2026, 1, 2))
    store.close()
    client.close()

    assert fields["@timestamp"]["type"] == "date"
    assert fields["event"]["properties"]["duration"]["type"] == "long"
    assert fields["exia"]["properties"]["pool"]["properties"]["hold"]["properties"]["p99"]["type"] == "long"
    assert fields["exia"]["properties"]["pool"]["properties"]["saturation"]["type"] == "double"
    assert fields["exia"]["properties"]["pool"]["properties"]["name"]["type"] == "keyword"


def test_unknown_monitor_backends_and_bad_addresses_are_named():
    with pytest.raises(BadInput, match="no monitor backend"):
        open_monitor("carbon://x")
    pytest.importorskip("elasticsearch")
    with pytest.raises(BadInput, match="names no host"):
        open_monitor("elasticsearch://")
    with pytest.raises(BadInput, match="no index can be called"):
        open_monitor("elasticsearch://127.0.0.1:9/Up")
    with pytest.raises(BadInput, match="shards"):
        open_monitor("elasticsearch://127.0.0.1:9/x?shards=many")


def test_a_server_that_is_not_there_is_said_at_once():
    pytest.importorskip("elasticsearch")
    began = time.monotonic()
    with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1:1"):
        open_monitor("elasticsearch://127.0.0.1:1").ping()
    assert time.monotonic() - began < 10
