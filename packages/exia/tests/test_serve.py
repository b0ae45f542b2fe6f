"""A pool over HTTP, on this machine only."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading

import pytest

import exia
from exia.errors import BadInput
from exia.pooling.following import Follower
from exia.serving import LARGEST, PoolServer


class Model:
    def score(self, a, b=1):
        """Return a times b."""
        return a * b

    def fails(self):
        raise ValueError("no data")

    def numbers(self):
        return (1, float("nan"))


@pytest.fixture
def server():
    with exia.pool(Model, max_size=2, timeout=0, name="models") as pool, PoolServer(pool, 0) as server:
        yield server


def ask(server, method, path, body=None, **headers):
    """Return status and answer; JSON is read."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    sent = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
    connection.request(method, path, body if isinstance(body, bytes | None) else json.dumps(body), sent)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, json.loads(data) if "json" in answer.headers["Content-Type"] else data.decode()


def test_a_method_is_called_with_json_by_position_and_by_name(server):
    assert ask(server, "POST", "/call/score", [3, 4]) == (200, {"result": 12, "version": "Model"})
    assert ask(server, "POST", "/call/score", {"a": 5})[1]["result"] == 5
    assert ask(server, "POST", "/call/numbers", [])[1]["result"] == [1, None]


def test_what_the_server_tells(server):
    assert ask(server, "GET", "/healthz") == (200, {"status": "ok", "pool": "models", "version": "Model"})
    assert ask(server, "GET", "/methods")[1]["score"] == {"signature": "(a, b=1)", "summary": "Return a times b."}
    assert ask(server, "GET", "/stats")[1]["max_size"] == 2
    assert 'exia_pool_max_size{pool="models"} 2' in ask(server, "GET", "/metrics")[1]


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/call/scor", [1], 404, "did you mean 'score'?"),
        ("/call/score", [], 400, "call it as score(a, b=1)"),
        ("/call/__init__", [], 404, "no method"),
        ("/call/fails", [], 500, "ValueError: no data"),
        ("/call/score", b"{", 400, "no JSON"),
        ("/call/score", 3, 400, "neither a list nor an object"),
        ("/swap", {}, 404, "there is no /swap"),
    ],
)
def test_mistakes_are_answered_with_a_status_and_a_way_out(server, path, body, status, text):
    got, answer = ask(server, "POST", path, body)

    assert got == status
    assert text in f"{answer['error']} {answer['hint']}"


def test_a_pool_that_is_busy_says_so(server):
    held = [server.pool.acquire(), server.pool.acquire()]
    assert ask(server, "POST", "/call/score", [1])[0] == 503
    for lease in held:
        lease.release()
    assert ask(server, "POST", "/call/score", [1])[0] == 200


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Host": ""}, {"Origin": "http://evil.example"}, {"Origin": "null"}],
)
def test_requests_from_elsewhere_are_refused(server, headers):
    assert ask(server, "POST", "/call/score", [1], **headers)[0] == 403
    assert server.pool.stats().leases == 0


def test_a_page_cannot_send_a_call_as_a_form(server):
    assert ask(server, "POST", "/call/score", [1], Content_Type="text/plain")[0] == 400


def test_its_own_page_may_call(server):
    host = f"localhost:{server.server_port}"
    assert ask(server, "POST", "/call/score", [1], Host=host, Origin=f"http://{host}")[0] == 200


def test_a_body_that_is_too_large_is_refused_before_it_is_read(server):
    assert ask(server, "POST", "/call/score", b"", Content_Length=str(LARGEST + 1))[0] == 413


def test_a_port_that_is_taken_is_refused(server):
    with pytest.raises(BadInput, match="cannot be taken"):
        PoolServer(server.pool, server.server_port)


def test_the_server_listens_on_loopback_alone(server):
    assert server.server_address[0] == "127.0.0.1"


def test_errors_of_calls_are_counted_and_failing_versions_taken_back(server):
    for _ in range(3):
        ask(server, "POST", "/call/fails", [])
    assert server.pool.stats().errors == 3


def test_no_call_is_lost_over_http_while_the_version_is_swapped(server):
    class Next(Model):
        pass

    server.pool.configure(timeout=30)
    statuses, stop = [], threading.Event()

    def work():
        while not stop.is_set():
            statuses.append(ask(server, "POST", "/call/score", [2, 2]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(10):
        server.pool.swap(Next if n % 2 else Model, watch=0)
    stop.set()
    for thread in threads:
        thread.join()

    assert {status for status, _ in statuses} == {200}
    assert {answer["result"] for _, answer in statuses} == {4}


def test_a_moved_ref_is_followed_and_a_bad_version_is_not_tried_twice(tmp_path, monkeypatch, caplog):
    import importlib

    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "followed.py"
    module.write_text("class Model:\n    pass\n")
    from exia.pooling import following

    labels = iter(["one", "one", "two", "bad", "bad", "three"])

    def resolved(ref):
        from exia.pooling.targets import Target
        from exia.pooling.targets import resolved as real

        found = real(ref)
        return Target(found.verbs, found.name, next(labels), found.methods)

    monkeypatch.setattr(following, "resolved", resolved)
    with exia.pool("python:followed:Model") as pool, Follower(pool, "python:followed:Model", every=3600) as follower:
        assert not follower.look()
        assert follower.look()
        monkeypatch.setattr(importlib.import_module("followed"), "Model", lambda: None)
        assert not follower.look()
        assert "stays at" in caplog.text
        assert not follower.look()
        monkeypatch.setattr(importlib.import_module("followed"), "Model", Model)
        assert follower.look()


def test_serve_runs_until_it_is_told_to_end():
    program = "from exia.cli import main; main()"
    words = ["serve", "python:statistics:NormalDist", "--port", "0", "--follow", "60", "--json", "--quiet"]
    process = subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = json.loads("".join(process.stdout.readline() for _ in range(4)))
        assert told["version"].startswith("NormalDist@")
        port = int(told["url"].rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/call/cdf", "[0]", {"Content-Type": "application/json"})
        assert json.loads(connection.getresponse().read())["result"] == 0.5
        connection.close()
    finally:
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "")
