"""The tools that need no server do what our tests want of them."""

from __future__ import annotations

import os
import subprocess

import pytest
from tests.services import chdb, places
from tests.services.table import service


@pytest.mark.chdb
def test_chdb_runs_current_clickhouse_sql_and_keeps_the_rows(tmp_path):
    folder = tmp_path / "db"
    chdb.query(
        folder,
        "CREATE DATABASE veda",
        "CREATE TABLE veda.word (id UInt8, word String) ENGINE = MergeTree ORDER BY id",
        "INSERT INTO veda.word VALUES (1, '绩元')",
    )

    assert chdb.query(folder, "SELECT word FROM veda.word") == [["绩元"]]


@pytest.mark.chdb
def test_chdb_refuses_in_the_words_of_clickhouse(tmp_path):
    with pytest.raises(chdb.StatementFailed, match="UNKNOWN_TABLE"):
        chdb.query(tmp_path / "db", "SELECT * FROM nothing")


@pytest.mark.modules
def test_environment_modules_set_a_variable_in_a_shell(tmp_path):
    (tmp_path / "momentum").write_text("#%Module1.0\nsetenv MOMENTUM 1.2.0\n")
    modulecmd = places.locate(service("modules"))

    done = subprocess.run(
        ["bash", "-c", f'eval "$({modulecmd} bash load momentum)"; echo "$MOMENTUM"'],
        env={**os.environ, "MODULEPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert done.stdout == "1.2.0\n"


@pytest.mark.parametrize("word", [pytest.param(w, marks=getattr(pytest.mark, w)) for w in ("zsh", "fish")])
def test_a_shell_runs_a_command(word):
    done = subprocess.run(
        [places.locate(service(word)), "-c", "echo 绩元"], capture_output=True, text=True, timeout=30, check=True
    )

    assert done.stdout == "绩元\n"


@pytest.mark.chromium
def test_chromium_reads_a_page_without_a_window(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<meta charset=utf-8><script>document.title='绩' + '元'</script>")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path}/p",
    ]

    done = subprocess.run(
        [places.locate(service("chromium")), *options, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert "<title>绩元</title>" in done.stdout
