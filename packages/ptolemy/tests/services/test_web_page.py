"""The page of the centre in a real browser."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ptolemy.testing.services import nobody_left, until

pytestmark = pytest.mark.chromium
PTOLEMY = str(Path(sys.executable).with_name("ptolemy"))

CENTRE = """
[services.api]
command = ["sh", "-c", "echo the api says '<b>hello</b>'; while :; do echo tick; sleep 0.2; done"]
ready = { log = "hello" }

[services.worker]
command = ["sh", "-c", "echo the token is $TOKEN; exec sleep 1000"]
depends_on = ["api"]
env = { TOKEN = "hunter2hunter2" }

[services.bad]
command = ["sh", "-c", "echo why it fell; exit 3"]
restart = "never"

[services.idle]
command = "sleep 1000"
"""


@dataclass
class Centre:
    url: str
    folder: Path
    env: dict[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PTOLEMY, *words], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=120
        )

    def states(self) -> dict[str, Any]:
        return {row["component"]: row for row in json.loads(self.run("status", "--json").stdout)}


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory, real: str) -> Iterator[Centre]:
    """Give a centre with a page: real bars, four components, one of which fell."""
    folder = tmp_path_factory.mktemp("centre")
    (folder / "jiyuan.toml").write_text(CENTRE)
    env = {
        "PATH": "/usr/bin:/bin", "HOME": str(folder), "PTOLEMY_HOME": str(folder / "home"),
        "XDG_CONFIG_HOME": str(folder), "PTOLEMY_SERIES": real,
    }  # fmt: skip
    with nobody_left(folder):
        found = Centre("", folder, env)
        found.run("up", "api", "worker")
        found.run("up", "bad")
        command = [PTOLEMY, "web", "--port", "0", "--json"]
        with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True) as web:
            assert web.stdout is not None
            lines = ""
            for line in web.stdout:
                lines += line
                if line.startswith("}"):
                    break
            found.url = json.loads(lines)["url"]
            yield found
            web.terminate()
        found.run("down")


BOTH = pytest.mark.parametrize("page", ["light", "dark"], indirect=True)


@pytest.fixture
def page(request: pytest.FixtureRequest, open_url: Callable[..., Any], centre: Centre) -> Iterator[Any]:
    page = open_url(centre.url, color_scheme=getattr(request, "param", "light"))
    yield page
    origin = centre.url.removesuffix("/web")
    assert page.said == []
    assert [url for url in page.asked if not url.startswith(origin)] == []


def tile(page: Any, name: str) -> Any:
    return page.locator(f"#tile-{name}")


@BOTH
def test_every_component_has_a_tile_with_what_it_does(page: Any):
    from playwright.sync_api import expect

    expect(tile(page, "api").locator(".state")).to_have_text("running")
    expect(tile(page, "bad").locator(".state")).to_have_text("failed")
    assert "why it fell" in tile(page, "bad").inner_text()
    assert "ended with code 3" in tile(page, "bad").inner_text()
    expect(tile(page, "idle").locator(".state")).to_have_text("stopped")
    for word in ("since", "restarts", "CPU", "memory", "data age", "heartbeat"):
        assert word in tile(page, "api").inner_text()


def test_a_program_that_is_killed_is_seen_without_asking(page: Any, centre: Centre):
    from playwright.sync_api import expect

    before = centre.states()["worker"]
    os.kill(before["pid"], signal.SIGKILL)

    expect(tile(page, "worker").locator("dd").nth(1)).to_have_text(str(before["restarts"] + 1))
    expect(tile(page, "worker").locator(".state")).to_have_text("running")


def test_a_component_is_started_restarted_and_stopped_after_a_question(page: Any, centre: Centre):
    from playwright.sync_api import expect

    page.goto(f"{centre.url}/component?name=idle")
    state = tile(page, "idle").locator(".state")
    for verb, then in (("Start", "running"), ("Restart", "running"), ("Stop", "stopped")):
        before = centre.states()["idle"]["pid"]
        page.get_by_text(verb, exact=True).click()
        page.locator("details[open]").get_by_role("button", name="Yes").click()

        expect(state).to_have_text(then)
        until(lambda before=before: centre.states()["idle"]["pid"] != before)
        page.goto(f"{centre.url}/component?name=idle")

    page.goto(f"{centre.url}/audit")
    rows = page.locator("tbody tr").all_inner_texts()
    assert [row.split("\t")[1:] for row in rows[:2]] == [
        ["anybody on this machine", "down", "idle", "done"], ["anybody on this machine", "down", "idle", "asked"],
    ]  # fmt: skip


def test_a_log_is_live_searched_and_never_read_as_a_page(page: Any, centre: Centre):
    from playwright.sync_api import expect

    page.goto(f"{centre.url}/component?name=api")
    log = page.locator("#log")
    expect(page.locator("#live")).to_be_visible()
    assert "<b>hello</b>" in log.inner_text()
    ticks = log.inner_text().count("tick")
    page.wait_for_function("n => document.getElementById('log').textContent.split('tick').length - 1 > n", arg=ticks)

    page.get_by_label("Search").fill("HELLO")

    expect(log).to_have_text("the api says <b>hello</b>")


def test_no_secret_is_on_the_page_of_a_component(page: Any, centre: Centre):
    page.goto(f"{centre.url}/component?name=worker")

    assert "the token is ***" in page.locator("#log").inner_text()
    assert "hunter2" not in page.content()


@BOTH
def test_data_sets_have_a_heat_map_and_candles(page: Any, centre: Centre):
    page.get_by_role("link", name="Data", exact=True).click()
    page.get_by_role("link", name="daily").click()
    assert page.locator(".heat tbody tr").count() == 5
    assert page.locator(".heat td.h10").count() > 100
    assert "AAPL" in page.locator(".heat td.h10").first.get_attribute("title")

    page.get_by_label("Security").fill("AAPL.US")
    page.get_by_role("button", name="Show").click()

    assert page.locator("#candles g").count() == 120
    box = page.locator("#candles").bounding_box()
    assert box["width"] > 300
    assert box["height"] > 100
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
    assert "open" in page.locator("#bar").inner_text()


def test_the_page_speaks_chinese_where_it_is_asked_to(page: Any, centre: Centre):
    page.get_by_role("link", name="中文").click()

    assert page.locator("h1").inner_text() == "组件"
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    page.goto(f"{centre.url}/data")
    assert page.locator("h1").inner_text() == "数据"
    page.get_by_role("link", name="English").click()
    assert page.locator("h1").inner_text() == "Data"


@BOTH
def test_light_and_dark_follow_the_system_and_can_be_chosen(page: Any):
    def back() -> int:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour[4:-1].split(","))

    is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert (back() < 200) is is_dark
    page.get_by_role("link", name="light" if is_dark else "dark").click()
    assert (back() < 200) is not is_dark
    page.get_by_role("link", name="Audit").click()
    assert (back() < 200) is not is_dark


def test_an_alert_is_shown_silenced_and_its_silence_ended(page: Any, centre: Centre):
    from playwright.sync_api import expect

    expect(page.locator("#alerts")).to_be_visible(timeout=20_000)
    page.get_by_role("link", name="Alerts").click()
    assert "bad" in page.locator("main").inner_text()

    page.get_by_role("button", name="Silence for an hour").click()
    expect(page.locator("#alerts")).to_be_hidden()
    assert "silent until" in page.locator("main").inner_text()
    page.get_by_role("button", name="End the silence").click()

    expect(page.locator("#alerts")).to_be_visible()


@BOTH
def test_every_page_stays_within_the_window_and_has_one_heading(page: Any, centre: Centre):
    page.set_viewport_size({"width": 390, "height": 800})
    for path in (
        "",
        "/component?name=api",
        "/data",
        "/data/daily?code=IBM.US",
        "/data/daily/quality",
        "/tokens",
        "/alerts",
        "/audit",
    ):
        page.goto(centre.url + path)
        assert page.locator("h1").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        unnamed = (
            "[...document.querySelectorAll('input:not([type=hidden]),select')].filter(e => !e.labels.length).length"
        )
        assert page.evaluate(unnamed) == 0


def test_the_page_can_be_read_and_used_without_its_script(browser: Any, centre: Centre):
    context = browser.new_context(java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    page.goto(f"{centre.url}/component?name=api")

    assert "hello" in page.locator("#log").inner_text()
    before = centre.states()["api"]["pid"]
    page.locator("summary", has_text="Restart").click()
    page.locator("details[open]").get_by_role("button", name="Yes").click()

    until(lambda: centre.states()["api"]["pid"] not in (before, None))


def test_a_token_closes_the_page_and_opens_it_to_who_has_it(browser: Any, centre: Centre, tmp_path: Path):
    with own_page(centre, tmp_path) as (url, env):

        def create(*words: str) -> str:
            command = [PTOLEMY, "token", "create", *words]
            return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.strip()

        made, narrow = create("desk"), create("small", "--scope", "daily")
        page = browser.new_context(locale="en-GB").new_page()
        page.goto(url)
        assert page.url.endswith("/web/login")
        for wrong in ("ptl_00000000_nothing_00000000", narrow):
            page.get_by_label("Token").fill(wrong)
            page.get_by_role("button", name="Sign in").click()
            assert "not valid" in page.locator("main").inner_text()
        page.get_by_label("Token").fill(made)
        page.get_by_role("button", name="Sign in").click()
        assert page.url.endswith("/web")

        page.get_by_role("link", name="Tokens and quotas").click()
        assert made.split("_")[2] not in page.content()
        page.locator("tr", has_text="desk").locator("summary", has_text="Revoke").click()
        page.locator("details[open]").get_by_role("button", name="Yes").click()

        # Its own token has just ended.
        assert page.url.endswith("/web/login")


def test_whoever_signs_out_in_one_tab_is_led_to_sign_in_in_the_others(browser: Any, centre: Centre, tmp_path: Path):
    from playwright.sync_api import expect

    shutil.copy(centre.folder / "jiyuan.toml", tmp_path)
    with own_page(centre, tmp_path) as (url, env):
        made = subprocess.run([PTOLEMY, "token", "create", "desk"], env=env, capture_output=True, text=True).stdout
        context = browser.new_context(locale="en-GB")
        leaving, tiles, log = (context.new_page() for _ in range(3))
        leaving.goto(url)
        leaving.get_by_label("Token").fill(made.strip())
        leaving.get_by_role("button", name="Sign in").click()
        refused: list[str] = []
        leaving.on("response", lambda answer: refused.append(answer.url) if answer.status == 401 else None)
        lost = "new MutationObserver(() => alert('lost')).observe(document.getElementById('lost'), {attributes: true})"
        alerts: list[str] = []
        for tab, place in ((tiles, url), (log, f"{url}/component?name=idle"), (leaving, f"{url}/component?name=api")):
            with tab.expect_response("**/web/events"):
                tab.goto(place)
        expect(leaving.locator("#live")).to_be_visible()
        tiles.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
        tiles.evaluate(f"{lost}; null")

        leaving.get_by_role("button", name="Sign out").click()

        for tab in (leaving, tiles, log):
            expect(tab.get_by_role("button", name="Sign in")).to_be_visible()
            assert tab.url.endswith("/web/login")
        assert refused == []
        assert "lost" not in alerts


def test_the_page_goes_on_when_its_server_is_back(centre: Centre, open_url: Callable[..., Any], tmp_path: Path):
    from playwright.sync_api import expect

    shutil.copy(centre.folder / "jiyuan.toml", tmp_path)
    with own_page(centre, tmp_path) as (url, _):
        page = open_url(f"{url}/component?name=idle")
        expect(page.locator("#live")).to_be_visible()
    expect(page.locator("#lost")).to_be_visible()
    expect(page.locator("#live")).to_be_hidden()

    port = url.removesuffix("/web").rpartition(":")[2]
    with own_page(centre, tmp_path, "--port", port):
        expect(page.locator("#lost")).to_be_hidden(timeout=30_000)
        expect(page.locator("#live")).to_be_visible(timeout=30_000)


def test_the_service_shows_the_page_to_a_token_with_its_scope(browser: Any, centre: Centre, tmp_path: Path):
    from playwright.sync_api import expect

    shutil.copy(centre.folder / "jiyuan.toml", tmp_path)
    with own_page(centre, tmp_path, "--web", by="serve") as (url, env):

        def run(*words: str) -> str:
            return subprocess.run([PTOLEMY, *words], cwd=tmp_path, env=env, capture_output=True, text=True).stdout

        made, bars = run("token", "create", "desk", "--scope", "web"), run("token", "create", "b", "--scope", "daily")
        run("up", "idle")
        page = browser.new_context(locale="en-GB").new_page()
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{url}/web")
        page.get_by_label("Token").fill(made.strip())
        page.get_by_role("button", name="Sign in").click()
        expect(tile(page, "idle").locator(".state")).to_have_text("running")

        def ask(token: str) -> int:
            headers = {"authorization": f"Bearer {token.strip()}"}
            return int(page.request.get(f"{url}/v1/daily?ts_code=IBM.US&limit=1", headers=headers).status)

        assert (ask(made), ask(bars)) == (403, 200)
        page.get_by_role("link", name="Tokens and quotas").click()
        assert "daily" in page.locator("main").inner_text()
        page.goto(f"{url}/web/component?name=idle")
        page.get_by_text("Stop", exact=True).click()
        page.locator("details[open]").get_by_role("button", name="Yes").click()
        expect(tile(page, "idle").locator(".state")).to_have_text("stopped")
        run("down")

    assert said == []
    assert [one for one in asked if not one.startswith(f"{url}/web")] == []


def test_a_webhook_is_told_of_an_alert_and_of_its_end(centre: Centre, tmp_path: Path):
    told: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as hook:
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        (tmp_path / "hook").write_text(f"http://127.0.0.1:{hook.server_port}/secret-path\n")
        (tmp_path / "jiyuan.toml").write_text(
            "[services.one]\nrestart = 'never'\ncommand = ['sh', '-c', '[ -e go ] && exec sleep 1000; exit 3']\n"
        )
        with own_page(centre, tmp_path, "--webhook-file", str(tmp_path / "hook")) as (_, env):
            subprocess.run([PTOLEMY, "up"], cwd=tmp_path, env=env, capture_output=True)
            until(lambda: len(told) == 1)
            (tmp_path / "go").touch()
            subprocess.run([PTOLEMY, "up"], cwd=tmp_path, env=env, capture_output=True)
            until(lambda: len(told) == 2)
            subprocess.run([PTOLEMY, "down"], cwd=tmp_path, env=env, capture_output=True)
        hook.shutdown()

    assert [(t["alert"], t["component"], t["state"]) for t in told] == [
        ("raised", "one", "failed"), ("ended", "one", "failed"),
    ]  # fmt: skip


class own_page:
    """A page of its own home, for tests that change tokens or need other options."""

    def __init__(self, centre: Centre, folder: Path, *words: str, by: str = "web") -> None:
        self.folder, self.words, self.by = folder, words, by
        self.env = {**centre.env, "PTOLEMY_HOME": str(folder / "home")}

    def __enter__(self) -> tuple[str, dict[str, str]]:
        command = [PTOLEMY, self.by, "--port", "0", "--json", *self.words]
        self.process = subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        lines = ""
        for line in self.process.stdout:
            lines += line
            if line.startswith("}"):
                break
        return json.loads(lines)["url"], self.env

    def __exit__(self, *exc: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=20)
