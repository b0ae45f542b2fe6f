"""Hold each Chinese page to its English one: what is shown is the same, what is said is in Chinese."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from tests.docs.blocks import blocks

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
#: The pages that there are in both languages.
ENGLISH = [ROOT / "README.md", DOCS / "index.md", *sorted((DOCS / "tutorials").glob("**/*.md"))]
CHINESE = [ROOT / "README.zh-CN.md", *sorted((DOCS / "zh").glob("**/*.md"))]

each_chinese_page = pytest.mark.parametrize("page", CHINESE, ids=lambda p: str(p.relative_to(ROOT)))


def chinese(page):
    if page == ROOT / "README.md":
        return ROOT / "README.zh-CN.md"
    return DOCS / "zh" / page.relative_to(DOCS)


def english(page):
    if page == ROOT / "README.zh-CN.md":
        return ROOT / "README.md"
    return DOCS / page.relative_to(DOCS / "zh")


@pytest.mark.parametrize("page", ENGLISH, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_start_pages_and_every_tutorial_are_there_in_chinese(page):
    twin = chinese(page)

    assert twin.is_file(), f"write {twin.relative_to(ROOT)}: the same headings and blocks, the text in Chinese"


@each_chinese_page
def test_a_chinese_page_has_the_headings_and_the_blocks_of_its_english_one(page):
    ours, theirs = page.read_text(encoding="utf-8"), english(page).read_text(encoding="utf-8")

    assert levels(ours) == levels(theirs)
    assert shown(ours) == shown(theirs)


@each_chinese_page
def test_a_chinese_page_names_the_commands_and_options_that_its_english_one_names(page):
    assert code(page) == code(english(page))


@each_chinese_page
def test_a_chinese_page_leads_where_its_english_one_does_and_to_the_chinese_page_if_there_is_one(page):
    twins = {theirs: chinese(theirs) for theirs in ENGLISH} | {page: english(page)}

    assert links(page) == {twins.get(target, target) for target in links(english(page))}


@each_chinese_page
def test_no_line_ends_between_two_chinese_characters_since_a_browser_shows_a_space_there(page):
    broken = re.findall(r".*[\u3000-\u9fff\uff00-\uffef]\n *[\u3000-\u9fff\uff00-\uffef].*", prose(page))

    assert not broken


def test_a_block_is_another_if_a_comment_its_language_or_its_mark_is():
    page = "```yaml\n# a.yaml\nunit: a  # one\n```\n"

    assert shown(page) == shown("text\n\n" + page)
    for changed in ("```yaml\n# a.yaml\nunit: a  # 一\n```", "```toml" + page[7:], f"<!-- not run: why -->\n\n{page}"):
        assert shown(changed) != shown(page)


def test_a_heading_is_none_inside_of_a_block():
    assert levels("# a\n\n```bash\n# b\n```\n\n### c\n") == [1, 3]


def levels(text):
    return [len(mark) for mark in re.findall(r"^(#+) ", without_blocks(text), flags=re.MULTILINE)]


def shown(text):
    """The blocks that a reader sees; those in braces are for Sphinx."""
    return [(b.language, b.text, b.not_run) for b in blocks(text) if not b.language.startswith("{")]


def code(page):
    """What stands between single back-ticks, however the lines break."""
    return {" ".join(words.split()) for words in re.findall(r"`([^`]+)`", prose(page))}


def links(page):
    """Where the page leads: files of this checkout, and addresses as they are."""
    targets = (target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)))
    return {t if ":" in t else Path(os.path.normpath(page.parent / t)) for t in targets if t}


def prose(page):
    return without_blocks(page.read_text(encoding="utf-8"))


def without_blocks(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
