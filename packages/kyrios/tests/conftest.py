from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [n for n in os.environ if n.startswith("KYRIOS_") and not n.startswith("KYRIOS_TEST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KYRIOS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


UNIT = """
kyrios: 1
unit: {name}
info: {{version: "1.0", summary: "{name}"}}
run: {{call: "units:{name}"{run}}}
interface: {interface}
"""

NUMBERS = """
    params: {first: {type: integer, default: 1}, factor: {type: number, default: 1.0}}
    outputs: {numbers: {type: table, columns: {n: int64}}}
"""
DOUBLE = """
    inputs: {numbers: {type: table, columns: {n: int64}}}
    outputs: {numbers: {type: table}}
"""
BOTH = """
    inputs: {left: {type: table}, right: {type: table}}
    outputs: {sums: {type: table, columns: {n: int64}}}
"""
CODE = """
import os
import pyarrow as pa
import pyarrow.compute as pc
import kyrios

def numbers(*, first, factor):
    print("first is", first)
    return pa.table({"n": pa.array([first, first + 1], pa.int64())})

def double(numbers):
    if os.environ.get("BREAK"):
        raise ValueError("the numbers\\nare wrong")
    return {"numbers": pa.table({"n": pc.multiply(numbers["n"], 2)})}

def both(left, right):
    kyrios.uses_package(ref="add@1", name="add", version="1.0.0", digest="sha256:" + "0" * 64)
    kyrios.uses_dataset(name="daily", version="7", rows=2, first="20200101", last="20200102")
    return pa.table({"n": pc.add(left["n"], right["n"])})
"""
FLOW = """
kyrios: 1
flow: sums
info: {version: "1.0", summary: "Numbers, doubled and added.", owner: "team"}
params: {first: 1}
units:
  numbers: {use: numbers@1, with: {first: "${params.first}"}}
  double: {use: double@1, in: {numbers: numbers.numbers}}
  again: {use: double@1, in: {numbers: numbers.numbers}}
  both: {use: both@1, in: {left: double.numbers, right: again.numbers}}
fuse: none
"""


class FlowFolder:
    """A flow that works, and can be broken one file at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.flow(FLOW)
        self.unit("numbers", NUMBERS)
        self.unit("double", DOUBLE)
        self.unit("both", BOTH)
        self.code(CODE)

    def __fspath__(self) -> str:
        return str(self.folder)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")

    def flow(self, text: str) -> None:
        self.write("flow.yaml", text)

    def unit(self, name: str, interface: str, run: str = "") -> None:
        self.write(f"units/{name}.yaml", UNIT.format(name=name, interface=interface, run=run))

    def code_text(self) -> str:
        return (self.folder / "units.py").read_text(encoding="utf-8")

    def code(self, text: str) -> None:
        self.write("units.py", text)

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text
        (self.folder / name).write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def sums(tmp_path: Path) -> FlowFolder:
    return FlowFolder(tmp_path / "flows" / "sums")


@pytest.fixture
def flow_folder(tmp_path: Path) -> Callable[[str], FlowFolder]:
    return lambda name: FlowFolder(tmp_path / "flows" / name)


@pytest.fixture(scope="session")
def celery_workers(tmp_path_factory):
    """Give the URL of an engine whose two worker processes run, on a queue of this session."""
    redis = os.environ["KYRIOS_TEST_REDIS_URL"]
    url = redis.replace("redis:", "celery:", 1) + f"?queue=kyrios-{os.getpid()}&lease=2"
    home = tmp_path_factory.mktemp("celery")
    environment = {**os.environ, "KYRIOS_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    words = [sys.executable, "-c", "from kyrios.cli import main; main()", "worker", "--engine", url]
    with (home / "worker.log").open("w") as log:
        worker = subprocess.Popen(words, env=environment, cwd=home, stdout=log, stderr=log)
    yield url
    worker.terminate()
    worker.wait(timeout=30)
