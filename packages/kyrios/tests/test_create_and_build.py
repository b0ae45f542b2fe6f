"""Units from templates, units that are built for every flow, units of shell and SQL, and what keys mean."""

from __future__ import annotations

import json
import shutil

import pytest

import kyrios
from kyrios.building import build
from kyrios.explaining import explain
from kyrios.templates import create_flow, create_unit


@pytest.mark.parametrize(
    ("like", "output", "found"),
    [
        ("python", "scale.result", [2.0, 4.0, 6.0]),
        ("sql", "query.result", [2.0, 4.0, 6.0]),
        ("shell", "script.result", [2.0, 4.0, 6.0]),
        ("train", "train.result", [pytest.approx(2.0)]),
        ("http", "fetch.result", [7.0]),
        ("stream", "follow.result", [pytest.approx(1.56)]),
    ],
)
def test_a_flow_from_a_template_runs_and_its_tests_pass(tmp_path, like, output, found):
    create_flow("fresh", like, tmp_path / "fresh")
    (tmp_path / "seven.json").write_text("[7]")

    flow = kyrios.load_flow(tmp_path / "fresh")
    run = flow.run({"url": (tmp_path / "seven.json").as_uri()} if like == "http" else None)

    assert run.table(output)["value"].to_pylist() == found
    assert [b.tests for b in build(tmp_path / "fresh")] == [1, 1]


def test_a_stream_from_a_template_follows_its_numbers_tick_by_tick(tmp_path):
    create_flow("fresh", "stream", tmp_path / "fresh")

    run, report = kyrios.load_flow(tmp_path / "fresh").loop(ticks=2)

    assert report.ticks == 2
    assert run.table("follow.result")["value"][0].as_py() == pytest.approx(1.84672)


def test_whoever_uses_a_deprecated_unit_is_told(tmp_path, capsys):
    create_flow("fresh", "python", tmp_path / "fresh")
    path = tmp_path / "fresh/units/scale.yaml"
    path.write_text(path.read_text().replace("info: {", 'info: {deprecated: "use multiply@2", docs: "see the wiki", '))
    from click.testing import CliRunner

    from kyrios.cli.validate import validate

    done = CliRunner().invoke(validate, [str(tmp_path / "fresh")])

    assert done.exit_code == 0
    assert done.stderr == "scale 1.0 is deprecated: use multiply@2\n"


def test_what_is_there_is_never_overwritten(tmp_path):
    create_unit("clean", "python", tmp_path)

    with pytest.raises(kyrios.Conflict, match="is there already"):
        create_unit("clean", "sql", tmp_path)
    with pytest.raises(kyrios.BadInput, match="is no name"):
        create_unit("../clean", "sql", tmp_path)
    assert "call:" in (tmp_path / "units" / "clean.yaml").read_text()


def test_a_unit_that_was_built_can_be_used_by_every_flow(tmp_path):
    create_flow("maker", "python", tmp_path / "maker")
    build(tmp_path / "maker")
    shutil.rmtree(tmp_path / "maker")
    user = tmp_path / "user"
    user.mkdir()
    (user / "flow.yaml").write_text(
        "kyrios: 1\nflow: user\ninfo: {version: '1'}\nunits:\n"
        "  numbers: {use: numbers@1, with: {count: 2}}\n  scale: {use: scale@1, in: {values: numbers.values}}\n"
    )

    assert kyrios.load_flow(user).run().table("scale.result").to_pydict() == {"value": [2.0, 4.0]}


def test_a_version_that_was_built_never_changes(tmp_path):
    create_flow("maker", "python", tmp_path / "maker")
    first = build(tmp_path / "maker")
    assert build(tmp_path / "maker") == first
    code = tmp_path / "maker" / "scale.py"
    code.write_text(code.read_text() + "\n# changed\n")

    with pytest.raises(kyrios.Conflict, match=r"scale 1\.0 was built before and is another now"):
        build(tmp_path / "maker")


def test_a_unit_whose_test_fails_is_not_built(tmp_path, home):
    create_flow("maker", "python", tmp_path / "maker")
    (tmp_path / "maker" / "tests" / "test_more.py").write_text("def test_no():\n    assert False\n")

    with pytest.raises(kyrios.BadInput, match="the tests do not pass: FAILED"):
        build(tmp_path / "maker")
    assert not (home / "units").exists()


def test_a_mistake_in_a_unit_is_named_when_it_is_built(tmp_path):
    create_flow("maker", "python", tmp_path / "maker")
    path = tmp_path / "maker" / "units" / "scale.yaml"
    path.write_text(path.read_text().replace("retries", "retrys"))

    with pytest.raises(kyrios.FlowInvalid, match=r"scale\.yaml:4:\d+: unknown key 'retrys'; did you mean 'retries'"):
        build(tmp_path / "maker")


@pytest.mark.parametrize(
    ("like", "old", "new", "said"),
    [
        ("shell", "awk", "echo broken; exit 3; awk", "the shell exits with 3: broken"),
        ("shell", ">result.csv", ">/dev/null", r"the shell wrote no result\.csv"),
        ("sql", "select value", "select vlaue", "sqlite: no such column"),
        ("sql", "as value", "as other", "lacks the column 'value'"),
    ],
)
def test_a_shell_or_a_query_that_fails_says_why(tmp_path, like, old, new, said):
    create_flow("maker", like, tmp_path / "maker")
    path = next(p for p in (tmp_path / "maker" / "units").iterdir() if p.stem != "numbers")
    path.write_text(path.read_text().replace(old, new))

    with pytest.raises(kyrios.UnitFailed, match=said):
        kyrios.load_flow(tmp_path / "maker").run()


def test_a_query_runs_on_duckdb_to_the_same_table(tmp_path):
    pytest.importorskip("duckdb")
    create_flow("maker", "sql", tmp_path / "maker")
    expected = kyrios.load_flow(tmp_path / "maker").run().table("query.result")
    path = tmp_path / "maker" / "units" / "query.yaml"
    path.write_text(path.read_text().replace("run: {", "run: {engine: duckdb, ").replace(":factor", "$factor"))

    assert kyrios.load_flow(tmp_path / "maker").run().table("query.result").equals(expected)


def test_what_a_shell_is_given_reaches_no_command_line(tmp_path):
    create_flow("maker", "shell", tmp_path / "maker")
    path = tmp_path / "maker" / "units" / "script.yaml"
    path.write_text(path.read_text().replace("type: number, default: 2.0", "type: string, default: '$(touch x)'"))

    kyrios.load_flow(tmp_path / "maker").run()

    assert not list(tmp_path.rglob("x"))


@pytest.mark.parametrize(
    "key", ["flow", "unit", "flow.units", "flow.units.retries", "unit.run", "unit.interface.params"]
)
def test_a_key_is_explained_with_what_is_below_it(key):
    rows = explain(key)

    assert rows[0].key == key
    assert all(row.meaning for row in rows), [row.key for row in rows if not row.meaning]
    json.dumps([vars(row) for row in rows])


def test_a_key_that_does_not_exist_gets_the_nearest_one():
    with pytest.raises(kyrios.NotFound, match=r"no key flow\.unts") as caught:
        explain("flow.unts")
    assert caught.value.hint == "did you mean 'units'?"
