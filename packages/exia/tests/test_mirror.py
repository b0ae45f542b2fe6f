"""Runs are copied to a real MLflow server; what it has is asked with its own REST interface."""

from __future__ import annotations

import json
import socket
import threading
import urllib.request
from urllib.parse import urlsplit

import pytest

import exia
from exia.errors import BackendUnavailable, BadInput, NotAllowed, RunNotFound
from exia.mirror import open_mirror
from exia.params.version import ParamsVersion
from exia.runs import Point, RunRecord, journal
from exia.runs.backlog import backlogs

AT = "2026-01-02T03:04:05.000000+00:00"
LATER = "2026-01-02T03:05:05.000000+00:00"


class Asked:
    """What the server itself says of a run of ours."""

    def __init__(self, url):
        self.url = url
        self._base = "http://" + urlsplit(url).netloc
        self._experiment = urlsplit(url).path.strip("/")

    def ask(self, verb, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self._base}/api/2.0/mlflow/{verb}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def runs(self, run_id):
        found = self.ask(f"experiments/get-by-name?experiment_name={self._experiment}")
        experiment = found["experiment"]["experiment_id"]
        wanted = {"experiment_ids": [experiment], "filter": f"tags.`exia.run_id` = '{run_id}'"}
        return self.ask("runs/search", wanted).get("runs", [])

    def run(self, run_id):
        (run,) = self.runs(run_id)
        data = run["data"]
        return {
            "info": run["info"],
            "params": {p["key"]: p["value"] for p in data.get("params", [])},
            "tags": {t["key"]: t["value"] for t in data.get("tags", [])},
            "metrics": {m["key"]: m["value"] for m in data.get("metrics", [])},
        }

    def history(self, run_id, metric):
        mlflow_id = self.run(run_id)["info"]["run_id"]
        found = self.ask(f"metrics/get-history?run_id={mlflow_id}&metric_key={metric}")
        return [(m["step"], m["value"]) for m in found["metrics"]]

    def file(self, run_id, name):
        path = self.run(run_id)["info"]["artifact_uri"].partition(":/")[2]
        with urllib.request.urlopen(f"{self._base}/api/2.0/mlflow-artifacts/artifacts/{path}/{name}") as answer:
            return answer.read()


@pytest.fixture
def server(mlflow_url):
    return Asked(mlflow_url)


@pytest.fixture
def mirror(server):
    mirror = open_mirror(server.url)
    yield mirror
    mirror.close()


def started(mirror, run_id="r1", **values):
    mirror.start(RunRecord(**{"id": run_id, "name": "momentum", "started": AT, "host": "desk", **values}))


def points(*values, first=0, metric="ic"):
    return [Point(first + n, metric, value, first + n, AT) for n, value in enumerate(values)]


@pytest.mark.mlflow
def test_a_run_is_copied_with_all_that_it_has(server, monkeypatch, tmp_path):
    monkeypatch.setenv("EXIA_MIRROR", server.url)
    with exia.run("momentum-live", params={"window": 20, "names": ["a"]}, tags={"desk": "甲"}) as run:
        for n in range(1_500):
            run.log_metric("val/ic", n / 1_000)
        run.log_params({"late": True})
        run.log_artifact(b"<svg/>", "plots/ic.svg")
        run.note("looks good")
        run.log_parameters(ParamsVersion("momentum", 3, {}, {}, "", "li"))
    journal.close_journals()

    kept = server.run(run.id)
    assert (kept["info"]["run_name"], kept["info"]["status"]) == ("momentum-live", "FINISHED")
    assert kept["params"] == {"window": "20", "names": '["a"]', "late": "true"}
    assert kept["tags"]["desk"] == "甲"
    assert kept["tags"]["mlflow.note.content"].endswith(" looks good")
    assert kept["tags"]["exia.parameters/momentum"] == '{"version": 3}'
    assert kept["metrics"]["val/ic"] == 1.499
    assert len(server.history(run.id, "val/ic")) == 1_500
    assert server.file(run.id, "plots/ic.svg") == b"<svg/>"


@pytest.mark.mlflow
def test_delivering_again_changes_nothing(server, mirror):
    for _ in range(2):
        started(mirror, params={"window": 20})
        mirror.log("r1", points(0.1, 0.2, 0.2))
        mirror.log("r1", (), {"notes": {AT: "once"}, "tags": {"a": "b"}})
        mirror.attach("r1", "a.txt", b"a")
        mirror.finish("r1", "failed", LATER, "ValueError: no", "Traceback ...")
    mirror.finish("r1", "finished", AT)

    assert len(server.runs("r1")) == 1
    kept = server.run("r1")
    assert server.history("r1", "ic") == [(0, 0.1), (1, 0.2), (2, 0.2)]
    assert (kept["info"]["status"], kept["tags"]["exia.error"]) == ("FAILED", "ValueError: no")
    assert kept["tags"]["mlflow.note.content"] == f"{AT} once"


@pytest.mark.mlflow
def test_a_param_that_changes_is_a_tag_since_those_of_mlflow_do_not(server, mirror):
    started(mirror, params={"window": 20})

    mirror.log("r1", (), {"params": {"window": 30, "top": 3}})

    kept = server.run("r1")
    assert kept["params"]["window"] == "20"
    assert kept["tags"]["param.window"] == "30"


@pytest.mark.mlflow
def test_another_mirror_finds_what_the_first_has_made(server, mirror):
    started(mirror)
    other = open_mirror(server.url)
    other.log("r1", points(0.5))
    other.finish("r1", "interrupted", LATER)
    other.close()

    assert server.run("r1")["info"]["status"] == "KILLED"
    assert server.history("r1", "ic") == [(0, 0.5)]


@pytest.mark.mlflow
@pytest.mark.parametrize("run_id", ["ghost", "it's"])
def test_an_unknown_run_is_not_found(mirror, run_id):
    with pytest.raises(RunNotFound, match="has no run"):
        mirror.log(run_id, points(0.1))


@pytest.mark.mlflow
def test_names_that_mlflow_does_not_take_and_long_values_are_bent(server, mirror):
    started(mirror, params={"a@b": "x" * 10_000}, tags={"t=1": "y" * 10_000})
    mirror.log("r1", points(1.0, metric="p~q"))

    kept = server.run("r1")
    assert len(kept["params"]["a_b"]) == 6_000
    assert len(kept["tags"]["t_1"]) == 5_000
    assert kept["metrics"] == {"p_q": 1.0}


@pytest.mark.mlflow
def test_it_says_that_it_answers(mirror):
    assert mirror.ping().startswith("MLflow 3.")


@pytest.mark.mlflow
def test_tags_and_notes_of_a_run_that_has_ended_are_copied(server, monkeypatch):
    monkeypatch.setenv("EXIA_MIRROR", server.url)
    with exia.run("ended", tags={"desk": "alpha"}) as run:
        pass
    exia.add_tags(run.id, {"stage": "live", "desk": "beta"})
    exia.add_note(run.id, "best of May")
    journal.close_journals()
    store = exia.open_runs()
    exia.add_tags(run.id, {"by": "li"}, store=store)
    store.close()
    journal.close_journals()

    kept = server.run(run.id)
    assert {key: kept["tags"][key] for key in ("stage", "desk", "by")} == {"stage": "live", "desk": "beta", "by": "li"}
    assert kept["tags"]["mlflow.note.content"].endswith(" best of May")
    assert kept["info"]["status"] == "FINISHED"


def test_a_tag_waits_for_a_mirror_that_is_down_and_is_not_given_to_the_store_twice(monkeypatch):
    with exia.run("down") as run:
        pass
    down = f"mlflow://127.0.0.1:{_free_port()}/x"
    monkeypatch.setenv("EXIA_MIRROR", down)
    exia.add_tags(run.id, {"stage": "live"})
    monkeypatch.setenv("EXIA_MIRROR", "none")
    exia.add_tags(run.id, {"stage": "over"})
    journal.close_journals()

    assert exia.get_run(run.id).tags == {"stage": "over"}
    assert [(b.port, b.place) for b in backlogs()] == [("mirror", down)]


def test_a_mirror_that_is_down_delays_neither_the_run_nor_the_store(monkeypatch, caplog):
    down = f"mlflow://127.0.0.1:{_free_port()}/x"
    monkeypatch.setenv("EXIA_MIRROR", down)
    with exia.run("down") as run:
        run.log_metric("ic", 0.5)
    journal.close_journals()

    store = exia.open_runs()
    assert store.get(run.id).status == "finished"
    store.close()
    assert [(b.port, b.place) for b in backlogs()] == [("mirror", down)]
    assert "exia runs ship" in caplog.text


def test_a_mirror_that_does_not_answer_is_told():
    with pytest.raises(BackendUnavailable, match="did not answer"):
        open_mirror(f"mlflow://desk:canary@127.0.0.1:{_free_port()}/x")


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, NotAllowed), (403, NotAllowed), (429, BackendUnavailable), (503, BackendUnavailable), (400, BadInput)],
)
def test_what_a_server_refuses_is_told_without_the_password(status, error):
    answer = f"HTTP/1.1 {status} No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
    with _answering(answer) as port, pytest.raises(error) as caught:
        open_mirror(f"mlflow://desk:canary@127.0.0.1:{port}/x")
    assert "canary" not in str(caught.value)


def test_another_kind_of_server_is_told():
    answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>"
    with _answering(answer) as port, pytest.raises(BackendUnavailable, match="did not answer as MLflow does"):
        open_mirror(f"mlflow://127.0.0.1:{port}/x")


def test_a_mirror_without_a_host_is_refused():
    with pytest.raises(BadInput, match="names no host"):
        open_mirror("mlflow:///x")


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


class _answering:
    """A socket that gives one answer to whoever asks."""

    def __init__(self, answer):
        self._answer = answer.encode()

    def __enter__(self):
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self._server.getsockname()[1]

    def _serve(self):
        try:
            while True:
                client, _ = self._server.accept()
                with client:
                    client.recv(65_536)
                    client.sendall(self._answer)
        except OSError:
            return

    def __exit__(self, *exc):
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()
