from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ptolemy.series import open_series
from ptolemy.testing.series import A1, A2, A3, B1, KEY, bars, rows

Run = Callable[..., Any]


@pytest.fixture
def filled(ptolemy: Run) -> Run:
    with open_series() as series:
        series.upsert("daily", bars(A1, A2, B1), key=KEY)
        series.upsert("daily", bars(A3), key=KEY)
    return ptolemy


def test_stats_tell_what_is_kept_of_each_data_set(filled: Run):
    _, out, _ = filled("store", "stats", "--json")

    (daily,) = json.loads(out)
    assert (daily["dataset"], daily["rows"], daily["version"], daily["log_records"]) == ("daily", 4, 2, 2)


def test_compact_takes_the_log_into_files_and_changes_no_row(filled: Run):
    code, out, _ = filled("store", "compact", "daily", "--json")

    assert code == 0
    assert json.loads(out)[0]["log_records"] == 0
    with open_series() as series:
        assert rows(series.read("daily")) == [A1, A2, A3, B1]
        assert rows(series.read("daily", as_of=1)) == [A1, A2, B1]


def test_rows_before_a_day_are_forgotten_only_after_a_yes(filled: Run):
    refused = filled("store", "compact", "daily", "--before", "20240103", "--no-input")
    shown = filled("store", "compact", "daily", "--before", "20240103", "--dry-run")
    with open_series() as series:
        assert series.read("daily").num_rows == 4

    done = filled("store", "compact", "daily", "--before", "20240103", "--yes")

    assert (refused.code, shown.code, done.code) == (2, 0, 0)
    assert "2 rows lie before 20240103" in shown.err
    with open_series() as series:
        assert rows(series.read("daily")) == [A2, A3]
        assert [version.id for version in series.versions("daily")] == [3]


@pytest.mark.parametrize(
    "words", [("--before", "2024"), ("--before", "20240103", "--versions", "3"), ("--versions", "0")]
)
def test_what_cannot_be_kept_is_refused(filled: Run, words: tuple[str, ...]):
    code, _, err = filled("store", "compact", "daily", "--yes", *words)

    assert code == 2
    assert err.startswith("error: ")
    with open_series() as series:
        assert series.read("daily").num_rows == 4


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_what_was_exported_is_imported_whole(filled: Run, tmp_path: Path, ending: str):
    exported = filled("store", "export", "daily", f"daily.{ending}", "--json")
    imported = filled("store", "import", f"daily.{ending}", "--series", "arrow:other", "--json")

    assert json.loads(exported.out)["rows"] == 4
    assert json.loads(imported.out)["rows"] == 4
    with open_series("arrow:other") as series:
        assert rows(series.read("daily")) == [A1, A2, A3, B1]
        assert series.stats("daily").key == KEY


def test_a_part_and_an_earlier_version_can_be_exported(filled: Run):
    words = ("--start-date", "20240103", "--as-of", "1", "--json")
    _, out, _ = filled("store", "export", "daily", "part.parquet", *words)

    assert json.loads(out)["rows"] == 1


def test_a_file_that_no_export_made_is_refused(filled: Run, tmp_path: Path):
    import pyarrow.parquet as pq

    pq.write_table(bars(A1), tmp_path / "mine.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")

    mine = filled("store", "import", "mine.parquet")
    assert (mine.code, "collect run parquet:mine.parquet" in mine.err) == (2, True)
    assert filled("store", "import", "broken.parquet").code == 2
    assert filled("store", "import", "none.parquet").code == 3
    assert filled("store", "export", "daily", "daily.csv").code == 2
    assert not (tmp_path / "daily.csv").exists()


def test_verify_finds_a_changed_byte_and_ends_with_1(filled: Run, home: Path):
    assert filled("store", "verify").code == 0
    (log,) = home.rglob("log-*")
    data = bytearray(log.read_bytes())
    data[-150] ^= 1
    log.write_bytes(data)

    code, _, err = filled("store", "verify")

    assert code == 1
    assert "wrong checksum" in err
    assert "versions up to 1 are readable" in err
    assert "hint: " in err

    mended = filled("store", "verify", "daily", "--repair")
    assert mended.code == 0
    assert ".damaged" in mended.err
    with open_series() as series:
        assert rows(series.read("daily")) == [A1, A2, B1]


def test_verify_says_what_was_never_acknowledged(filled: Run, home: Path):
    (log,) = home.rglob("log-*")
    os.truncate(log, log.stat().st_size - 10)

    code, out, err = filled("store", "verify", "--json")

    assert (code, json.loads(out)[0]["rows"]) == (0, 3)
    assert "were never acknowledged" in err


def test_a_data_set_that_is_not_there_is_not_found(filled: Run):
    for words in (("stats", "weekly"), ("verify", "weekly"), ("compact", "weekly"), ("export", "weekly", "w.arrow")):
        assert filled("store", *words).code == 3
