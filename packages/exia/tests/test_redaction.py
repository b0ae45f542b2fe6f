"""No secret is recorded: not by a run, not by the monitor, under whatever name and in whatever text."""

from __future__ import annotations

import contextlib
import json
import sys

import pytest

import exia
import exia.monitor
from exia.captured import PIECE, Captured, printed
from exia.redaction import HIDDEN, Redaction, configured

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIcanary\nAAAAcanary\n-----END RSA PRIVATE KEY-----"


@pytest.fixture
def store():
    with contextlib.closing(exia.open_runs()) as opened:
        yield opened


def everything(store, run):
    return json.dumps(vars(store.get(run.id)), ensure_ascii=False)


@pytest.mark.parametrize(
    "text",
    [
        'connect(password="canary")',
        "connect(password='canary two', host='db')",
        'connect(password=f"canary two", host="db")',
        'os.environ["DB_PASSWORD"] = "canary"',
        "{'api_key': 'canary', 'window': 20}",
        'def login(user: str, password: str = "canary") -> None:',
        'def login(user: str, password: str | None = "canary") -> None:',
        'if token == "canary":',
        "password: canary",
        "login --api-key canary --desk alpha",
        "mongodb://desk:canary@db:27017/exia",
        "mongodb://desk:c@nary@canary@db:27017/exia",
        "https://host/path?access_token=canary&page=1",
        "Authorization: Bearer canarycanary",
        "ghp_canarycanarycanarycanary",
        "sk-canary-canarycanarycanary",
        PEM,
    ],
)
def test_a_text_is_told_without_its_secret(text):
    told = Redaction().text(text)

    assert "canary" not in told
    assert HIDDEN in told


@pytest.mark.parametrize(
    "text",
    [
        "window = 20, desk: alpha",
        "https://host:8200/call/signal",
        "the tokenizer = fast",
        "postgresql://reader@db/exia",
        "ValueError: 3 of 5 prices are missing",
    ],
)
def test_a_text_without_a_secret_stays_as_it_is(text):
    assert Redaction().text(text) == text


@pytest.mark.parametrize(
    ("name", "value", "hidden"),
    [
        ("api_key", "a", True), ("apiKey", "a", True), ("DB-Password", "a", True), ("pin_token", 1234, True),
        ("max_tokens", 512, False), ("tokens", ["a"], True), ("tokenizer", "fast", False), ("window", 20, False),
    ],
)  # fmt: skip
def test_a_field_is_hidden_for_its_name(name, value, hidden):
    assert (Redaction().value("", {name: value}) == {name: HIDDEN}) is hidden


def test_words_are_added_and_taken_away_in_one_place(monkeypatch):
    monkeypatch.setenv("EXIA_HIDE", "desk -cookie")

    rules = configured()

    assert rules.value("", {"desk": "a", "cookie": "b", "token": "c"}) == {
        "desk": HIDDEN, "cookie": "b", "token": HIDDEN,
    }  # fmt: skip


def test_what_the_environment_keeps_secret_is_hidden_wherever_it_stands(monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", "canary-1")
    monkeypatch.setenv("EXIA_RUNS", "mongodb://desk:canary%202@db:27017/exia")
    monkeypatch.setenv("PWD", "/srv/work")

    assert configured().text("canary-1 was refused, canary 2 too, in /srv/work") == (
        f"{HIDDEN} was refused, {HIDDEN} too, in /srv/work"
    )


def _connect(url):
    raise ConnectionError(f"{url} does not answer")


def _call_with_a_secret():
    password = "canary"
    try:
        _connect(f"mongodb://desk:{password}@db:27017/exia")
    except ConnectionError as exc:
        exc.add_note(f"password={password}")
        raise RuntimeError("token: canary") from exc


def test_a_runs_traceback_has_its_lines_of_code_but_no_secret(store):
    run = exia.run("breaks")
    with pytest.raises(RuntimeError), run:
        _call_with_a_secret()

    kept = store.get(run.id)
    assert "canary" not in everything(store, run)
    assert kept.error == f"RuntimeError: token: {HIDDEN}"
    assert '_connect(f"mongodb://desk:' in kept.traceback
    assert "ConnectionError: mongodb://desk:[hidden]@db:27017/exia does not answer" in kept.traceback


def test_params_tags_notes_and_facts_of_a_run_have_no_secret(store):
    params = {"window": 20, "api_key": "canary-1", "source": {"url": "https://u:canary@host/x", "max_tokens": 512}}
    with exia.run("given", params=params, tags={"token": "canary-2", "desk": "alpha"}) as run:
        run.log_params({"passwords": ["canary-3"], "ratio": 0.5})
        run.note("works with password=canary")
        run.log_dataset("bars", "7", secret="canary-4", origin="https://u:canary@host")
        run.log_artifact(b"1", "token_counts.csv")

    kept = store.get(run.id)
    assert "canary" not in everything(store, run)
    assert kept.params == {
        "window": 20, "api_key": HIDDEN, "ratio": 0.5, "passwords": HIDDEN,
        "source": {"url": "https://u:[hidden]@host/x", "max_tokens": 512},
    }  # fmt: skip
    assert kept.tags == {"token": HIDDEN, "desk": "alpha"}
    assert kept.artifacts["token_counts.csv"]["size"] == 1


def test_a_secret_that_a_run_was_given_is_hidden_in_what_it_says_later(store, capsys):
    run = exia.run("given", params={"api_key": "canary-1"}, capture=True).start()
    print("the key is", "canary-1")
    run.finish("failed", KeyError("canary-1"))

    assert "canary" not in everything(store, run)
    assert "the key is [hidden]" in printed(store.get(run.id).output)
    assert "canary-1" in capsys.readouterr().out


def test_no_secret_of_the_command_line_is_recorded(store, monkeypatch):
    words = ["/srv/run.py", "--desk", "alpha", "--api-key", "canary1", "--token=canary2", "mongodb://li:canary3@db/x"]
    monkeypatch.setattr(sys, "argv", words)
    with exia.run("started with secrets") as run:
        pass

    told = store.get(run.id).facts["command"]
    assert told[:3] == ["run.py", "--desk", "alpha"]
    assert "canary" not in " ".join(told)
    assert "mongodb://li:" in told[-1]


def test_what_is_printed_in_pieces_has_no_secret(store, capsys):
    with exia.run("talks", capture=True) as run:
        print("password", end=": ")
        run.beat()
        print("canary")
        print(PEM)
    capsys.readouterr()

    assert "canary" not in everything(store, run)
    assert printed(store.get(run.id).output) == f"password: {HIDDEN}\n{HIDDEN}\n"


@pytest.mark.parametrize("secret", ["password=canary\n", f"{PEM}\n"])
def test_a_secret_at_the_end_of_a_piece_is_not_cut_in_two(secret):
    for before in range(PIECE - len(secret) - 2, PIECE + 2):
        captured = Captured()
        captured.add("x" * (before - 1) + "\n" + secret + "after\n")

        text = printed(captured.take(Redaction().text, whole=True))

        assert "canary" not in text, before
        assert text.endswith("after\n")


def test_the_monitor_follows_the_same_rules(tmp_path, monkeypatch):
    monkeypatch.setenv("EXIA_HIDE", "desk")
    monkeypatch.setenv("DB_PASSWORD", "canary-1")
    with exia.monitor.start(f"jsonl://{tmp_path}/days", every=1000) as monitor:
        try:
            _call_with_a_secret()
        except RuntimeError as exc:
            monitor.failed("connected", exc, desk="canary", trace_id="canary-1", said="canary-1 is wrong")
        monitor.deliver()
        (event,) = monitor.store.query(where={"event.outcome": "failure"})

    assert "canary" not in json.dumps(event)
    assert " in _call_with_a_secret" in event["error"]["stack_trace"]
    assert "_connect(" not in event["error"]["stack_trace"]
