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


@pytest.fixture
def tokens():
    from exia.tokens import Tokens

    return Tokens()


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


def test_once_there_is_a_token_every_caller_needs_one(server, tokens):
    assert ask(server, "POST", "/call/score", [1])[0] == 200

    made, text = tokens.create("desk")

    assert ask(server, "POST", "/call/score", [1])[0] == 401
    assert ask(server, "GET", "/metrics")[0] == 401
    assert ask(server, "POST", "/call/score", [1], **bearer(text)) == (200, {"result": 1, "version": "Model"})
    tokens.revoke(made.id)
    assert ask(server, "POST", "/call/score", [1], **bearer(text))[0] == 401
    assert ask(server, "POST", "/call/score", [1])[0] == 401, "one that was revoked does not open the server again"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text[:-9],
        lambda text: text.replace("exia", "ptolemy"),
        lambda text: text[:20] + ("a" if text[20] != "a" else "b") + text[21:],
        lambda text: "exia___",
        lambda text: "甲" * 10,
    ],
)
def test_a_text_that_is_no_token_is_refused(server, tokens, change):
    _, text = tokens.create("desk")

    sent = f"Bearer {change(text)}".encode().decode("latin-1")

    assert ask(server, "GET", "/stats", Authorization=sent)[0] == 401
    assert ask(server, "GET", "/stats", Authorization=f"Basic {text}")[0] == 401


def test_a_token_calls_what_it_may(server, tokens):
    _, text = tokens.create("desk", ["sc*", "numbers"])

    assert ask(server, "POST", "/call/score", [1], **bearer(text))[0] == 200
    status, answer = ask(server, "POST", "/call/fails", [], **bearer(text))
    assert (status, answer["hint"]) == (403, "it may call sc*, numbers")


def test_a_token_ends_with_its_time_and_a_rotated_one_after_the_overlap(server, tokens):
    old, first = tokens.create("desk", ["score"], days=1e-9)
    assert ask(server, "GET", "/stats", **bearer(first))[0] == 401
    old, first = tokens.create("desk", ["score"])

    new, second = tokens.rotate(old.id, overlap=3600)
    assert {ask(server, "GET", "/stats", **bearer(text))[0] for text in (first, second)} == {200}
    tokens.rotate(new.id, overlap=0)

    assert ask(server, "GET", "/stats", **bearer(second))[0] == 401
    assert (new.name, new.methods) == ("desk", ("score",))


def test_without_a_token_health_says_only_that_it_serves(server, tokens):
    _, text = tokens.create("desk")

    assert ask(server, "GET", "/healthz") == (200, {"status": "ok"})
    assert ask(server, "GET", "/healthz", **bearer(text))[1]["version"] == "Model"


def test_the_secret_of_a_token_is_not_on_disk(tokens):
    _, text = tokens.create("desk")

    kept = tokens.path.read_text()

    assert text.split("_")[2] not in kept
    assert tokens.path.stat().st_mode & 0o077 == 0


def test_a_tokens_file_that_cannot_be_read_lets_nobody_in(server, tokens):
    _, text = tokens.create("desk")
    tokens.path.write_text("[{]")

    assert ask(server, "POST", "/call/score", [1], **bearer(text))[0] == 500
    assert server.pool.stats().leases == 0


def test_beyond_loopback_a_token_is_always_asked_for(tokens):
    with exia.pool(Model, name="models") as pool:
        with pytest.raises(BadInput, match="other machines"):
            PoolServer(pool, 0, "0.0.0.0")
        _, text = tokens.create("desk")
        with PoolServer(pool, 0, "0.0.0.0") as server:
            assert ask(server, "GET", "/stats")[0] == 401
            assert ask(server, "GET", "/stats", **bearer(text))[0] == 200
            assert ask(server, "GET", "/stats", Host="192.0.2.7:8200", **bearer(text))[0] == 200
            assert ask(server, "GET", "/stats", Host="evil.example", **bearer(text))[0] == 403


def test_an_address_of_another_machine_is_refused():
    with exia.pool(Model, name="models") as pool, pytest.raises(BadInput):
        PoolServer(pool, 0, "no-such-host.invalid")


@pytest.mark.parametrize("words", [("", ["x"]), ("a\n", ["x"]), ("a", []), ("a", [" "])])
def test_a_token_that_makes_no_sense_is_not_made(tokens, words):
    with pytest.raises(BadInput):
        tokens.create(*words)
    with pytest.raises(BadInput):
        tokens.create("a", days=-1)
    assert not tokens.path.exists()


def test_the_commands_make_list_rotate_and_end_tokens(tokens):
    def run(*words, code=0):
        program = "from exia.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", program, "token", *words], capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        return done.stdout

    text = run("create", "desk", "--method", "score").strip()
    made = tokens.find(text)
    assert (made.name, made.methods) == ("desk", ("score",))
    (row,) = json.loads(run("list", "--json"))
    assert (row["id"], row["state"]) == (made.id, "valid")
    assert text.split("_")[2] not in run("list", "--json")
    second = json.loads(run("rotate", made.id, "--overlap", "0", "--json"))
    assert tokens.find(text) is None
    assert tokens.find(second["token"]).name == "desk"
    run("revoke", second["id"], "--dry-run")
    assert tokens.find(second["token"]) is not None
    run("revoke", second["id"])
    assert tokens.find(second["token"]) is None
    run("revoke", "nobody", code=3)


def test_a_failed_call_is_recorded_and_the_status_page_shows_it(server):
    import exia.monitor

    assert ask(server, "GET", "/")[0] == 404
    with exia.monitor.start(service="served", every=1000) as monitor:
        ask(server, "POST", "/call/fails", [])
        monitor.sample()
        monitor.deliver()
        status, page = ask(server, "GET", "/")

    assert status == 200
    assert page.startswith("<!doctype html>")
    assert "no data" in page
    assert 'http-equiv="refresh"' in page
