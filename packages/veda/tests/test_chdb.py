"""Every statement of the clickhouse registry runs on a current engine too, not on 18.16 alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.chdb
def test_the_registry_keeps_its_contract_on_a_current_clickhouse(tmp_path):
    places = pytest.importorskip("tests.services.places", reason="the servers of this repository")
    pytest.importorskip("clickhouse_driver", reason="pip install 'jiyuan-veda[clickhouse]'")
    installed = next(iter(places.VENV.glob("lib/python3*/site-packages")), None)
    if installed is None:
        pytest.skip("chdb is not installed: scripts/services install")
    contract = Path(__file__).with_name("chdb_contract.py")

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            tmp_path,
            "-c",
            os.devnull,
            contract,
        ],
        env={**os.environ, "PYTHONPATH": str(installed), "JIYUAN_SERVICES": "off"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
