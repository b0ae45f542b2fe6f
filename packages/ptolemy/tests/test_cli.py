from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from ptolemy import open_series
from ptolemy.cli import COMMANDS, root

MAPPING = Path(__file__).parents[3] / "examples" / "data" / "bokeh-stocks.toml"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def filled(ptolemy: Run, bars: Path) -> Run:
    """Give the command with the small bars collected."""
    assert ptolemy("collect", "run", "csv:bars.csv", "--dataset", "daily")[0] == 0
    return ptolemy


def test_collect_prints_what_each_data_set_got(ptolemy: Run, stocks: Path):
    code, out, err = ptolemy("collect", "run", f"csv://{stocks}?mapping={MAPPING}")

    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["DATASET", "ROWS", "WRITTEN", "VERSION", "FIRST", "LAST"],
        ["adj_factor", "12154", "12154", "1", "20000301", "20130301"],
        ["daily", "12154", "12154", "1", "20000301", "20130301"],
    ]
    assert "nothing new" not in err


def test_collecting_again_says_that_nothing_is_new(filled: Run):
    code, out, err = filled("collect", "run", "csv:bars.csv", "--dataset", "daily", "--json")

    (collected,) = json.loads(out)
    assert code == 0
    assert (collected["rows"], collected["written"], collected["version"]) == (3, 0, 1)
    assert collected["digest"].startswith("sha256:")
    assert "nothing new: the store holds these rows already" in err


def test_quiet_collect_prints_the_result_only(filled: Run):
    assert filled("collect", "run", "csv:bars.csv", "--dataset", "daily", "--quiet")[2] == ""


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("000001.SZ,20240104,10,11,9,-1,5", "bars.csv line 5, column close: -1 breaks the rule close > 0"),
        ("000001.SZ,2024-01-04,10,11,9,10,5", "bars.csv line 5, column trade_date: '2024-01-04' is not a date"),
        ("000001.SZ,20240104,10,9,11,10,5", "bars.csv line 5, column low: 11 breaks the rule low <= high"),
        ("000001.SZ,20240102,10,11,9,10,5", "bars.csv line 5, column trade_date: 000001.SZ 20240102 is there already"),
        ("000001.SZ,20240104,10", "bars.csv line 5: it has 3 values"),
    ],
)
def test_a_bad_row_is_one_line_and_exit_code_2_and_nothing_is_written(
    ptolemy: Run, bars: Path, home: Path, row: str, why: str
):
    bars.write_text(bars.read_text() + row + "\n")

    code, out, err = ptolemy("collect", "run", "csv:bars.csv", "--dataset", "daily")

    assert (code, out) == (2, "")
    assert err.startswith(f"error: {why}")
    assert "nothing was written" in err
    assert len(err.splitlines()) == 1
    assert not home.exists()


def test_a_missing_column_comes_with_the_nearest_one(ptolemy: Run, bars: Path, home: Path):
    bars.write_text(bars.read_text().replace("close", "clsoe"))

    code, _, err = ptolemy("collect", "run", "csv:bars.csv", "--dataset", "daily")

    assert code == 2
    assert err.splitlines() == [
        "error: bars.csv: the column 'close' is missing; nothing was written",
        "hint: did you mean 'clsoe'?",
    ]
    assert not home.exists()


@pytest.mark.parametrize(
    ("words", "code", "why", "hint"),
    [
        (["query", "dialy"], 2, "no interface is called 'dialy'", "did you mean 'daily'?"),
        (["query", "daily", "--fields", "opne"], 2, "daily has no column 'opne'", "did you mean 'open'?"),
        (["query", "daily", "--trade-date", "1.2.24"], 2, "'1.2.24' is not a date", "YYYYMMDD"),
        (["query", "daily", "--as-of", "9"], 3, "daily has no version 9", "ptolemy versions daily"),
        (["query", "adj_factor"], 3, "nothing of adj_factor", "ptolemy collect run"),
        (["query", "daily", "--json", "--csv"], 2, "exclude each other", "--help"),
        (["query", "daily", "--series", "arow://"], 2, "no series backend is called 'arow'", "did you mean 'arrow'?"),
        (["pro-bar", "000001.SZ", "--adj", "qfq"], 3, "nothing of adj_factor", "--dataset adj_factor"),
        (["pro-bar", "000001.SZ", "--adj", "xfq"], 2, "xfq", "--help"),
        (["versions", "dialy"], 2, "no interface is called 'dialy'", "did you mean 'daily'?"),
        (["versions", "adj_factor"], 3, "nothing of adj_factor", "ptolemy collect run"),
        (["collect", "run", "csv:none.csv"], 3, "there is no file none.csv", "csv://"),
        (["collect", "run", "cvs:bars.csv"], 2, "no sources backend is called 'cvs'", "did you mean 'csv'?"),
        (["collect", "run", "csv:bars.csv", "--dataset", "dialy"], 2, "'dialy'", "did you mean 'daily'?"),
        (["collcet"], 2, "no command 'collcet'", "did you mean 'collect'?"),
    ],
)
def test_an_error_is_one_line_with_a_hint_and_its_exit_code(
    filled: Run, words: list[str], code: int, why: str, hint: str
):
    left, out, err = filled(*words)

    lines = err.splitlines()
    assert (left, out, len(lines)) == (code, "", 2)
    assert lines[0].startswith("error: ")
    assert why in lines[0]
    assert lines[1].startswith("hint: ")
    assert hint in lines[1]


def test_a_store_that_another_writer_has_is_a_conflict(filled: Run, bars: Path):
    import ptolemy as pt

    with pt.open_series() as writer:
        writer.upsert("daily", writer.read("daily"), key=("ts_code", "trade_date"))

        code, _, err = filled("collect", "run", "csv:bars.csv", "--dataset", "daily")

    assert code == 5
    assert "is being written by process" in err


def test_query_prints_a_table_with_dashes_for_what_is_missing(filled: Run):
    code, out, _ = filled("query", "daily", "--trade-date", "20240102", "--fields", "ts_code,close,amount")

    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["TS_CODE", "CLOSE", "AMOUNT"],
        ["000001.SZ", "10.5", "-"],
        ["600000.SH", "20.5", "-"],
    ]


def test_query_prints_json_with_null_for_what_is_missing(filled: Run):
    _, out, _ = filled("query", "daily", "--ts-code", "000001.SZ", "--fields", "trade_date,vol,amount", "--json")

    assert json.loads(out) == [
        {"trade_date": "20240103", "vol": 1200.0, "amount": None},
        {"trade_date": "20240102", "vol": 1000.0, "amount": None},
    ]


def test_query_prints_csv_that_can_be_collected_again(filled: Run, tmp_path: Path):
    _, out, _ = filled("query", "daily", "--csv")
    (tmp_path / "again.csv").write_text(out)

    assert len(list(csv.DictReader(io.StringIO(out)))) == 3
    code, out, _ = filled("collect", "run", "csv:again.csv", "--dataset", "daily", "--json")
    assert (code, json.loads(out)[0]["written"]) == (0, 0)


def test_query_limits_rows_and_reads_older_versions(filled: Run, bars: Path):
    bars.write_text(bars.read_text().replace("11.5,1200", "11.6,1200"))
    filled("collect", "run", "csv:bars.csv", "--dataset", "daily")
    asked = ("query", "daily", "--limit", "1", "--fields", "close", "--json")

    assert json.loads(filled(*asked)[1]) == [{"close": 11.6}]
    assert json.loads(filled(*asked, "--as-of", "1")[1]) == [{"close": 11.5}]


def test_an_empty_answer_is_an_empty_list_and_no_error(filled: Run):
    assert filled("query", "daily", "--ts-code", "NONE.SZ", "--json")[:2] == (0, "[]\n")


def test_pro_bar_prints_adjusted_bars(ptolemy: Run, real: str):
    asked = ("pro-bar", "AAPL.US", "--start-date", "20050225", "--end-date", "20050228", "--adj", "qfq",
             "--fields", "trade_date,close,vol", "--series", real, "--json")  # fmt: skip

    newest, before = json.loads(ptolemy(*asked)[1])
    exact = json.loads(ptolemy(*asked, "--full")[1])[1]

    assert newest == {"trade_date": "20050228", "close": 44.86, "vol": 116359.0}
    assert (before["close"], before["vol"]) == (round(exact["close"], 2), 163484.0)
    assert exact["close"] == pytest.approx(44.495)


def test_datasets_tell_what_the_catalogue_knows_and_what_is_kept(filled: Run):
    _, out, _ = filled("datasets", "--json")

    by_name = {row["dataset"]: row for row in json.loads(out)}
    assert by_name["daily"] | {"title": ""} == {
        "dataset": "daily", "rows": 3, "version": 1, "first": "20240102", "last": "20240103", "title": "",
    }  # fmt: skip
    assert by_name["adj_factor"]["rows"] == 0
    assert by_name["adj_factor"]["version"] is None


def test_versions_tell_the_history(filled: Run):
    _, out, _ = filled("versions", "daily", "--json")

    (version,) = json.loads(out)
    assert list(version) == ["dataset", "id", "rows", "written", "first", "last", "time", "digest"]
    assert (version["id"], version["rows"], version["last"]) == (1, 3, "20240103")


def test_doctor_tells_what_the_store_holds(ptolemy: Run, filled: Run):
    code, out, _ = filled("doctor")

    assert code == 0
    assert "daily 3 rows" in out


def test_doctor_is_content_with_an_empty_store(ptolemy: Run, home: Path):
    code, out, _ = ptolemy("doctor")

    assert code == 0
    assert "ptolemy collect run" in out
    assert not home.exists()


def test_doctor_finds_a_damaged_file_and_prints_the_fix(filled: Run, home: Path):
    with open_series() as series:
        series.compact("daily")
    (file,) = home.rglob("*.cube")
    file.write_bytes(b"")

    code, out, err = filled("doctor")

    assert code == 6
    assert "FAIL" in out
    assert f"{file.name} has 0 bytes" in out
    assert "hint: series: restore" in err


def test_config_shows_the_store_and_where_it_was_named(ptolemy: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PTOLEMY_SERIES", "arrow:///srv/series")

    _, out, _ = ptolemy("config", "show", "--origin", "--json")

    rows = {row["key"]: row for row in json.loads(out)}
    assert rows["series"] == {
        "key": "series", "value": "arrow:///srv/series", "origin": "environment PTOLEMY_SERIES",
    }  # fmt: skip


#: One prints a script; the others need a server to be stopped, tokens to be named or a centre: test_serve, test_token,
#: test_services_cli, test_web.
ELSEWHERE = ("completion", "serve", "token", "up", "down", "restart", "status", "ps", "logs", "web")


FACTORS = """\
title: Factors of the desk
key: [ts_code, trade_date]
columns:
  - {name: ts_code, type: str, required: true}
  - {name: trade_date, type: date, required: true}
  - {name: momentum, type: float, unit: "1"}
"""


FETCH = """\
def bars(dataset, start, end, codes):
    return [dict(ts_code="A.SH", trade_date="20240102", open=1, high=1.1, low=0.9, close=1)]
"""


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found: list[tuple[tuple[str, ...], click.Command]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
        elif command is not None and (*path, name)[0] not in ELSEWHERE:
            found.append(((*path, name), command))
    return found


@pytest.mark.parametrize(("path", "command"), [pytest.param(*c, id=" ".join(c[0])) for c in commands(root)])
def test_the_example_of_every_command_works(
    ptolemy: Run, stocks: Path, tmp_path: Path, path: tuple[str, ...], command: click.Command
):
    if path == ("sql",):
        pytest.importorskip("duckdb", reason="pip install 'jiyuan-ptolemy[duckdb]'")
    shutil.copy(stocks, tmp_path / "bars.csv")  # packed or plain is told by the content
    shutil.copy(MAPPING, tmp_path / "bars.toml")
    ptolemy("collect", "run", "csv:bars.csv?mapping=bars.toml", "--quiet")
    (tmp_path / "factors.yaml").write_text(FACTORS)
    (tmp_path / "fetch.py").write_text(FETCH)
    if path == ("collect", "resample"):
        ptolemy("sample", "ticks", "AAPL.US", "--start-date", "20130301", "--out", "t.parquet", "--quiet")
        ptolemy("collect", "run", "parquet:t.parquet", "--dataset", "ticks", "--quiet")
        ptolemy("collect", "resample", "ticks", "--quiet")
    if path == ("quality", "release"):
        broken = "ts_code,trade_date,open,high,low,close\nA.US,20130301,1,0.5,2,1\n"
        (tmp_path / "broken.csv").write_text(broken)
        ptolemy("collect", "run", "csv:broken.csv", "--dataset", "daily", "--quarantine", "--quiet")
    if path == ("dataset", "remove"):
        ptolemy("dataset", "add", "factors.yaml")
    if path == ("store", "import"):
        ptolemy("store", "export", "daily", "daily.parquet")

    example = re.fullmatch(r"Example: (ptolemy .*)", command.epilog or "")
    assert example is not None
    words = shlex.split(example[1])[1:]
    code, out, _ = ptolemy(*words)

    assert words[: len(path)] == list(path)
    assert code == 0
    assert out


def test_help_imports_nothing_heavy():
    script = """
import sys
from ptolemy.cli import main
sys.argv = ["ptolemy", *sys.argv[1:]]
try:
    main()
except SystemExit:
    pass
print(sorted({"numpy", "pandas", "pyarrow", "rich"} & set(sys.modules)), file=sys.stderr)
"""
    for words in ([], *([name] for name in COMMANDS), ["collect", "run"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *words, "--help"], capture_output=True, text=True, check=True
        )
        assert "Usage: ptolemy" in done.stdout
        assert done.stderr.strip() == "[]", words


def test_pro_bar_is_pointed_to_its_own_command(ptolemy: Run):
    code, _, said = ptolemy("query", "pro_bar", "--ts-code", "AAPL.US")

    assert code == 2
    assert "ptolemy pro-bar AAPL.US" in said
