"""A command that is killed leaves nothing torn, and the same command then completes."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

import veda


@pytest.mark.parametrize(
    ("operation", "least"), [("pack", 3), ("register", 3), ("push", 15), ("pull", 15), ("unpack", 6)]
)
def test_killed_at_each_write_the_same_command_completes(workspace, tmp_path, operation, least):
    veda.pack(workspace(version="1.0"), tmp_path / "old.vedapkg")
    noise = random.Random(2)
    workspace(version="1.1", word="two", **{"data/big.bin": noise.randbytes(4 << 20)})
    script = Path(__file__).with_name("kill_points.py")

    answer = subprocess.run(
        [sys.executable, "-W", "error", script, operation, tmp_path], capture_output=True, text=True
    )

    assert answer.returncode == 0, answer.stderr
    assert int(answer.stdout) >= least
