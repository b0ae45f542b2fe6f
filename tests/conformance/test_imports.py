"""What is imported when: start-up must not pay for what a command does not use."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from tests.conformance.commands import LIBRARIES
from tests.conformance.test_adapters import DRIVERS

ROOT = Path(__file__).resolve().parents[2]
HEAVY = [
    *DRIVERS, "BTrees", "ZODB", "bokeh", "bokeh_sampledata", "duckdb", "flask", "fsspec", "hydra", "jinja2",
    "jsonschema", "matplotlib", "networkx", "numpy", "pandas", "persistent", "playwright", "polars", "pyarrow",
    "pydantic", "requests", "rich", "scipy", "sqlite3", "urllib3", "werkzeug", "yaml", "zstandard",
]  # fmt: skip

LOADED = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted({m.partition(".")[0] for m in sys.modules})), file=sys.stderr))
"""


def test_help_imports_no_heavy_module(library, place):
    code = f"{LOADED}\nfrom {library}.cli import main\nsys.argv[0] = {library!r}\nmain()"

    done = place.python(code, "--help")

    assert done.stdout.startswith(f"Usage: {library}")
    assert not set(json.loads(done.stderr)) & set(HEAVY)


def test_importing_a_library_loads_no_driver_and_no_command_line(library, place):
    done = place.python(f"{LOADED}\nimport {library}")

    assert done.returncode == 0, done.stderr
    assert not set(json.loads(done.stderr)) & {*DRIVERS, "click", "rich"}


def test_importing_a_library_reads_no_configuration_and_writes_nothing(library, place):
    place.folder.mkdir()
    (place.folder / "jiyuan.toml").write_text("no TOML at all")

    done = place.python(f"import {library}")

    assert (done.returncode, done.stderr) == (0, "")
    assert [p.name for p in place.folder.iterdir()] == ["jiyuan.toml"]


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_public_names_are_sorted_listed_once_and_there(name):
    from importlib import import_module

    module = import_module(name)

    assert module.__all__ == sorted(set(module.__all__))
    assert not [n for n in module.__all__ if not hasattr(module, n)]
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("name", LIBRARIES)
def test_every_public_function_and_class_says_what_it_does(name):
    from importlib import import_module

    module = import_module(name)
    silent = [
        public
        for public in module.__all__
        if callable(value := getattr(module, public)) and not (getattr(value, "__doc__", "") or "").strip()
    ]

    assert not silent


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_driver_is_imported_in_the_adapter_of_its_word_and_nowhere_else(name):
    source = ROOT / "packages" / name / "src" / name
    elsewhere = []
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            tops = {alias.name.partition(".")[0] for alias in node.names} if isinstance(node, ast.Import) else set()
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                tops = {(node.module or "").partition(".")[0]}
            for driver in tops & set(DRIVERS):
                words = {driver, *WORDS.get(driver, ())}
                if not words & {path.stem, *path.relative_to(source).parts}:
                    elsewhere.append(f"{path.relative_to(ROOT)}: {driver}")

    assert not elsewhere


WORDS = {
    "alluxiofs": ["alluxio"],
    "ansible_runner": ["ansible"],
    "clickhouse_driver": ["clickhouse"],
    "distributed": ["dask"],
    "influxdb_client": ["influxdb"],
    "psycopg2": ["postgresql"],
    "pymongo": ["mongodb"],
    "pymysql": ["mysql"],
    "redis": ["celery"],  # its extra brings both: the broker is also asked for claims
    "relstorage": ["postgresql"],
    "s3fs": ["minio"],
}
