"""Each library as a stranger gets it: its wheel, alone in a fresh environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile

import pytest

ALONE = ("veda", "exia", "kyrios", "ptolemy")


def test_there_are_five_wheels_and_no_sixth(wheels):
    assert set(wheels) == {*ALONE, "jiyuan"}


@pytest.mark.parametrize("library", [*ALONE, "jiyuan"])
def test_a_wheel_holds_its_library_its_types_its_licence_and_nothing_else(library, wheels):
    with zipfile.ZipFile(wheels[library]) as wheel:
        names = wheel.namelist()

    tops = {name.partition("/")[0] for name in names}
    info = next(top for top in tops if top.endswith(".dist-info"))
    assert tops == {library, info}
    assert f"{library}/py.typed" in names
    assert f"{info}/licenses/LICENSE" in names
    assert not [n for n in names if "/tests/" in n or "__pycache__" in n or n.endswith((".pyc", ".orig"))]


@pytest.mark.parametrize("library", [*ALONE, "jiyuan"])
def test_a_wheels_long_description_is_its_readme(library, wheels):
    with zipfile.ZipFile(wheels[library]) as wheel:
        name = next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
        text = wheel.read(name).decode()

    assert "Description-Content-Type: text/markdown" in text
    assert "License-Expression: Apache-2.0" in text


@pytest.fixture(scope="module", params=ALONE)
def alone(request, uv, wheels, tmp_path_factory):
    """The name of one library, and the folder of an environment that holds its wheel and what it needs."""
    library = request.param
    folder = tmp_path_factory.mktemp(library)
    locked = folder / "pylock.toml"
    uv(
        *("export", "--quiet", "--frozen", "--no-dev", "--no-emit-workspace", "--package", f"jiyuan-{library}"),
        *("--format", "pylock.toml", "--output-file", locked),
    )
    uv("venv", "--quiet", "--no-project", "--python", sys.executable, folder / "env")
    # The lock names each file by its address, so that uv takes from its cache what `make test` brought there.
    done = uv("pip", "install", "--quiet", "--python", folder / "env", "-r", locked, check=False)
    if "error sending request" in done.stderr or "dns error" in done.stderr:
        pytest.skip(f"not in uv's cache, and no package index: {done.stderr.strip().splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    uv("pip", "install", "--quiet", "--python", folder / "env", "--no-deps", "--offline", wheels[library])
    return library, folder / "env"


def _run(alone, tmp_path, *words):
    library, folder = alone
    env = {"PATH": os.environ["PATH"], "HOME": "/dev/null", f"{library}_HOME".upper(): str(tmp_path / "home")}
    return subprocess.run(
        [str(folder / "bin" / words[0]), *words[1:]], env=env, cwd=tmp_path, capture_output=True, text=True
    )


def test_a_library_alone_has_all_that_its_metadata_asks_for(alone, uv):
    uv("pip", "check", "--python", alone[1])


def test_a_library_alone_brings_no_other_of_ours(alone, tmp_path):
    done = _run(
        alone, tmp_path, "python", "-c",
        "from importlib.metadata import distributions; print(*(d.name for d in distributions()))",
    )  # fmt: skip

    assert [n for n in done.stdout.split() if n.startswith("jiyuan")] == [f"jiyuan-{alone[0]}"]


def test_a_library_alone_shows_its_help(alone, tmp_path):
    done = _run(alone, tmp_path, alone[0], "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: {alone[0]} ")


def test_a_library_alone_works_on_its_embedded_defaults(alone, tmp_path):
    done = _run(alone, tmp_path, alone[0], "doctor", "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    assert all(finding["ok"] for finding in json.loads(done.stdout))


# One thing that each library does on its embedded default, as its README shows it.
FIRST_USE = {
    "veda": "import veda; print(len(list(veda.open_registry().releases())), 'releases')",
    "exia": "import exia\nwith exia.pool('python:statistics:NormalDist') as p, p.lease() as n: print(n.cdf(0))",
    "kyrios": "import kyrios; print(len(kyrios.runs()), 'runs')",
    "ptolemy": "import ptolemy as pt; print(pt.api().datasets())",
}


def test_a_library_alone_is_used_from_python(alone, tmp_path):
    done = _run(alone, tmp_path, "python", "-W", "error", "-c", FIRST_USE[alone[0]])

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
