"""Parameters in Hydra's words: overrides, groups, sweeps; what comes out is judged by the flow's own model."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import kyrios
from kyrios.composing import compose
from kyrios.errors import BadInput


def command(*words):
    line = [sys.executable, "-c", "from kyrios.cli import main; main()", *map(os.fspath, words)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def flow(sums):
    sums.replace("flow.yaml", "params: {first: 1}", 'params: {first: 1, note: "${x}", book: {name: a, size: 1}}')
    sums.write("conf/market/cn.yaml", "first: 10\n")
    sums.write("conf/market/us.yaml", "first: 20\nnote: ${book.name}\n")
    sums.write("conf/desk/big.yaml", "defaults: [/market/us@_global_]\nbook: {size: 9}\n")
    return kyrios.load_flow(sums)


@pytest.mark.parametrize(
    ("overrides", "params"),
    [
        (["first=5"], [{"first": 5}]),
        (["market=cn"], [{"first": 10}]),
        (["market=us", "first=3"], [{"first": 3, "note": "a"}]),
        (["desk=big"], [{"first": 20, "note": "a", "book": {"name": "a", "size": 9}}]),
        (["book.size=4"], [{"book": {"name": "a", "size": 4}}]),
        (["note='a,b'"], [{"note": "a,b"}]),
        (["first=5,6"], [{"first": 5}, {"first": 6}]),
        (["first=range(1,4)"], [{}, {"first": 2}, {"first": 3}]),
        (["market=cn,us", "book.size=1,2"], [
            {"first": 10}, {"first": 10, "book": {"name": "a", "size": 2}},
            {"first": 20, "note": "a"}, {"first": 20, "note": "a", "book": {"name": "a", "size": 2}},
        ]),
        (["market=glob(*)"], [{"first": 10}, {"first": 20, "note": "a"}]),
        ([], [{}]),
    ],
)  # fmt: skip
def test_overrides_give_parameters(flow, overrides, params):
    assert compose(flow, overrides) == params


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("frist=1", "did you mean 'first'?"),
        ("markte=cn", "did you mean 'market'?"),
        ("market=jp", "there are cn, us"),
        ("first=many", "must be of type integer"),
        ("+other=1", "no parameter 'other'"),
        ("~first", "cannot be taken away"),
        ("first={a: b", "cannot be used"),
        ("hydra.run.dir=/tmp", "no parameter 'hydra.run.dir'"),
        ("first=${nothing}", "cannot be used"),
        ("first=range(1,100000)", "more than 10000 combinations"),
        ("+book={_target_: os.system}", "never calls"),
        ("+book._target_=os.system", "never calls"),
    ],
)
def test_what_cannot_be_used_is_refused(flow, override, text):
    with pytest.raises(BadInput) as caught:
        compose(flow, [override])
    assert text in f"{caught.value} {caught.value.hint}"


def test_a_sweep_runs_the_flow_once_for_each(flow):
    done = command("run", flow.folder, "market=cn,us", "--json")

    records = json.loads(done.stdout)
    assert [record["params"]["first"] for record in records] == [10, 20]
    assert [kyrios.get_run(record["run"]).head.params["first"] for record in records] == [10, 20]
    assert done.returncode == 0


def test_a_run_of_a_sweep_that_fails_does_not_hold_up_the_others(flow, sums):
    sums.code(sums.code_text().replace("print(", "assert first != 2; print("))

    done = command("run", flow.folder, "first=1,2,3", "--json")

    assert done.returncode == 1
    assert [record["state"] for record in json.loads(done.stdout)] == ["succeeded", "failed", "succeeded"]


def test_param_comes_before_an_override(flow):
    record = json.loads(command("run", flow.folder, "market=cn", "--param", "first=7", "--json").stdout)

    assert kyrios.get_run(record["run"]).head.params["first"] == 7


def test_a_dry_run_of_a_sweep_lists_its_runs(flow):
    done = command("run", flow.folder, "first=5,6", "--dry-run", "--json")

    assert [row["params"] for row in json.loads(done.stdout)] == [{"first": 5}, {"first": 6}]


def test_overrides_are_rendered_and_a_sweep_is_not(flow, tmp_path):
    words = ["--engine", "airflow", "--out", tmp_path / "dags"]
    one, many = command("render", flow.folder, "market=us", *words), command("plan", flow.folder, "first=1,2", *words)

    assert one.returncode == 0, one.stderr
    assert '"first": 20' in (tmp_path / "dags" / "sums.py").read_text()
    assert (many.returncode, "2 combinations" in many.stderr) == (2, True)


def test_without_an_override_hydra_is_not_imported(sums):
    code = "import sys; from kyrios.cli import root; root.main(sys.argv[1:], standalone_mode=False)\n"
    code += "assert not {'hydra', 'omegaconf'} & set(sys.modules)"
    words = [sys.executable, "-c", code, "run", os.fspath(sums)]

    assert subprocess.run(words, capture_output=True, timeout=120).returncode == 0
