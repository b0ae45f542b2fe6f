"""The demo's page in a real browser."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.chromium
JIYUAN = Path(sys.executable).parent / "jiyuan"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "out"
    subprocess.run([JIYUAN, "demo", "--out", str(out), "--quiet"], check=True, capture_output=True, timeout=300)
    return out / "report.html"


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, page_file: Path, open_url: Callable[..., Any]) -> Any:
    return open_url(page_file.as_uri(), color_scheme=request.param)


def test_the_page_says_nothing_on_the_console_and_asks_no_other_host(page):
    page.wait_for_load_state("networkidle")

    assert page.said == []
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []


def test_every_chart_has_a_size_and_stays_within_the_page(page):
    boxes = [svg.bounding_box() for svg in page.locator("svg").all()]

    assert len(boxes) == 4
    assert all(box["width"] > 300 and box["height"] > 80 for box in boxes)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_lineage_record_opens(page):
    page.get_by_text("The lineage record as it is stored").click()

    assert page.get_by_text('"trace_id"').is_visible()
