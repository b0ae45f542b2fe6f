"""The page of ``kyrios serve`` in a real browser: a flow takes colours while it runs."""

from __future__ import annotations

from typing import Any

import pytest

from kyrios.serving import Tokens

pytestmark = pytest.mark.chromium


@pytest.fixture
def server(serving):
    return serving()


@pytest.fixture
def open_page(server, open_url):
    """Give pages that have said nothing on the console and asked nobody else when the test is over."""
    pages: list[Any] = []

    def start(**options: Any) -> Any:
        pages.append(open_url(server[0].url, **options))
        return pages[-1]

    yield start
    for page in pages:
        assert page.said == []
        assert [url for url in page.asked if not url.startswith(server[0].url)] == []


def unit(page, name):
    return page.locator(f'#graph [data-unit="{name}"]')


def in_state(state):
    import re

    return re.compile(rf"\bstate-{state}\b")


def colour(page, name):
    return unit(page, name).locator("rect").evaluate("box => getComputedStyle(box).stroke")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_flow_is_run_and_its_graph_takes_colours_a_log_is_read(open_page, gate, scheme):
    from playwright.sync_api import expect

    page = open_page(color_scheme=scheme)
    expect(page.get_by_role("heading", name="sums")).to_be_visible()
    before = colour(page, "both")

    page.get_by_label("first").fill("5")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(unit(page, "numbers")).to_have_class(in_state("running"))
    expect(unit(page, "both")).to_have_class(in_state("declared"))
    unit(page, "numbers").click()
    expect(page.locator("#log")).to_contain_text("waiting for the gate")
    gate.touch()
    expect(page.locator("#state")).to_have_text("succeeded")

    for name in ("numbers", "double", "again", "both"):
        expect(unit(page, name)).to_have_class(in_state("succeeded"))
    assert colour(page, "both") != before
    expect(page.locator("#log")).to_contain_text("numbers succeeded in")
    expect(page.locator("#runs tr")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_run_is_cancelled_on_the_page_and_resumed(open_page, gate):
    from playwright.sync_api import expect

    page = open_page()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(unit(page, "numbers")).to_have_class(in_state("running"))
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#state")).to_have_text("cancelled")
    expect(unit(page, "numbers")).to_have_class(in_state("cancelled"))

    gate.touch()
    page.get_by_role("button", name="Resume").click()

    expect(page.locator("#state")).to_have_text("succeeded")


def test_the_page_speaks_chinese_and_keeps_what_was_chosen(open_page):
    from playwright.sync_api import expect

    page = open_page(locale="zh-CN")
    expect(page.get_by_role("button", name="运行", exact=True)).to_be_visible()

    page.get_by_role("button", name="English").click()
    page.get_by_role("button", name="auto").click()
    page.reload()

    expect(page.get_by_role("button", name="Run", exact=True)).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 19, 24)"


def test_whoever_has_a_token_signs_in_and_out(open_page):
    from playwright.sync_api import expect

    _, text = Tokens().create("desk")
    page = open_page()
    expect(page.get_by_text("This server asks for a token.")).to_be_visible()
    assert page.locator("#inside").is_hidden()

    page.get_by_label("Token").fill(text)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#state")).to_have_text("succeeded")
    with page.expect_response("**/logout"):
        page.get_by_role("button", name="Sign out").click()

    expect(page.get_by_text("This server asks for a token.")).to_be_visible()
    assert page.locator("#inside").is_hidden()
    assert page.evaluate("localStorage.length") == 0


def test_a_flow_with_a_mistake_shows_its_line(open_page, sums):
    from playwright.sync_api import expect

    sums.replace("flow.yaml", "use: both@1", "use: boht@1")
    page = open_page()

    expect(page.locator("#problems")).to_contain_text("flow.yaml:9:")
    assert page.get_by_role("button", name="Run", exact=True).is_hidden()
