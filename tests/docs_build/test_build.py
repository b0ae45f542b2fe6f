from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

CHINESE = sorted((DOCS / "zh").rglob("*.md"))
PAIRS = [(ROOT / "README.md", ROOT / "README.zh-CN.md"), *((DOCS / p.relative_to(DOCS / "zh"), p) for p in CHINESE)]


def test_the_documentation_builds_without_a_warning(tmp_path: Path):
    if find_spec("sphinx") is None:
        pytest.skip("sphinx is not installed; run: scripts/install docs")

    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(DOCS), str(tmp_path / "html"),
         "-d", str(tmp_path / "doctrees")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert not [
        p for p in DOCS.rglob("*.md") if not (tmp_path / "html" / p.relative_to(DOCS)).with_suffix(".html").is_file()
    ]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: str(pair[1].relative_to(ROOT)))
def test_a_chinese_page_has_the_headings_and_code_of_its_english_one(pair: tuple[Path, Path]):
    english, chinese = (path.read_text(encoding="utf-8") for path in pair)

    assert headings(chinese) == headings(english)
    assert blocks(chinese) == blocks(english)


def headings(text: str) -> list[int]:
    """Return the levels of the headings, in order."""
    return [len(marks) for marks in re.findall(r"^(#+) ", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)]


def blocks(text: str) -> list[str]:
    """Return the blocks of code, without those that only Sphinx reads."""
    return [b for b in re.findall(r"^```.*?^```", text, re.M | re.S) if not b.startswith("```{")]


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_every_link_to_a_file_leads_to_one(page: Path):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    targets = [target for target in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in target]

    assert [target for target in targets if not (page.parent / target).exists()] == []
