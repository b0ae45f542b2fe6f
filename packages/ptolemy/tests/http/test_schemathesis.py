"""The description as a stranger's tool reads it: schemathesis finds no call that the service fails at."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

#: Examples of each operation of all interfaces; without it one of each of a few.
EXAMPLES = os.environ.get("PTOLEMY_TEST_EXAMPLES", "")
FEW = "^/v1(/(daily|stock_basic|stk_mins|trade_cal|pro_bar|quota))?$"


def test_schemathesis_finds_no_error_of_the_server(serve: Any, whole: str, tmp_path: Path):
    pytest.importorskip("schemathesis", reason="part of the development group")
    running = serve(whole)
    command = [
        sys.executable, "-W", "ignore", "-m", "schemathesis.cli", "run", f"{running.url}/openapi.json", "--url",
        running.url, "--checks", "not_a_server_error,status_code_conformance,content_type_conformance", "--phases",
        "examples,coverage,fuzzing", "--max-examples", EXAMPLES or "1", "--seed", "7",
        "--no-color", "--workers", "1", "--generation-database", "none",
        *([] if EXAMPLES else ["--include-path-regex", FEW]),
    ]  # fmt: skip

    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, timeout=500,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    print(done.stdout[-1500:])
    assert int(re.findall(r"(\d+) generated", done.stdout)[-1]) > 100
