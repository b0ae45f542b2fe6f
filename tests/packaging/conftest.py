from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def uv():
    """Run uv as all scripts do, in the root; give what it printed."""

    def run(*words, check=True, **env):
        done = subprocess.run(
            [str(ROOT / "scripts" / "uv"), *map(str, words)],
            cwd=ROOT,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0 or not check, f"uv {words[0]}: {done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def lock():
    return tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def wheels(uv, tmp_path_factory):
    """The five wheels, built from this checkout, by the library's name."""
    folder = tmp_path_factory.mktemp("wheels")
    uv("build", "--all-packages", "--wheel", "--quiet", "--out-dir", folder)
    return {path.name.split("-")[0].removeprefix("jiyuan_"): path for path in folder.glob("*.whl")}
