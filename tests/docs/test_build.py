from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def test_the_documentation_builds_without_a_warning(tmp_path: Path):
    if find_spec("sphinx") is None:
        pytest.skip("sphinx is not installed; run: scripts/install docs")

    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(DOCS), str(tmp_path / "html"),
         "-d", str(tmp_path / "doctrees")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert not [
        p for p in DOCS.rglob("*.md") if not (tmp_path / "html" / p.relative_to(DOCS)).with_suffix(".html").is_file()
    ]
