"""Refs: those of Python's own modules, and those of a loader that another distribution brings."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

import exia
from exia.errors import BackendUnavailable, BadInput, LoadError, RefNotFound

_LOADER = """
class Missing(Exception):
    exit_code = 3
    hint = "shelf list"

class Down(Exception):
    exit_code = 6

class Momentum:
    def __init__(self):
        self.made = True
    def signal(self, prices):
        return [p * 2 for p in prices]
    def hidden(self):
        return "not in the table"

class Loaded:
    factory = Momentum
    name = "momentum"
    version = "1.2.0"
    digest = "sha256:00"
    methods = {"signal": {"signature": "(prices)", "summary": "Twice the prices."}}

def load(ref):
    if ref == "down":
        raise Down("the shelf does not answer")
    if ref == "broken":
        raise ZeroDivisionError("inside")
    if not ref.startswith("momentum"):
        raise Missing(f"nothing on the shelf is called {ref!r}")
    return Loaded
"""


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Install a second distribution that brings the loader `shelf`."""
    site = tmp_path / "site"
    info = site / "shelf-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "shelf.py").write_text(_LOADER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[exia.loaders]\nshelf = shelf:load\n")
    return site


@pytest.fixture
def packed(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(shelf))


def alone(program: str, tmp_path: Path, *sites: Path) -> list[str]:
    """Run `program` where Exia and the distributions in `sites` are all that is installed."""
    info = tmp_path / "exia-only" / "jiyuan_exia-0.dist-info"
    info.mkdir(parents=True)
    installed = distribution("jiyuan-exia")
    for name in ("METADATA", "entry_points.txt"):
        (info / name).write_text(installed.read_text(name) or "")
    path = os.pathsep.join(str(p) for p in (info.parent, Path(exia.__file__).parent.parent, *sites))
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import exia\n{program}"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return (done.stdout + done.stderr).splitlines()


def exia_command(*words: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from exia.cli import main; main()", *words],
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_bare_ref_goes_to_the_one_loader_of_packages(tmp_path, shelf):
    shown = alone("x = exia.load('momentum@~=1.2'); print(x.name, x.version, x.digest)", tmp_path, shelf)

    assert shown == ["momentum 1.2.0 sha256:00"]


def test_a_bare_ref_says_how_to_choose_between_two_loaders(tmp_path, shelf):
    other = tmp_path / "other" / "crate-1.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: crate\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text("[exia.loaders]\ncrate = shelf:load\n")

    program = "try: exia.load('momentum')\nexcept exia.errors.BadInput as exc: print(exc, exc.hint, sep='; ')"
    shown = alone(program, tmp_path, shelf, other.parent)

    assert shown == ["'momentum' could be for any of the loaders crate, shelf; write it as crate:momentum"]


def test_without_a_loader_of_packages_the_way_to_one_is_named(tmp_path):
    shown = alone("try: exia.load('momentum')\nexcept exia.errors.MissingExtra as exc: print(exc.hint)", tmp_path)

    assert shown == ["pip install jiyuan-veda"]


def test_a_packed_algorithm_is_pooled_and_called_by_the_loaders_table(packed):
    with exia.pool("shelf:momentum@~=1.2", max_size=2) as pool, pool.acquire() as lease:
        assert exia.get_pool("momentum") is pool
        assert lease.methods() == {"signal": {"signature": "(prices)", "summary": "Twice the prices."}}
        assert lease.call("signal", [1, 2]) == [2, 4]
        with pytest.raises(LookupError):
            lease.call("hidden")


def test_a_ref_may_name_a_digest(packed):
    assert exia.load("shelf:momentum@sha256:abc").name == "momentum"


def test_an_unknown_ref_is_not_found_with_the_loaders_hint(packed):
    with pytest.raises(RefNotFound, match="nothing on the shelf is called 'ghost'") as caught:
        exia.load("shelf:ghost")
    assert caught.value.hint == "shelf list"


def test_a_loader_that_is_down_and_one_that_breaks_are_told_apart(packed):
    with pytest.raises(BackendUnavailable):
        exia.load("shelf:down")
    with pytest.raises(LoadError, match="ZeroDivisionError"):
        exia.load("shelf:broken")


def test_the_command_calls_through_the_loader_of_another_distribution(shelf):
    done = exia_command("call", "shelf:momentum", "signal", "--json", "[[1, 2.5]]", path=shelf)

    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.split() == ["[", "2,", "5.0", "]"]


def test_the_command_ends_with_3_for_an_unknown_ref(shelf):
    done = exia_command("call", "shelf:ghost", "signal", path=shelf)

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "error: nothing on the shelf is called 'ghost'\nhint: shelf list\n"


def test_a_python_ref_names_a_class_a_callable_or_a_module():
    assert exia.load("python:statistics:NormalDist").methods["pdf"]["signature"] == "(x)"
    assert "append" in exia.load("python:collections:deque").methods
    assert exia.load("python:math").methods["sqrt"]["signature"] == "(x, /)"
    assert exia.load("python:math").factory().sqrt(4) == 2


@pytest.mark.parametrize(
    ("ref", "error", "hint"),
    [
        ("python:statistics:NormalDits", RefNotFound, "did you mean 'NormalDist'?"),
        ("python:no_such_module:X", RefNotFound, "is it installed here?"),
        ("python:math:pi", RefNotFound, None),
        ("python:../etc/passwd", BadInput, "write it as python:module:Class"),
        ("python:os:", BadInput, "write it as python:module:Class"),
        ("pyhton:statistics:NormalDist", BadInput, "did you mean 'python'?"),
        ("", BadInput, "write it as name, name@version or python:module:Class"),
    ],
)
def test_a_wrong_ref_says_what_is_wrong(ref, error, hint):
    with pytest.raises(error) as caught:
        exia.load(ref)
    if hint:
        assert caught.value.hint == hint
