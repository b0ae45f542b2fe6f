"""What `kyrios create` writes: a unit's file, its code and its test, and a flow around it."""

from __future__ import annotations

import re
from pathlib import Path

from kyrios._house.files import write_durably
from kyrios.errors import BadInput, Conflict

_INFO = 'kyrios: 1\nunit: NAME\ninfo: {version: "1.0", summary: "SUMMARY"}\n'
_VALUES = "{type: table, columns: {value: float64}}"
_SPECS = {
    "python": _INFO + f"""run: {{call: "NAME:NAME", retries: 1, timeout: 5m}}
interface:
  params: {{factor: {{type: number, default: 2.0}}}}
  inputs: {{values: {_VALUES}}}
  outputs: {{result: {_VALUES}}}
""",
    "sql": _INFO + f"""run: {{sql: "select value * :factor as value from \\"values\\" order by value"}}
interface:
  params: {{factor: {{type: number, default: 2.0}}}}
  inputs: {{values: {_VALUES}}}
  outputs: {{result: {_VALUES}}}
""",
    "shell": _INFO + f"""run:
  timeout: 5m
  shell: |
    awk -v by="$factor" 'NR == 1 {{ print; next }} {{ print $1 * by }}' values.csv >result.csv
interface:
  params: {{factor: {{type: number, default: 2.0}}}}
  inputs: {{values: {_VALUES}}}
  outputs: {{result: {_VALUES}}}
""",
    "train": _INFO + f"""run: {{call: "NAME:NAME", timeout: 1h}}
state: {{cache: true}}
interface:
  params: {{rate: {{type: number, default: 0.1}}, steps: {{type: integer, default: 100}}}}
  inputs: {{values: {_VALUES}}}
  outputs: {{result: {{type: table, columns: {{rate: float64, value: float64, loss: float64}}}}}}
""",
    "http": _INFO + f"""run: {{call: "NAME:NAME", retries: 3, retry_delay: 1s, backoff: 2, timeout: 1m}}
interface:
  params: {{url: {{type: string}}}}
  outputs: {{result: {_VALUES}}}
""",
    "stream": _INFO + f"""run: {{call: "NAME:NAME"}}
interface:
  params: {{weight: {{type: number, default: 0.2}}}}
  inputs: {{values: {_VALUES}}}
  outputs: {{result: {_VALUES}}}
""",
}  # fmt: skip
_HEAD = '"""The unit NAME."""\n\nfrom __future__ import annotations\n\n'
_CODE = {
    "python": _HEAD + '''import pyarrow as pa
import pyarrow.compute as pc


def NAME(values: pa.Table, *, factor: float) -> pa.Table:
    """Return each value, `factor` times as large."""
    return pa.table({"value": pc.multiply(values["value"], factor)})
''',
    "train": _HEAD + '''import numpy as np
import pyarrow as pa


def NAME(values: pa.Table, *, rate: float, steps: int) -> pa.Table:
    """Fit the mean of `values` by gradient descent; return what was found and its loss."""
    data = values["value"].to_numpy()
    found = 0.0
    for _ in range(steps):
        found -= rate * 2 * float(np.mean(found - data))
    return pa.table({"rate": [rate], "value": [found], "loss": [float(np.mean((found - data) ** 2))]})
''',
    "http": _HEAD + '''import json
from urllib.request import urlopen

import pyarrow as pa


def NAME(*, url: str) -> pa.Table:
    """Return the numbers of the JSON list at `url`."""
    with urlopen(url, timeout=30) as answer:
        return pa.table({"value": pa.array(json.load(answer), pa.float64())})
''',
    "stream": _HEAD + '''import pyarrow as pa

import kyrios


def NAME(values: pa.Table, *, weight: float) -> pa.Table:
    """Return the moving mean of all that has come; it is remembered from tick to tick."""
    memory = kyrios.memory()
    for value in values["value"].to_pylist():
        memory["mean"] = value if "mean" not in memory else memory["mean"] + weight * (value - memory["mean"])
    return pa.table({"value": pa.array([memory["mean"]] if "mean" in memory else [], pa.float64())})
''',
}  # fmt: skip
_TEST_HEAD = "import sys\nfrom pathlib import Path\n\nsys.path.insert(0, str(Path(__file__).parents[1]))\n"
_TESTS = {
    "python": _TEST_HEAD + '''
import pyarrow as pa
from NAME import NAME


def test_each_value_is_multiplied():
    assert NAME(pa.table({"value": [1.0, 2.0]}), factor=3.0).to_pydict() == {"value": [3.0, 6.0]}
''',
    "train": _TEST_HEAD + '''
import pyarrow as pa
from NAME import NAME


def test_the_mean_is_found():
    found = NAME(pa.table({"value": [1.0, 3.0]}), rate=0.1, steps=200)

    assert abs(found["value"][0].as_py() - 2.0) < 1e-6
''',
    "http": _TEST_HEAD + '''
from NAME import NAME


def test_the_numbers_of_a_json_list_come_in(tmp_path):
    (tmp_path / "numbers.json").write_text("[1, 2.5]")

    assert NAME(url=(tmp_path / "numbers.json").as_uri()).to_pydict() == {"value": [1.0, 2.5]}
''',
    "stream": _TEST_HEAD + '''
import pyarrow as pa
from NAME import NAME


def test_the_mean_moves_towards_what_comes():
    assert NAME(pa.table({"value": [1.0, 2.0, 2.0]}), weight=0.5).to_pydict() == {"value": [1.75]}
''',
    "sql": '''import yaml
from pathlib import Path


def test_the_query_reads_its_input():
    unit = yaml.safe_load((Path(__file__).parents[1] / "units" / "NAME.yaml").read_text())

    assert '"values"' in unit["run"]["sql"]
''',
    "shell": '''import os
import subprocess
from pathlib import Path

import yaml


def test_the_script_multiplies_each_value(tmp_path):
    unit = yaml.safe_load((Path(__file__).parents[1] / "units" / "NAME.yaml").read_text())
    (tmp_path / "values.csv").write_text('"value"\\n1\\n2\\n')
    words = ["bash", "-euo", "pipefail", "-c", unit["run"]["shell"]]
    subprocess.run(words, cwd=tmp_path, env={**os.environ, "factor": "3"}, check=True)

    assert (tmp_path / "result.csv").read_text().split() == ['"value"', "3", "6"]
''',
}  # fmt: skip
_FLOW = """kyrios: 1
flow: NAME
info: {version: "1.0", summary: "Numbers, and what WORK makes of them."}
params: {count: 3}
units:
  numbers: {use: numbers@1, with: {count: "${params.count}"}}
  WORK: {use: WORK@1, in: {values: numbers.values}}
"""
_NUMBERS = """kyrios: 1
unit: numbers
info: {version: "1.0", summary: "The numbers from 1."}
run: {call: "numbers:numbers"}
interface:
  params: {count: {type: integer, default: 3}}
  outputs: {values: {type: table, columns: {value: float64}}}
"""
_NUMBERS_CODE = '''"""The unit numbers."""

from __future__ import annotations

import pyarrow as pa


def numbers(*, count: int) -> pa.Table:
    """Return the numbers from 1 to `count`."""
    return pa.table({"value": pa.array(range(1, count + 1), pa.float64())})
'''


def create_unit(name: str, like: str, folder: Path) -> list[Path]:
    """Write a unit from the template `like` into a flow's folder; return its files.

    Raises
    ------
    BadInput
        If `name` cannot be the name of a unit.
    Conflict
        If one of the files is there; nothing is written then.
    """
    return _write(_unit_files(_checked(name), like, folder))


def create_flow(name: str, like: str, folder: Path) -> list[Path]:
    """Write a flow that runs, with a unit from the template `like`, into `folder`; return its files."""
    work = {
        "python": "scale",
        "sql": "query",
        "shell": "script",
        "train": "train",
        "http": "fetch",
        "stream": "follow",
    }[like]
    text = _FLOW.replace("NAME", _checked(name)).replace("WORK", work)
    if like == "http":  # it brings its own numbers
        text = text.replace("in: {values: numbers.values}", 'with: {url: "${params.url}"}').replace(
            "params: {count: 3}", 'params: {count: 3, url: "http://127.0.0.1:8000/numbers.json"}'
        )
    if like == "stream":
        text = text.replace("units:\n", "schedule: {every: 100ms}\nunits:\n")
    files = {
        folder / "flow.yaml": text,
        folder / "units" / "numbers.yaml": _NUMBERS,
        folder / "numbers.py": _NUMBERS_CODE,
        **_unit_files(work, like, folder),
    }
    return _write(files)


def _unit_files(name: str, like: str, folder: Path) -> dict[Path, str]:
    summary = {"train": "Fit a model.", "http": "Fetch numbers.", "stream": "Follow the mean."}.get(
        like, "Multiply each value."
    )
    files = {folder / "units" / f"{name}.yaml": _SPECS[like].replace("NAME", name).replace("SUMMARY", summary)}
    if like in _CODE:
        files[folder / f"{name}.py"] = _CODE[like].replace("NAME", name)
    files[folder / "tests" / f"test_{name}.py"] = _TESTS[like].replace("NAME", name)
    return files


def _checked(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name):
        raise BadInput(f"{name!r} is no name", hint="small letters, digits and _ only, a letter first")
    return name


def _write(files: dict[Path, str]) -> list[Path]:
    for path in files:
        if path.exists():
            raise Conflict(f"{path} is there already", hint="choose another name, or move it")
    for path, text in files.items():
        write_durably(path, text.encode())
    return list(files)
