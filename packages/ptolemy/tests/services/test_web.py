"""The page without a browser: who is let in, what an action needs, and what strangers get."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from ptolemy.errors import BackendUnavailable
from ptolemy.http.tokens import Tokens
from ptolemy.services import Component, LogPart, State, open_services
from ptolemy.testing.services import until
from ptolemy.web.alerts import Alerts
from ptolemy.web.app import Page, application
from ptolemy.web.audit import Audit
from ptolemy.web.board import Board
from ptolemy.web.running import read_webhook
from ptolemy.web.sessions import Sessions
from ptolemy.web.words import choose


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: str
    cookies: dict[str, str] = field(default_factory=dict)


@dataclass
class Browser:
    """Asks the application as a browser does: it keeps cookies."""

    page: Page
    host: str = "127.0.0.1:8101"
    cookies: dict[str, str] = field(default_factory=dict)
    messages: int = 1000

    def __call__(self, method: str, target: str, body: bytes = b"", **headers: str) -> Reply:
        path, _, query = target.partition("?")
        given = {"host": self.host, "accept": "text/html", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if self.cookies:
            given["cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
            "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "scheme": "http",
            "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 8101),
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in given.items()],
        }  # fmt: skip
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(application(self.page)(scope, receive, send))
        found = [(k.decode(), v.decode()) for k, v in sent[0]["headers"]]
        for name, value in found:
            if name == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        return Reply(sent[0]["status"], dict(found), b"".join(m.get("body", b"") for m in sent[1:]).decode())

    def get(self, target: str, **headers: str) -> Reply:
        return self("GET", target, **headers)

    def post(self, target: str, form: dict[str, str], **headers: str) -> Reply:
        return self("POST", target, urlencode(form).encode(), **headers)

    def csrf(self) -> str:
        """Return what the forms of this session send."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.get("/web/component?name=one").body)
        assert found is not None
        return found[1]


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "home" / "tokens.json", "ptl")


@pytest.fixture
def page(tmp_path: Path, tokens: Tokens) -> Iterator[Page]:
    """Give a page of one component that is not running; nothing asks in the background."""
    with open_services(f"process://{tmp_path}/kept") as services:
        board = Board(services, [Component("one", ("sleep", "1000"), cwd=tmp_path)])
        for feed in board._feeds.values():
            feed.states = feed.ask()
        audit = Audit(tmp_path / "web")
        yield Page(board, Alerts(tmp_path / "web", board.states), audit, tokens, Sessions(tokens, True))
        services.down()


@pytest.fixture
def browser(page: Page) -> Browser:
    return Browser(page)


def running(page: Page) -> list[State]:
    return [s for s in page.board.services.states() if s.state != "stopped"]


def test_every_answer_forbids_what_is_not_its_own(browser: Browser):
    for path in ("/web", "/web/component?name=one", "/web/static/page.js", "/web/nothing-here", "/web/log?name=none"):
        reply = browser.get(path)
        if reply.status != 404 or "log" in path:
            policy = reply.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert reply.headers["x-content-type-options"] == "nosniff"


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(browser: Browser):
    cookie = browser.get("/web").headers["set-cookie"].lower()

    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize("form", [{}, {"csrf": ""}, {"csrf": "guess"}])
def test_an_action_without_the_word_of_the_pages_own_form_does_nothing(
    browser: Browser, page: Page, form: dict[str, str]
):
    browser.get("/web")

    reply = browser.post("/web/act", {"name": "one", "verb": "up", **form})

    assert reply.status == 403
    assert running(page) == []
    assert page.audit.last(10) == []


def test_the_word_of_another_session_does_nothing(browser: Browser, page: Page):
    word = Browser(page).csrf()
    browser.get("/web")

    assert browser.post("/web/act", {"name": "one", "verb": "up", "csrf": word}).status == 403
    assert running(page) == []


def test_an_action_is_never_taken_by_reading(browser: Browser, page: Page):
    browser.get("/web")

    assert browser.get("/web/act?name=one&verb=up").status == 405
    assert running(page) == []


def test_an_action_is_taken_and_both_its_lines_are_kept(browser: Browser, page: Page):
    reply = browser.post("/web/act", {"name": "one", "verb": "up", "csrf": browser.csrf()})

    assert (reply.status, reply.headers["location"]) == (303, "/web/component?name=one")
    until(lambda: [line["result"] for line in page.audit.last(10)] == ["done", "asked"])
    assert [s.state for s in running(page)] == ["running"]


def test_an_action_of_which_no_line_can_be_kept_is_not_taken(browser: Browser, page: Page):
    word = browser.csrf()
    page.audit.path.parent.mkdir(exist_ok=True)
    page.audit.path.mkdir()

    assert browser.post("/web/act", {"name": "one", "verb": "up", "csrf": word}).status == 503
    assert running(page) == []


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"name": "on", "verb": "up"}, 404, "did you mean &#39;one&#39;?"),
        ({"name": "one", "verb": "format"}, 400, "nothing that can be done"),
        ({"name": "one"}, 400, "nothing that can be done"),
        ({"name": "<script>", "verb": "up"}, 404, "&lt;script&gt;"),
    ],
)
def test_an_action_on_nothing_is_said(browser: Browser, page: Page, form: dict[str, str], status: int, said: str):
    reply = browser.post("/web/act", {**form, "csrf": browser.csrf()})

    assert reply.status == status
    assert said in reply.body
    assert running(page) == []


def test_a_foreign_name_or_another_sites_page_is_refused(page: Page):
    assert Browser(page, host="evil.example").get("/web").status == 403
    assert Browser(page).get("/web", origin="http://evil.example").status == 403
    assert Browser(page, host="localhost:8101").get("/web").status == 200


def test_a_form_that_is_too_large_is_refused(browser: Browser):
    browser.get("/web")

    assert browser("POST", "/web/act", b"x" * 100_000).status == 400


def test_a_token_closes_every_page_and_wrong_ones_run_out(browser: Browser, page: Page, tokens: Tokens):
    browser.get("/web")
    made, text = tokens.create("desk", ("*",), 0, None)

    for path in ("/web", "/web/data", "/web/tokens", "/web/audit", "/web/alerts"):
        assert browser.get(path).headers["location"] == "/web/login"
    for path in ("/web/state.json", "/web/events", "/web/log?name=one", "/web/metrics"):
        assert browser.get(path, accept="*/*").status == 401
    assert browser.post("/web/act", {"name": "one", "verb": "up"}).status == 401

    codes = [browser.post("/web/login", {"token": f"wrong{n}"}).status for n in range(12)]
    assert codes == [401] * 10 + [429] * 2
    assert browser.post("/web/login", {"token": text}).headers["location"] == "/web"
    assert browser.get("/web").status == 200
    tokens.revoke(made.id)
    assert browser.get("/web").headers["location"] == "/web/login"


def test_a_token_of_some_interfaces_sees_no_page(browser: Browser, tokens: Tokens):
    _, text = tokens.create("small", ("daily", "index_*"), 0, None)

    assert browser.post("/web/login", {"token": text}).status == 401


def test_beyond_loopback_a_token_is_needed_even_where_none_exists(page: Page, tokens: Tokens):
    page.sessions = Sessions(tokens, loopback=False)

    assert Browser(page).get("/web").headers["location"] == "/web/login"


def test_the_states_are_there_for_programs(browser: Browser):
    (state,) = json.loads(browser.get("/web/state.json").body)
    assert (state["component"], state["state"], state["command"]) == ("one", "stopped", "sleep 1000")
    assert 'ptolemy_component_running{component="one"} 0' in browser.get("/web/metrics").body


def test_a_name_that_is_no_text_of_ours_is_escaped(browser: Browser, page: Page):
    hostile = '"><script>alert(1)</script>'
    page.board._feeds[""].states = [State(hostile, "failed", reason=hostile, last_lines=(hostile,), command=hostile)]

    for path in ("/web", "/web/component?" + urlencode({"name": hostile})):
        body = browser.get(path).body
        assert "<script>alert" not in body
        assert "&lt;script&gt;" in body


def test_a_number_that_is_none_is_said(browser: Browser, real: str, page: Page):
    page.store = real

    assert browser.get("/web/data/daily?page=x").status == 400
    assert browser.get("/web/data/daily?bars=99999999").status == 400
    assert browser.get("/web/data/none").status == 404
    assert browser.get("/web/log?name=one&offset=x").status == 400


def test_an_unknown_security_has_no_candles(browser: Browser, real: str, page: Page):
    page.store = real

    assert "There are no prices" in browser.get("/web/data/daily?code=NONE.US").body


def test_a_feed_that_fails_or_hangs_leaves_the_others(tmp_path: Path):
    class Two:
        """Services of three nodes: one answers, one fails, one never answers."""

        def configure(self, components: Any) -> None:
            pass

        def feeds(self) -> dict[str, Callable[[], list[State]]]:
            def fails() -> list[State]:
                raise BackendUnavailable("gone")

            return {"": lambda: [State("one", "running")], "bad": fails, "hung": lambda: pause.recv(1) and []}  # type: ignore[func-returns-value]

        def log(self, name: str, offset: int = -1, size: int = 0) -> LogPart:
            return LogPart("", 0)

    pause, other = socket.socketpair()
    board = Board(Two(), [])  # type: ignore[arg-type]
    board.start()

    until(lambda: any("gone" in s.reason for s in board.states()))
    until(lambda: board.get("one") is not None)
    assert {s.component: s.state for s in board.states()} == {"one": "running", "bad/": "unknown", "hung/": "unknown"}
    board.close()
    other.close()
    pause.close()


def test_an_alert_waits_for_its_grace_and_its_silence_outlives_the_page(tmp_path: Path):
    states = [State("one", "failed", reason="it fell")]
    alerts = Alerts(tmp_path, lambda: states, grace=1000)
    alerts.look()
    assert alerts.all() == []

    alerts = Alerts(tmp_path, lambda: states, grace=0)
    alerts.look()
    assert [(a.component, a.reason, a.is_silent) for a in alerts.all()] == [("one", "it fell", False)]
    alerts.silence("one", 3600)
    after = Alerts(tmp_path, lambda: states, grace=0)
    after.look()
    assert [a.is_silent for a in after.all()] == [True]
    after.silence("one", 0)
    assert [a.is_silent for a in after.all()] == [False]
    states.clear()
    after.look()
    assert after.all() == []


def test_the_language_is_what_was_chosen_else_what_the_browser_wants():
    assert choose("zh", "en") == "zh"
    assert choose("", "fr, zh-CN;q=0.9, en;q=0.8") == "zh"
    assert choose("xx", "fr") == "en"


def test_a_webhook_comes_from_a_file_and_must_be_a_url(ptolemy: Any, tmp_path: Path):
    (tmp_path / "hook").write_text("ftp://example\n")

    code, _, err = ptolemy("web", "--webhook-file", str(tmp_path / "hook"))
    assert (code, "holds no URL" in err) == (2, True)
    assert ptolemy("web", "--webhook-file", str(tmp_path / "none")).code == 2
    (tmp_path / "hook").write_text("https://example/secret\n")
    assert read_webhook(tmp_path / "hook") == "https://example/secret"


def test_a_port_that_is_taken_is_a_conflict(ptolemy: Any):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = ptolemy("web", "--port", str(taken.getsockname()[1]))

    assert code == 5
    assert "hint: ptolemy web --port" in err


def test_it_listens_on_loopback_alone_and_ends_with_a_signal(tmp_path: Path):
    command = [str(Path(sys.executable).with_name("ptolemy")), "web", "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = json.loads("".join(process.stdout.readline() for _ in range(4)))
        assert found["tokens"] == "none"
        assert found["url"].startswith("http://127.0.0.1:")
        inodes = {str(fd.readlink())[8:-1] for fd in Path(f"/proc/{process.pid}/fd").iterdir() if fd.is_symlink()}
        listening = [
            line.split()[1].partition(":")[0]
            for table in ("tcp", "tcp6")
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
            if line.split()[3] == "0A" and line.split()[9] in inodes
        ]
        assert listening == ["0100007F"]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_an_action_goes_by_the_definition_of_its_moment(tmp_path: Path):
    known = [Component("one", ("sleep", "1000"), cwd=tmp_path)]
    with open_services(f"process://{tmp_path}/kept") as services:
        board = Board(services, list(known), lambda: list(known))
        known[0] = Component("one", ("sleep", "2000"), cwd=tmp_path)

        board.act("up", "one")

        assert services.states()[0].command == "sleep 2000"
        services.down()
