"""The description as a stranger's tool reads it: schemathesis finds no request that the server fails at."""

from __future__ import annotations

import os
import re
import subprocess
import sys

EXAMPLES = os.environ.get("KYRIOS_TEST_EXAMPLES", "2")  # of each request


def test_schemathesis_finds_no_error_of_the_server(serving, tmp_path):
    server, ask = serving()
    ask.end_of(ask.post("/flows/sums/runs", {"run_id": "first"}).json["run"])
    command = [
        sys.executable, "-W", "ignore", "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--url",
        server.url, "--checks", "not_a_server_error,status_code_conformance,content_type_conformance", "--phases",
        "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", "7", "--no-color", "--workers", "1",
        "--generation-database", "none",
    ]  # fmt: skip

    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, timeout=500,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert int(re.findall(r"(\d+) generated", done.stdout)[-1]) > 100
