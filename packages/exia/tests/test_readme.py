"""Every block of the README runs, and every command's own example does."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

import exia.models
import exia.params
from exia.cli import root
from exia.tokens import Tokens

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
EXIA = [sys.executable, "-W", "error", "-c", "from exia.cli import main; main()"]


def commands(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        found = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
        return [leaf for name, sub in found if sub for leaf in commands(sub, (*path, name))]
    return [(path, command)]


@pytest.mark.parametrize("code", [code for language, code in BLOCKS if language == "python"])
def test_the_readmes_python_runs(code, tmp_path):
    (tmp_path / "block.py").write_text(code)

    done = subprocess.run(
        [sys.executable, "-W", "error", "block.py"], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "line",
    [line[2:] for language, code in BLOCKS if language == "console" for line in code.splitlines() if "$ exia" in line],
)
def test_the_readmes_commands_run(line):
    done = subprocess.run([*EXIA, *shlex.split(line)[1:]], capture_output=True, text=True, timeout=60, check=False)

    assert (done.stderr, done.returncode) == ("", 0)


@pytest.fixture
def filled(tmp_path, monkeypatch):
    """What the examples speak of: runs, two versions of a model, and of parameters, and a token."""
    with monkeypatch.context() as patched:
        patched.setattr("secrets.token_hex", lambda size: "1a2b3c4d")
        Tokens().create("desk")
    for name in ("momentum", "momentum-live"):
        with exia.run(name, tags={"desk": "alpha"}) as run:
            run.log_metric("ic", 0.05)
    for n in (1, 2):
        exia.models.save("weights", {"w": [0.1 * n, 0.9]}, alias="champion")
    exia.models.export("weights@2", tmp_path / "weights-2.zip")
    (tmp_path / "weights.json").write_text('{"w": [0.3, 0.7]}')
    exia.params.define("normal", "python:statistics:NormalDist")
    exia.params.set("normal", {"mu": 1.0})
    (tmp_path / "normal.toml").write_text("mu = 3.0\n")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(("path", "command"), commands(root), ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_every_command_has_an_example_that_runs(path, command):
    assert command.epilog
    example = command.epilog.removeprefix("Example: ")
    if "$(" in example:  # a line for a shell's own start-up file
        return
    if path == ("serve",):
        serves(shlex.split(example)[1:])
        return

    done = subprocess.run([*EXIA, *shlex.split(example)[1:]], capture_output=True, text=True, timeout=60, check=False)

    assert (done.stderr, done.returncode) == ("", 0)


def serves(words):
    """Start a server, see that it says where it is, and end it."""
    free = ["0" if word.isdigit() else word for word in words]
    process = subprocess.Popen([*EXIA, *free], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert "http://127.0.0.1:" in line, err
    assert process.returncode == 0
