"""The table is consistent, and every row of it has what it promises."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from tests.services.process import Server
from tests.services.running import for_mark
from tests.services.table import SERVICES, service

ROOT = Path(__file__).resolve().parents[2]


def test_words_marks_and_variables_are_unique():
    for names in ([r.word for r in SERVICES], [r.mark for r in SERVICES], [v for r in SERVICES for v in r.variables]):
        assert len(names) == len(set(names))


@pytest.mark.parametrize("row", SERVICES, ids=lambda row: row.word)
def test_a_variable_is_spelt_with_its_mark(row):
    for variable in row.variables:
        assert re.fullmatch(rf"(VEDA|EXIA|KYRIOS|PTOLEMY)_TEST_{row.mark.upper()}_URL", variable)


@pytest.mark.parametrize("row", [row for row in SERVICES if row.server], ids=lambda row: row.word)
def test_a_server_is_the_file_of_its_word(row):
    kind = getattr(importlib.import_module(f"tests.services.{row.word}"), row.word.capitalize())

    assert issubclass(kind, Server)
    assert kind.word == row.word
    assert for_mark(row.mark) is row


def test_an_unknown_word_is_answered_with_the_known_ones():
    with pytest.raises(KeyError, match=r"no service is called 'mysql'; known: postgresql, redis"):
        service("mysql")


@pytest.mark.parametrize("row", SERVICES, ids=lambda row: row.word)
def test_the_reference_names_the_word_and_every_variable(row):
    page = (ROOT / "docs" / "reference" / "services.md").read_text()

    for named in (row.word, *row.variables):
        assert f"`{named}`" in page
    if row.server:
        line = next(line for line in page.splitlines() if line.startswith(f"| `{row.word}` |"))
        assert f"| `{row.mark}` |" in line
        assert row.package in line or row.source == "bullseye"
        assert row.stand_in_for.partition(" (")[0] in line
