"""``jiyuan web`` in a real browser, over a small centre."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.chromium
VIEWS = ("centre", "flows", "flows/flow", "runs", "pools", "packages", "packages/scaling", "data")


@pytest.fixture(scope="module")
def url(shared_centre: Any) -> Iterator[str]:
    """Give the address of the page, with one run of a flow that used one package and one data set."""
    centre = shared_centre
    centre.run()
    command = [
        str(Path(sys.executable).with_name("jiyuan")),
        "web",
        "--port",
        "0",
        "--json",
        "--flows",
        str(centre.flow),
    ]
    with subprocess.Popen(command, cwd=centre.folder, stdout=subprocess.PIPE, text=True) as web:
        assert web.stdout is not None
        lines = ""
        for line in web.stdout:
            lines += line
            if line.startswith("}"):
                break
        yield json.loads(lines)["url"]
        web.terminate()


@pytest.mark.parametrize(("language", "scheme", "word"), [("en", "light", "Centre"), ("zh", "dark", "中心")])
def test_every_view_is_whole_and_asks_nobody_else(
    url: str, open_url: Callable[..., Any], language: str, scheme: str, word: str
):
    page = open_url(f"{url}/centre?lang={language}", color_scheme=scheme)

    assert page.locator("h1").inner_text() == word
    for view in VIEWS:
        answer = page.goto(f"{url}/{view}")
        assert answer.status == 200, view
        page.wait_for_load_state("networkidle")
    assert page.said == []
    assert [asked for asked in page.asked if not asked.startswith(url.removesuffix("/web"))] == []


def test_a_number_leads_to_the_run_and_from_there_to_what_gave_it(url: str, open_url: Callable[..., Any]):
    page = open_url(f"{url}/centre?lang=en")
    page.locator("tr", has_text="Runs: flow").get_by_role("link", name="1", exact=True).click()
    page.locator("tbody a").first.click()

    assert "scaling@1.0.0" in page.locator("pre").inner_text()
    page.locator("tr", has_text="daily@v1").get_by_role("link", name="1", exact=True).click()
    assert page.locator("tbody tr").count() == 1
    page.goto(f"{url}/runs?text=daily@v99")
    assert page.get_by_text("Nothing is found.").is_visible()


def test_a_flow_is_drawn_as_its_run_left_it(url: str, open_url: Callable[..., Any]):
    page = open_url(f"{url}/flows/flow")

    assert page.locator("svg .unit.state-succeeded").count() == 2


def test_what_is_not_there_is_said(url: str, open_url: Callable[..., Any]):
    page = open_url(f"{url}/centre")

    assert page.goto(f"{url}/packages/nothing").status == 404
    assert page.goto(f"{url}/runs/nothing").status == 404


def test_whoever_calls_the_page_by_another_name_or_without_a_token_beyond_this_machine_sees_nothing(
    shared_centre: Any, url: str
):
    import urllib.error
    import urllib.request

    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(urllib.request.Request(f"{url}/runs", headers={"Host": "elsewhere.example"}))
    jiyuan = str(Path(sys.executable).with_name("jiyuan"))
    command = [jiyuan, "web", "--host", "0.0.0.0", "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=shared_centre.folder, stdout=subprocess.PIPE, text=True) as web:
        assert web.stdout is not None
        told = json.loads("".join(web.stdout.readline() for _ in range(4)))
        try:
            assert told["tokens"] == "required"
            for view in ("centre", "runs", "packages"):
                with pytest.raises(urllib.error.HTTPError, match="401"):
                    urllib.request.urlopen(f"{told['url'].replace('0.0.0.0', '127.0.0.1')}/{view}")
        finally:
            web.terminate()
