"""What was exported in one place is proven in an empty home elsewhere: every example, on every engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from scripts import archives

import jiyuan as jy
import kyrios

FLOWS = [folder.name for folder in archives.flows()]


def needs(module: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(module) is None, reason=f"no module {module}; run: scripts/install servers")


@pytest.mark.parametrize("name", FLOWS)
def test_an_example_gives_the_same_bytes_from_its_archive_in_an_empty_home(name, tmp_path, capsys):
    archives.make(tmp_path, [name])

    assert archives.prove(tmp_path) == 0, capsys.readouterr().out


def test_a_changed_byte_of_data_or_package_and_a_changed_parameter_of_the_demo_are_found_and_named(tmp_path, capsys):
    pytest.importorskip("bokeh_sampledata", reason="needs the sample bars: pip install 'jiyuan[demo]'")
    archives.make(tmp_path, ["demo"])

    assert archives.prove(tmp_path) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    for what, named in archives.CHANGES.items():
        assert f"ok  changed-{what}.zip: cause: {what}: " in said
        assert named in said


def test_a_copy_that_was_not_changed_after_all_is_not_taken_for_found(tmp_path, capsys):
    archives.make(tmp_path, ["hello"])
    shutil.copyfile(tmp_path / "hello.zip", tmp_path / "changed-data.zip")

    assert archives.prove(tmp_path) == 1
    assert "WRONG  changed-data.zip" in capsys.readouterr().out


@contextmanager
def engine(word: str, folder: Path) -> Iterator[str]:
    """Give the URL of an engine; a worker of Celery's is kept meanwhile."""
    if word != "celery":
        yield word
        return
    url = os.environ["KYRIOS_TEST_REDIS_URL"].replace("redis:", "celery:", 1) + f"?queue=r{os.getpid()}"
    words = [sys.executable, "-c", "from kyrios.cli import main; main()", "worker", "--engine", url]
    with (folder / "worker.log").open("wb") as log:
        worker = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log)
    try:
        yield url
    finally:
        worker.terminate()
        worker.wait(timeout=30)


@pytest.mark.parametrize(
    "word",
    [
        pytest.param("celery", marks=[pytest.mark.celery, pytest.mark.redis, needs("celery")]),
        pytest.param("dask:?workers=2", marks=[pytest.mark.dask, needs("distributed")]),
        pytest.param("ray:?workers=2", marks=[pytest.mark.ray, needs("ray")]),
    ],
)
def test_a_run_made_on_another_engine_gives_the_same_bytes_here(word, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KYRIOS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JIYUAN_HOME", str(tmp_path / "jiyuan"))
    with engine(word, tmp_path) as url:
        run = kyrios.load_flow(archives.ROOT / "examples/flows/diamond").run(engine=url)

    assert jy.trace(run).lineage["engine"] == word.partition(":")[0]
    (tmp_path / "archives").mkdir()
    jy.export(run, tmp_path / "archives" / "diamond.zip")
    shutil.rmtree(tmp_path / "home")
    assert archives.prove(tmp_path / "archives") == 0, capsys.readouterr().out
