"""Debian's Chromium for the tests of pages, which carry the mark ``chromium``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

# As root in a container, without a display; and it asks no host on its own.
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture
def browser() -> Iterator[Any]:
    """Give a browser without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_url(browser: Any) -> Callable[..., Any]:
    """Give the function that opens a URL: ``said`` of the page is its console, ``asked`` each URL that it loads."""

    def open_url(url: str, **options: Any) -> Any:
        page = browser.new_context(**{"locale": "en-GB", **options}).new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda asked: page.asked.append(asked.url))
        page.goto(url)
        return page

    return open_url
