"""Without uv: what pip alone makes of this checkout. Needs the package index."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def environment(uv, tmp_path_factory):
    """A fresh environment with a current pip, or a skip that says why there is none."""
    folder = tmp_path_factory.mktemp("pip")
    uv("venv", "--quiet", "--no-project", "--python", sys.executable, folder)
    done = uv("pip", "install", "--quiet", "--python", folder, "--refresh-package", "pip", "pip>=26.1", check=False)
    if done.returncode:
        pytest.skip(f"the package index cannot be reached: {done.stderr.strip().splitlines()[-1].strip()}")
    return folder


def _pip(environment, *words):
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    env.pop("PIP_FIND_LINKS", None)
    if Path(bundle).exists():
        env.setdefault("PIP_CERT", bundle)
    done = subprocess.run(
        [str(environment / "bin" / "python"), "-m", "pip", *map(str, words)], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pip_installs_a_library_from_its_folder_alone(environment, tmp_path):
    source = tmp_path / "veda"  # a copy: pip may build beside the source
    shutil.copytree(ROOT / "packages" / "veda", source, ignore=shutil.ignore_patterns("__pycache__"))

    _pip(environment, "install", "--quiet", source)

    done = subprocess.run(
        [str(environment / "bin" / "veda"), "doctor", "--json"],
        env={"PATH": os.environ["PATH"], "HOME": "/dev/null", "VEDA_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def test_pip_understands_the_lock_and_would_take_exactly_its_versions(environment, tmp_path):
    import tomllib

    report = tmp_path / "report.json"
    # Two small packages stand for all: the whole takes half a minute and says no more.
    lock = tomllib.loads((ROOT / "pylock.toml").read_text(encoding="utf-8"))
    wanted = {p["name"]: p["version"] for p in lock["packages"] if p["name"] in ("click", "jinja2")}
    small = _only(lock, wanted, tmp_path / "pylock.toml")

    _pip(environment, "install", "--dry-run", "--ignore-installed", "--no-deps", "--report", report, "-r", small)

    taken = json.loads(report.read_text())["install"]
    assert {p["metadata"]["name"].lower(): p["metadata"]["version"] for p in taken} == wanted
    assert all(p["download_info"]["archive_info"]["hashes"] for p in taken)


def _only(lock, names, path):
    """Write the part of pylock.toml that speaks of `names`."""
    text = (ROOT / "pylock.toml").read_text(encoding="utf-8")
    head, *blocks = text.split("[[packages]]\n")
    path.write_text(head + "".join(f"[[packages]]\n{b}" for b in blocks if b.split('"')[1] in names), encoding="utf-8")
    return path
