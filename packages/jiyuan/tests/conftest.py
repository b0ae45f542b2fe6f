"""A small centre for the tests: two days of bars, one package, one flow that uses both."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BIN = Path(sys.executable).parent
PACKAGE = """[package]
name = "scaling"
version = "{version}"
summary = "Multiply"
license = "Apache-2.0"
authors = ["Tests"]
requires-python = ">=3.11"

[entry-points]
default = "scaling:Scale"
"""
ALGORITHM = '''"""Multiply."""


class Scale:
    """Multiplies by {factor}."""

    def apply(self, value: float) -> float:
        """Return `value` times {factor}."""
        return value * {factor}
'''
FLOW = """kyrios: 1
flow: scaled
info: {version: "1.0"}
params: {algorithm: "scaling@~=1.0", shift: 0.5}
tolerance: {}
units:
  bars: {use: bars@1}
  scaled:
    use: scaled@1
    in: {bars: bars.bars}
    with: {algorithm: "${params.algorithm}", shift: "${params.shift}"}
"""
UNITS = """import exia
import kyrios
import ptolemy as pt
import pyarrow as pa


def bars():
    version = pt.versions("daily")[-1]
    frame = pt.api().daily(fields="ts_code,trade_date,close")
    kyrios.uses_dataset(name="daily", version=str(version.id), rows=len(frame), first=version.first,
                        last=version.last, digest=version.digest)
    return pa.table({name: frame[name].tolist() for name in frame.columns})


def scaled(bars, *, algorithm, shift):
    loaded = exia.load(algorithm)
    kyrios.uses_package(ref=algorithm, name=loaded.name, version=loaded.version, digest=loaded.digest)
    scale = loaded.factory()
    values = [scale.apply(value) + shift for value in bars["close"].to_pylist()]
    return pa.table({"ts_code": bars["ts_code"], "value": pa.array(values, pa.float64())})
"""
BARS = """kyrios: 1
unit: bars
info: {version: "1.0"}
run: {call: "units:bars"}
interface: {outputs: {bars: {type: table}}}
"""
SCALED = """kyrios: 1
unit: scaled
info: {version: "1.0"}
run: {call: "units:scaled"}
interface:
  params: {algorithm: {type: string}, shift: {type: number}}
  inputs: {bars: {type: table}}
  outputs: {scaled: {type: table}}
"""


@dataclass(frozen=True)
class Centre:
    """Everything below one folder."""

    folder: Path

    @property
    def flow(self) -> Path:
        return self.folder / "flow"

    def settings(self) -> dict[str, str]:
        homes = {
            f"{name}_HOME".upper(): str(self.folder / name) for name in ("exia", "jiyuan", "kyrios", "ptolemy", "veda")
        }
        urls = {
            "VEDA_STORE": f"file:{self.folder / 'store'}",
            "VEDA_REGISTRY": "sqlite://",
            "PTOLEMY_SERIES": "arrow://",
        }
        return {**homes, **urls, "KYRIOS_DATA": "file://", "KYRIOS_HISTORY": "sqlite://", "EXIA_RUNS": "sqlite://"}

    def make(self) -> None:
        """Write the flow, publish the package, keep the bars."""
        (self.flow / "units").mkdir(parents=True)
        for name, text in {
            "flow.yaml": FLOW.replace("tolerance: {}\n", ""), "units.py": UNITS,
            "units/bars.yaml": BARS, "units/scaled.yaml": SCALED,
        }.items():  # fmt: skip
            (self.flow / name).write_text(text)
        self.publish("1.0.0", "2.0")
        self.collect(10.0, 11.0)

    def publish(self, version: str, factor: str) -> Any:
        import veda

        place = self.folder / f"scaling-{version}"
        (place / "src" / "scaling").mkdir(parents=True)
        (place / "veda.toml").write_text(PACKAGE.format(version=version))
        (place / "README.md").write_text("# scaling\n")
        (place / "src" / "scaling" / "__init__.py").write_text(ALGORITHM.format(factor=factor))
        package = veda.pack(place, self.folder)
        veda.register(package.path)
        return veda.push(package.path)

    def collect(self, *closes: float) -> Any:
        import pyarrow as pa

        import ptolemy as pt

        days = [f"2024010{number + 2}" for number in range(len(closes))]
        table = pa.table({"ts_code": ["000001.SZ"] * len(closes), "trade_date": days, "close": list(closes)})
        with pt.open_series() as series:
            return series.upsert("daily", table, key=("ts_code", "trade_date"))

    def run(self, **params: Any) -> Any:
        import kyrios

        return kyrios.load_flow(self.flow).run(params)


@pytest.fixture
def centre(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Centre:
    """A centre of its own, which all five libraries work in."""
    found = Centre(tmp_path / "centre")
    for name, value in found.settings().items():
        monkeypatch.setenv(name, value)
    found.make()
    return found


@pytest.fixture(scope="module")
def shared_centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    """One centre for all tests of a file, which only read it."""
    with pytest.MonkeyPatch.context() as patched:
        found = Centre(tmp_path_factory.mktemp("shared") / "centre")
        for name, value in found.settings().items():
            patched.setenv(name, value)
        found.make()
        yield found


@pytest.fixture
def command() -> Any:
    """A function that runs the command as a stranger would, in the folder ``home``, with nothing of the caller's."""

    def run(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
        home.mkdir(exist_ok=True)
        kept = {k: os.environ[k] for k in ("LANG", "TMPDIR") if k in os.environ}
        return subprocess.run(
            [str(BIN / "jiyuan"), *words], cwd=home,
            env={**kept, "HOME": str(home), "PATH": f"{BIN}:{os.environ['PATH']}"},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    return run
