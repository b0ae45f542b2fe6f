"""Become a component's program: ``python -m ptolemy.services.launch FOLDER NAME``, as supervisord's command.

The definition, which may hold secrets, comes from a file that its user alone can read and not from the
configuration, whose format knows no quoting that holds for every text.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

from ptolemy._house.files import write_durably
from ptolemy.services.processes import MARK


def launch(folder: Path, name: str) -> NoReturn:
    """Write down that the program begins, and become it."""
    facts = json.loads((folder / "components" / f"{name}.json").read_bytes())
    begun = folder / "begun" / f"{name}.json"
    try:
        starts = json.loads(begun.read_bytes())["starts"]
    except (OSError, ValueError, KeyError):
        starts = 0
    log = folder / "logs" / f"{name}.log"
    write_durably(
        begun,
        json.dumps(
            {
                "pid": os.getpid(),
                "at": time.time(),
                "starts": starts + 1,
                "digest": facts["digest"],
                "log_from": log.stat().st_size if log.exists() else 0,
            }
        ).encode(),
    )
    environ = {**os.environ, **facts["env"], MARK: facts["mark"]}
    environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    command = facts["command"]
    try:
        os.umask(facts["umask"])
        os.chdir(facts["cwd"])
        os.execvpe(command[0], command, environ)
    except OSError as exc:
        place = command[0] if Path(facts["cwd"]).is_dir() else facts["cwd"]
        print(f"cannot be started: {place}: {exc.strerror}", flush=True)
        sys.exit(127)


if __name__ == "__main__":
    launch(Path(sys.argv[1]), sys.argv[2])
