"""A current ClickHouse engine, chdb, in a process of its own: for the SQL of our statements, not for the protocol.

It is installed beside the stand-ins and never into the project's own environment, so it is asked through that
environment's Python. One question costs half a second, most of it the import.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.services.places import VENV, locate
from tests.services.table import service

_ASK = """
import json, sys
from chdb.session import Session
folder, statements = json.load(sys.stdin)
session = Session(folder)
print(json.dumps([str(session.query(statement, "JSONCompact") or "") for statement in statements]))
session.close()
"""


class StatementFailed(RuntimeError):
    """ClickHouse refused a statement; the message is its own."""


def query(folder: Path, *statements: str) -> list[list[Any]]:
    """Run `statements` on the database in `folder` and return the rows of the last one that gave any."""
    locate(service("chdb"))
    done = subprocess.run(
        [VENV / "bin/python", "-W", "ignore", "-c", _ASK],
        input=json.dumps([str(folder), statements]),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StatementFailed(done.stderr.strip().rpartition("\n")[2] or f"chdb ended with {done.returncode}")
    answers = [answer for answer in json.loads(done.stdout) if answer]
    return json.loads(answers[-1])["data"] if answers else []
