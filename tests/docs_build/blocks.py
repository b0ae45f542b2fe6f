"""Run the fenced blocks of a page in their order, as its reader does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_OURS = ("VEDA_", "EXIA_", "KYRIOS_", "PTOLEMY_", "JIYUAN_")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
_FILE = re.compile(r"# ([\w./-]+\.\w+)\n")


def run_page(page: Path, folder: Path) -> None:
    """Run every block of `page` in `folder`.

    A block whose first line is ``# some/path.ext`` is written to that file, without that line. A ``console`` block is
    run line by line; what stands below a command must be what it prints. A ``python`` block is a program.
    """
    environment = {
        **{
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("VEDA_", "EXIA_", "KYRIOS_", "PTOLEMY_", "JIYUAN_"))
        },
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "NO_COLOR": "1",
        "COLUMNS": "200",
    }
    work = folder / "work"
    work.mkdir()
    for language, body in _FENCE.findall(page.read_text(encoding="utf-8")):
        if found := _FILE.match(body):
            path = work / found.group(1)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body[found.end() :], encoding="utf-8")
        elif language == "python":
            _run([sys.executable, "-c", body], work, environment)
        elif language == "console":
            for command, expected in _commands(body):
                printed = _run(["bash", "-c", command], work, environment)
                assert not expected or printed.strip() == expected.strip(), f"$ {command}\n{printed}"


def _commands(body: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", body, flags=re.M)[1:]:
        command, _, printed = part.partition("\n")
        yield command, printed


def _run(argv: list[str], work: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(argv, cwd=work, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{argv[-1]}\n{done.stdout}\n{done.stderr}"
    return done.stdout
