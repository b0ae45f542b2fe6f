"""Every adapter of every port: one word everywhere, and a driver that is missing names its extra."""

from __future__ import annotations

import json
from importlib.metadata import entry_points, metadata

import pytest
from tests.conformance.commands import LIBRARIES

# A second word for an adapter: the one that users of the protocol know.
ALSO_CALLED = {("kyrios", "data", "s3"): "minio"}


def _adapters():
    groups = entry_points().groups
    return [
        pytest.param(group.partition(".")[0], group.partition(".")[2], point, id=f"{group} {point.name}")
        for group in sorted(g for g in groups if g.partition(".")[0] in LIBRARIES)
        for point in sorted(entry_points(group=group))
    ]


def _distribution(library):
    return library if library == "jiyuan" else f"jiyuan-{library}"


OPENS = """
import json, sys
from importlib.metadata import entry_points
library, port, word = sys.argv[1:]

class NoDriver:  # nothing from outside the library and what it always needs is installed
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

BLOCKED = set(json.loads(sys.stdin.read()))
sys.meta_path.insert(0, NoDriver())
for name in [n for n in sys.modules if n.partition(".")[0] in BLOCKED]:
    del sys.modules[name]
backends = __import__(f"{library}._house.backends", fromlist=["x"])
try:
    backends.open_backend(port, word)
except Exception as exc:
    print(json.dumps([type(exc).__name__, str(exc), getattr(exc, "hint", None)]))
else:
    print(json.dumps(["opened", "", None]))
"""

DRIVERS = [
    "airflow", "alluxiofs", "ansible_runner", "celery", "clickhouse_driver", "consul", "dask", "distributed",
    "elasticsearch", "influxdb_client", "minio", "mlflow", "psycopg2", "pymongo", "pymysql", "ray", "redis",
    "relstorage", "s3fs", "supervisor", "tushare",
]  # fmt: skip


@pytest.mark.parametrize(("library", "port", "point"), _adapters())
def test_an_adapter_lives_in_the_file_of_its_word(library, port, point):
    if point.dist.name != _distribution(library):
        return  # offered by another library, which has its own order
    word = ALSO_CALLED.get((library, port, point.name), point.name)

    assert point.value.startswith(f"{library}.")
    if (spec := point.module.split("."))[-1] != word:
        # A port whose adapters are all small may keep them in one file; a driver's adapter may not.
        assert word not in _extras(library), f"{point.value}: the adapter {word} is in {spec[-1]}.py"


@pytest.mark.parametrize(("library", "port", "point"), _adapters())
def test_an_adapter_whose_driver_is_missing_names_the_extra_that_brings_it(library, port, point, place):
    done = place.run("python", "-c", OPENS, library, port, point.name, stdin=None, input=json.dumps(DRIVERS))

    assert done.returncode == 0, done.stderr
    kind, message, hint = json.loads(done.stdout.splitlines()[-1])
    if point.name in _extras(library) and kind == "MissingExtra":
        word = ALSO_CALLED.get((library, port, point.name), point.name)
        assert hint == f"pip install '{_distribution(library)}[{word}]'"
        assert "which is not installed" in message
    else:
        assert kind != "ModuleNotFoundError", message


@pytest.mark.parametrize(("library", "port", "point"), _adapters())
def test_a_missing_driver_never_names_an_extra_that_does_not_exist(library, port, point, place):
    done = place.run("python", "-c", OPENS, library, port, point.name, stdin=None, input=json.dumps(DRIVERS))

    kind, _, hint = json.loads(done.stdout.splitlines()[-1])
    if kind == "MissingExtra":
        assert hint.partition("[")[2].partition("]")[0] in _extras(library), hint


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_words_of_the_table_of_drivers_are_extras_of_their_libraries(library):
    from tests.servers import BACKENDS

    words = {b.word for b in BACKENDS if library in b.libraries}

    assert words <= _extras(library)


def test_an_unknown_scheme_lists_the_known_ones_and_the_nearest(place):
    from importlib import import_module

    for library, port, point in {(p.values[0], p.values[1], p.values[2].name) for p in _adapters()}:
        backends = import_module(f"{library}._house.backends")

        with pytest.raises(ValueError, match="known: ") as caught:
            backends.open_backend(port, f"{point}q://")

        assert caught.value.exit_code == 2  # type: ignore[attr-defined]
        assert "did you mean" in str(caught.value.hint)  # type: ignore[attr-defined]


def _extras(library):
    return set(metadata(_distribution(library)).get_all("Provides-Extra") or ())
