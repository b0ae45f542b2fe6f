"""``jiyuan web`` in a real browser, over a small centre."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

import exia
import jiyuan.web
import kyrios
from jiyuan.web.words import CHINESE
from ptolemy.web.words import CHINESE as PTOLEMYS

pytestmark = pytest.mark.chromium
VIEWS = (
    "centre", "flows", "flows/flow", "flows/broken", "runs", "pools", "pools/scaling", "packages", "packages/scaling",
    "data", "data/daily", "tokens", "alerts", "audit",
)  # fmt: skip
BROWSERS = [("en", "light", "Centre"), ("zh", "dark", "中心"), ("en", "dark", "Centre"), ("zh", "light", "中心")]


@contextmanager
def served(centre: Any, *words: str) -> Iterator[dict[str, Any]]:
    """Keep the page, and give what the command said."""
    command = [str(Path(sys.executable).with_name("jiyuan")), "web", "--port", "0", "--json", *words]
    with subprocess.Popen(command, cwd=centre.folder, stdout=subprocess.PIPE, text=True) as web:
        assert web.stdout is not None
        said = ""
        for line in web.stdout:
            said += line
            if line.startswith("}"):
                break
        try:
            yield json.loads(said)
        finally:
            web.terminate()


@pytest.fixture(scope="module")
def run(shared_centre: Any) -> Any:
    """A run of a flow that used one package and one data set; another failed, and a third flow is broken."""
    found = shared_centre.run()
    with pytest.raises(kyrios.UnitFailed):
        shared_centre.run(algorithm="nothing@1.0")
    broken = shared_centre.folder / "broken"
    broken.mkdir()
    (broken / "flow.yaml").write_text(
        'kyrios: 1\nflow: broken\ninfo: {version: "1.0"}\nunits:\n  one: {use: nothing@1}\n'
    )
    return found


@pytest.fixture(scope="module")
def url(shared_centre: Any, run: Any) -> Iterator[str]:
    """Give the address of the page; this process keeps a pool."""
    flows = ("--flows", str(shared_centre.flow), "--flows", str(shared_centre.folder / "broken"))
    with served(shared_centre, *flows) as said, exia.pool("scaling@~=1.0", name="scaling", max_size=3) as pool:
        with pool.lease() as scale:
            assert scale.apply(1.0) == 2.0
        yield said["url"]


@pytest.fixture
def has_pool(url: str) -> None:
    """Wait until this process has said how its pool is: it does so each second while somebody looks."""
    import time

    end = time.monotonic() + 60
    while "scaling" not in _text(f"{url}/pools"):
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize(("language", "scheme", "word"), BROWSERS)
def test_every_view_is_whole_and_asks_nobody_else(
    url: str, run: Any, has_pool: None, open_url: Callable[..., Any], language: str, scheme: str, word: str
):
    page = open_url(f"{url}/centre?lang={language}", color_scheme=scheme)

    assert page.locator("h1").inner_text() == word
    assert page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-CN"}[language]
    for view in (*VIEWS, f"runs/{run.run_id}"):
        answer = page.goto(f"{url}/{view}")
        assert answer.status == 200, view
        page.wait_for_load_state("load")
        assert _lightness(page) > 0.8 if scheme == "light" else _lightness(page) < 0.2, view
    assert page.said == []
    assert [asked for asked in page.asked if not asked.startswith(url.removesuffix("/web"))] == []


def test_every_number_leads_to_its_source(url: str, run: Any, has_pool: None):
    numbers, places = [], set()
    for view in (
        "centre",
        "flows",
        "flows/flow",
        "runs",
        f"runs/{run.run_id}",
        "pools",
        "packages",
        "packages/scaling",
    ):
        text = _text(f"{url}/{view}")
        numbers += [(view, cell) for cell in re.findall(r'<td class="number">(.*?)</td>', text)]
        places |= {urljoin(f"{url}/{view}", place) for place in re.findall(r'href="(/web/[^"]*)"', text)}

    assert len(numbers) > 20
    assert [cell for cell in numbers if "href=" not in cell[1] and cell[1] != "-"] == []
    for place in places:
        assert _text(place), place


def test_a_number_leads_to_the_runs_and_from_there_to_what_gave_them(url: str, run: Any, open_url: Callable[..., Any]):
    page = open_url(f"{url}/centre?lang=en")
    page.locator(".card", has_text="Runs").get_by_role("link", name="2 flow").click()
    assert page.locator("tbody tr").count() == 2
    page.get_by_role("link", name="succeeded 1").click()
    page.locator("tbody a").first.click()

    assert run.run_id in page.locator("pre").inner_text()
    assert "scaling@1.0.0" in page.locator("pre").inner_text()
    page.locator("tr", has_text="scaling@1.0.0").get_by_role("link", name="1", exact=True).click()
    assert page.locator("tbody tr").count() == 1
    page.go_back()
    page.locator("tr", has_text="daily@v1").get_by_role("link", name="2", exact=True).last.click()
    assert page.locator("tbody tr").count() == 2  # the one that failed had read them


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("daily@v1", 2),
        ("daily@", 2),
        ("daily", 2),
        ("scaling@1.0.0", 1),
        ("scaled", 2),
        ("daily@v99", 0),
        ("x'\"<b>", 0),
    ],
)
def test_lineage_is_searched_by_what_was_used(url: str, run: Any, open_url: Callable[..., Any], text: str, found: int):
    page = open_url(f"{url}/runs?lang=en")
    page.get_by_label("Search the lineage").fill(text)
    page.get_by_role("button", name="Search").click()

    assert page.locator("tbody tr").count() == found
    assert page.get_by_text("Nothing is found.").is_visible() == (found == 0)
    assert page.get_by_label("Search the lineage").input_value() == text
    assert page.said == []


def test_a_flow_is_drawn_as_its_run_left_it_and_a_broken_one_says_where(
    url: str, run: Any, open_url: Callable[..., Any]
):
    page = open_url(f"{url}/flows/flow?run={run.run_id}")
    assert page.locator("svg .unit.state-succeeded").count() == 2

    page.goto(f"{url}/flows/flow")
    assert page.locator("svg .unit.state-failed").count() == 1

    page.goto(f"{url}/flows/broken")
    assert "flow.yaml:5" in page.locator(".reason").first.inner_text()


def test_a_pool_of_another_process_is_shown_with_what_it_does_now(
    url: str, has_pool: None, open_url: Callable[..., Any]
):
    page = open_url(f"{url}/pools?lang=en")

    assert page.locator("tbody tr td").all_inner_texts()[2:5] == ["scaling@1.0.0", "1", "3"]
    page.get_by_role("link", name="scaling", exact=True).click()
    assert "leases" in page.locator("dl.facts").inner_text()


def test_what_is_not_there_is_said(url: str):
    for place in ("packages/nothing", "runs/nothing", "pools/nothing", "flows/nothing"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            _text(f"{url}/{place}")


def test_a_backend_that_is_down_hides_nothing_else(shared_centre: Any, run: Any, open_url: Callable[..., Any]):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VEDA_REGISTRY", "clickhouse://127.0.0.1:1/veda")
        with served(shared_centre, "--flows", str(shared_centre.flow)) as said:
            page = open_url(f"{said['url']}/centre?lang=en")

            assert "127.0.0.1" in page.get_by_role("alert").first.inner_text()
            assert page.locator("tbody tr", has_text="scaled").count() == 2


def test_whoever_calls_the_page_by_another_name_sees_nothing(url: str):
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(urllib.request.Request(f"{url}/runs", headers={"Host": "elsewhere.example"}))


def test_beyond_this_machine_whoever_has_no_token_sees_nothing(shared_centre: Any):
    with served(shared_centre, "--host", "0.0.0.0") as said:
        assert said["tokens"] == "required"
        for view in ("centre", "runs", "packages", "pools", "flows"):
            with pytest.raises(urllib.error.HTTPError, match="401"):
                _text(f"{said['url'].replace('0.0.0.0', '127.0.0.1')}/{view}")


def test_every_word_of_the_page_is_there_in_chinese():
    known = CHINESE | PTOLEMYS
    for path in (Path(jiyuan.web.__file__).parent / "templates").glob("*.html"):
        text = path.read_text(encoding="utf-8")
        words = re.findall(r't\("([^"]+)"\)', text)
        words += [w for heads in re.findall(r"heads\(\[(.*?)\]", text) for w in re.findall(r'"([^"]+)"', heads)]
        assert [word for word in words if word not in known] == [], path.name


def _text(place: str) -> str:
    with urllib.request.urlopen(place, timeout=60) as answer:
        text: str = answer.read().decode()
    return text


def _lightness(page: Any) -> float:
    """Return how light the back of the page is, from 0 to 1."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 765
