"""Every block of the README runs, one after the other, in one folder."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from veda.workspace import parse_project

README = Path(__file__).parents[1] / "README.md"


def test_the_blocks_of_the_readme_run(tmp_path):
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kinds = []
    for kind, text in blocks:
        kinds.append(kind)
        if kind == "toml":
            tomllib.loads(text)
            parse_project(text.encode())
        elif "pip install" not in text:
            command = ["bash", "-euc", text] if kind == "bash" else [sys.executable, "-W", "error", "-c", text]
            answer = subprocess.run(
                command, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True
            )
            assert answer.returncode == 0, f"{text}\n{answer.stderr}"
    assert set(kinds) == {"bash", "console", "python", "toml"}
