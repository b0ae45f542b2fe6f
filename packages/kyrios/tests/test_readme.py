"""What the README shows is what happens."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from kyrios._house.command import run as run_command
from kyrios.cli import root

HERE = Path(__file__)
README = (HERE.parents[1] / "README.md").read_text(encoding="utf-8")
EXAMPLES = HERE.parents[3] / "examples"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_the_yaml_is_that_of_the_example():
    files = {p.read_text(encoding="utf-8") for p in (EXAMPLES / "flows" / "hello").rglob("*.yaml")}

    assert len(blocks("yaml")) == 2
    assert set(blocks("yaml")) <= files


def test_every_command_works(tmp_path):
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    lines = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("kyrios ")]
    assert len(lines) >= 7
    for line in lines:
        with pytest.raises(SystemExit) as left:
            run_command(root, shlex.split(line)[1:])
        assert left.value.code == 0, line


def test_the_python_runs(tmp_path, capsys):
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("succeeded 3 ")
