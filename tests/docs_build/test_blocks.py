from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs_build.blocks import run_page

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("page", sorted(DOCS.glob("tutorials/*.md")), ids=lambda page: page.stem)
def test_every_block_of_a_tutorial_runs(page: Path, tmp_path: Path):
    run_page(page, tmp_path)


def test_a_command_that_fails_or_prints_something_else_is_found(tmp_path: Path):
    page = tmp_path / "page.md"
    for body, said in (("$ false\n", "false"), ("$ echo one\ntwo\n", "one")):
        page.write_text(f"```console\n{body}```\n")
        folder = tmp_path / said
        folder.mkdir()

        with pytest.raises(AssertionError, match=said):
            run_page(page, folder)
