"""Flows written in Python give the same graph, with the same digest, as their YAML."""

from __future__ import annotations

import importlib.util
import sys
from textwrap import dedent

import pytest

import kyrios

UNITS = """
import kyrios
import pyarrow as pa
import pyarrow.compute as pc

N = {"n": "int64"}

@kyrios.unit(outputs={"numbers": N}, cache=True, timeout="1m")
def numbers(*, first: int = 1, tags: list[str] | None = None) -> pa.Table:
    "Two numbers."
    return pa.table({"n": pa.array([first, first + 1], pa.int64())})

@kyrios.unit(inputs={"numbers": N}, outputs={"numbers": N}, retries=1)
def double(numbers: pa.Table) -> pa.Table:
    return pa.table({"n": pc.multiply(numbers["n"], 2)})

@kyrios.unit(outputs={"numbers": N})
def halve(numbers: pa.Table) -> pa.Table:
    return pa.table({"n": pc.divide(numbers["n"], 2)})

@kyrios.unit(outputs=["sums"])
def both(left: pa.Table, right: pa.Table) -> pa.Table:
    return pa.table({"n": pc.add(left["n"], right["n"])})
"""
FLOW = """
with kyrios.flow(
    "sums", params={"first": 1, "mode": "fast", "firsts": [1, 2]}, summary="Sums.", tags=["x"], cron="0 18 * * *"
) as sums:
    p = sums.params
    a = numbers(first=p.first)
    b = double(a).retry(3, delay="2s", backoff=2.0)
    c = double(numbers=a)
    d = both(b.numbers, c.numbers)
    d >> (numbers.named("x")() | numbers.named("y")(first=3)) >> numbers.named("z")()
    m = numbers.named("m").map(first=[1, 2, 3])
    n = numbers.named("n").map(first=m.numbers.n)
    o = numbers.named("o").map(first=p.firsts)
    e = kyrios.branch(p.mode, {"fast": double, "slow": halve}, otherwise=halve, numbers=m)
    g = kyrios.gate(e, (e.numbers.n > 1) & ~(p.mode == "none"))
    s = kyrios.select(g, a)
    f = halve(g).fallback(double).only_if(p.first < 5)
    loop = halve.named("loop")(s).loop(4, until="numbers.n <= 1").when("all_succeeded").grouped("late")
"""
YAML = """
kyrios: 1
flow: sums
info: {version: "1.0", summary: "Sums.", tags: [x]}
schedule: {cron: "0 18 * * *"}
params: {first: 1, mode: fast, firsts: [1, 2]}
units:
  numbers: {use: numbers@1, with: {first: "${params.first}"}}
  double: {use: double@1, in: {numbers: numbers.numbers}, retries: 3, retry_delay: 2s, backoff: 2}
  double_2: {use: double@1, in: {numbers: numbers.numbers}}
  both: {use: both@1, in: {left: double.numbers, right: double_2.numbers}}
  x: {use: numbers@1, after: [both]}
  y: {use: numbers@1, with: {first: 3}, after: [both]}
  z: {use: numbers@1, after: [x, y]}
  m: {use: numbers@1, map: {first: [1, 2, 3]}}
  n: {use: numbers@1, map: {first: m.numbers.n}}
  o: {use: numbers@1, map: {first: "${params.firsts}"}}
  branch:
    branch: {on: params.mode, cases: {fast: double@1, slow: halve@1}, otherwise: halve@1}
    in: {numbers: m.numbers}
  gate: {gate: branch.numbers, if: (branch.numbers.n > 1) and (not (params.mode == 'none'))}
  select: {select: [gate.numbers, numbers.numbers]}
  halve: {use: halve@1, in: {numbers: gate.numbers}, fallback: [double@1], if: params.first < 5}
  loop: {use: halve@1, in: {numbers: select.numbers}, loop: {times: 4, until: numbers.n <= 1}, group: late}
"""
UNIT_FILES = {
    "numbers": """
        info: {version: "1.0", summary: Two numbers.}
        run: {call: "flow:numbers", timeout: 1m}
        state: {cache: true}
        interface:
          params: {first: {type: integer, default: 1}, tags: {type: array, default: null}}
          outputs: {numbers: {type: table, columns: {n: int64}}}
    """,
    "double": """
        info: {version: "1.0"}
        run: {call: "flow:double", retries: 1}
        interface:
          inputs: {numbers: {type: table, columns: {n: int64}}}
          outputs: {numbers: {type: table, columns: {n: int64}}}
    """,
    "halve": """
        info: {version: "1.0"}
        run: {call: "flow:halve"}
        interface: {inputs: {numbers: {type: table}}, outputs: {numbers: {type: table, columns: {n: int64}}}}
    """,
    "both": """
        info: {version: "1.0"}
        run: {call: "flow:both"}
        interface: {inputs: {left: {type: table}, right: {type: table}}, outputs: {sums: {type: table}}}
    """,
}


@pytest.fixture
def python(tmp_path):
    """Write a flow in Python and give its folder."""

    def python(text, name="python"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "flow.py").write_text(UNITS + text)
        return folder

    return python


@pytest.fixture
def from_yaml(tmp_path):
    folder = tmp_path / "yaml"
    (folder / "units").mkdir(parents=True)
    (folder / "flow.py").write_text(UNITS)
    (folder / "flow.yaml").write_text(YAML)
    for name, text in UNIT_FILES.items():
        (folder / "units" / f"{name}.yaml").write_text(f"kyrios: 1\nunit: {name}\n{dedent(text)}")
    return kyrios.load_flow(folder)


def test_python_and_yaml_give_one_graph_with_one_digest(python, from_yaml):
    from_python = kyrios.load_flow(python(FLOW))

    assert from_python.graph.canonical == from_yaml.graph.canonical
    assert from_python.digest == from_yaml.digest


def test_python_and_yaml_give_the_same_tables(python, from_yaml):
    runs = [kyrios.load_flow(python(FLOW)).run(), from_yaml.run()]

    assert [t.outputs for t in runs[0].tasks] == [t.outputs for t in runs[1].tasks]
    assert runs[0].table("loop.numbers").to_pydict() == {"n": [1, 2, 2, 3, 3, 4]}


def test_a_flow_in_python_can_be_written_as_yaml(python, tmp_path):
    folder = python(FLOW)
    spec = importlib.util.spec_from_file_location("flow", folder / "flow.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["flow"] = module
    try:
        spec.loader.exec_module(module)
        written = module.sums.write(tmp_path / "written")
    finally:
        del sys.modules["flow"]
    (tmp_path / "written" / "flow.py").write_text(UNITS)

    assert kyrios.load_flow(written).digest == kyrios.load_flow(folder).digest


def test_a_flow_in_python_runs_by_its_folder_and_one_unit_at_a_time(python):
    flow = kyrios.load_flow(python('with kyrios.flow("small") as small:\n    double(numbers(first=4))\n'))

    assert flow.run().table("double.numbers").to_pydict() == {"n": [8, 10]}
    for unit in ("numbers", "double"):
        run = flow.run_unit(unit, run_id="r")
    assert run.state == "succeeded"


def test_a_unit_called_outside_a_flow_is_its_function():
    @kyrios.unit
    def three(*, add: int = 0):
        return 3 + add

    assert three(add=1) == 4


def test_a_mistake_in_a_python_flow_is_named_with_its_line(python):
    folder = python('with kyrios.flow("small") as small:\n    a = numbers()\n    double(numbers=a.number)\n')

    with pytest.raises(kyrios.FlowInvalid) as caught:
        kyrios.load_flow(folder)

    problem = caught.value.problems[0]
    assert "no output 'number'; did you mean 'numbers'?" in str(problem)
    assert "double(numbers=a.number)" in problem.source


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("numbers(first=small.params.frist)", "the flow has no parameter 'frist'"),
        ("double(both(numbers(), numbers())).retry(1) and double(kyrios.use('a@1')())", "has no single output"),
        ("bool(numbers().numbers.n > 1)", "known when the flow runs, not before"),
        ("double(numbers(), numbers())", "takes 1 inputs by place, not 2"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(python, line, said):
    with pytest.raises(kyrios.BadInput, match=said):
        kyrios.load_flow(python(f'with kyrios.flow("small", params={{"first": 1}}) as small:\n    {line}\n'))


def test_a_parameter_without_a_type_is_refused():
    with pytest.raises(kyrios.BadInput, match="'what' of bad has no type that a flow knows"):

        @kyrios.unit
        def bad(*, what): ...
