"""What ``jiyuan doctor`` asks: the doctors of the four libraries, each in a process of its own, and the lab.

Half of a doctor's time is the import of drivers, which threads of one process cannot share out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from jiyuan._house.config import Config
from jiyuan._house.doctor import Check
from jiyuan._house.errors import ConfigError, LibraryError

if TYPE_CHECKING:
    import subprocess

LIBRARIES = ("veda", "exia", "kyrios", "ptolemy")
_LONGEST = ("exia", "kyrios", "veda", "ptolemy")  # the one with the most drivers begins first


def checks(config: Config) -> Iterable[Check]:
    """Give the checks of each library, under its name, with the answers that its own doctor got, and of the lab."""
    from jiyuan.lab.checks import checks as of_the_lab

    running = {library: _start(library) for library in sorted(LIBRARIES, key=_LONGEST.index)}
    found = []
    for library in LIBRARIES:
        process = running[library]
        for answer in _answers(library, process):
            found.append(Check(f"{library} {answer['name']}", answer["target"], partial(_repeat, answer)))
    return [*found, *of_the_lab()]


def _start(library: str) -> subprocess.Popen[str]:
    import subprocess
    import sys

    # -P: a file of the user's folder that is called like a library must not be taken for it.
    command = [sys.executable, "-P", "-c", f"from {library}.cli import main; main()", "doctor", "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"}
    )
    if library != _LONGEST[0] and hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, process.pid, 5)  # the others are done long before it: they may yield
    return process


def _answers(library: str, process: subprocess.Popen[str]) -> list[dict[str, str]]:
    told, errors = process.communicate()
    if process.returncode in (0, 6):
        return list(json.loads(told))
    said = dict(line.partition(": ")[::2] for line in errors.splitlines())
    if process.returncode == ConfigError.exit_code and "error" in said:
        raise ConfigError(said["error"], hint=said.get("hint"))
    raise LibraryError(f"the doctor of {library} ended with {process.returncode}: {errors.strip()[-300:]}")


def _repeat(answer: dict[str, str]) -> str:
    if not answer["ok"]:
        raise LibraryError(answer["detail"], hint=answer["hint"])
    return answer["detail"]


def doctor() -> list[dict[str, object]]:
    """Ask every backend that is configured whether it answers, as ``jiyuan doctor`` does.

    Returns
    -------
    list of dict
        For each: ``name``, ``target``, ``ok``, ``detail`` and ``hint``.

    Raises
    ------
    ConfigError
        If a setting cannot be used.

    Examples
    --------
    >>> import jiyuan as jy
    >>> sorted(row["name"] for row in jy.doctor() if "registry" in row["name"])
    ['veda registry']
    """
    from dataclasses import asdict

    from jiyuan._house.doctor import examine
    from jiyuan.lab.checks import checks as of_the_lab

    running = [(library, _start(library)) for library in LIBRARIES]
    found: list[dict[str, object]] = [
        {**answer, "name": f"{library} {answer['name']}"}
        for library, process in running
        for answer in _answers(library, process)
    ]
    return [*found, *(asdict(finding) for finding in examine(of_the_lab()))]
