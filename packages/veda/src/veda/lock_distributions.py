"""Which Python distributions fit: uv where it is there, else pip; each with the digests of its files."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from veda.errors import BackendUnavailable, BadInput, Unsatisfiable
from veda.lock_file import LockedDistribution

_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")
_UNREACHABLE = ("error sending request", "Failed to fetch", "Connection", "Network is unreachable", "dns error")


def base_python() -> Path:
    """Return the interpreter that this one's virtual environment was made from, or this one."""
    return Path(getattr(sys, "_base_executable", None) or sys.executable)


def find_uv() -> str | None:
    """Return where uv is, or None."""
    return shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")


def resolve_distributions(
    requirements: Sequence[str],
    python: Path,
    version: str,
    wheels: Path | None = None,
    keep: Sequence[LockedDistribution] = (),
) -> tuple[LockedDistribution, ...]:
    """Return one version of each distribution that `requirements` need, sorted by name.

    Parameters
    ----------
    requirements
        As PEP 508 writes them, such as ``"numpy>=1.26"``.
    python, version
        The interpreter that they are for, and its version, such as ``"3.11"``.
    wheels
        A folder of wheels that is looked into instead of the index.
    keep
        What is taken before newer versions where it fits. pip, unlike uv, takes all of it or none.

    Raises
    ------
    Unsatisfiable
        If no versions fit together.
    BackendUnavailable
        If the package index does not answer.
    """
    if not requirements:
        return ()
    uv = find_uv()
    if uv:
        found = _uv(uv, requirements, python, version, wheels, keep)
    else:
        try:
            found = _pip(requirements, python, wheels, keep)
        except Unsatisfiable:
            if not keep:
                raise
            found = _pip(requirements, python, wheels, ())
    return tuple(sorted(found, key=lambda d: d.name))


def install_distributions(
    distributions: Sequence[LockedDistribution], python: Path, target: Path, wheels: Path | None = None
) -> None:
    """Install exactly `distributions` into the folder `target`; a file with another digest is refused."""
    lines = [f"{line}\n" for line in requirement_lines(distributions)]
    listed = target.with_name(f"{target.name}.txt")
    listed.write_text("".join(lines), encoding="utf-8")
    uv = find_uv()
    tool = [uv, "pip", "install", "--python", str(python)] if uv else [str(python), "-m", "pip", "install"]
    options = ["--quiet", "--no-deps", "--require-hashes", "--target", str(target), "-r", str(listed)]
    try:
        _run([*tool, *options, *_source(wheels)], "")
    finally:
        listed.unlink(missing_ok=True)


def requirement_lines(distributions: Sequence[LockedDistribution]) -> list[str]:
    """Return the lines of a requirements file that pip and uv install with ``--require-hashes``."""
    return [
        f"{d.name}=={d.version}{f' ; {d.marker}' if d.marker else ''} " + " ".join(f"--hash={h}" for h in d.hashes)
        for d in distributions
    ]


def _uv(
    uv: str,
    requirements: Sequence[str],
    python: Path,
    version: str,
    wheels: Path | None,
    keep: Sequence[LockedDistribution],
) -> list[LockedDistribution]:
    options = ("--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--python", str(python))
    with TemporaryDirectory() as folder:
        # uv takes what the file that it writes to held before, where that fits.
        out = Path(folder) / "locked.txt"
        out.write_text("".join(f"{d.name}=={d.version}\n" for d in keep), encoding="utf-8")
        command = [uv, "pip", "compile", *options, "--python-version", version, *_source(wheels), "-o", str(out), "-"]
        _run(command, "".join(f"{r}\n" for r in requirements))
        text = out.read_text(encoding="utf-8").replace("\\\n", " ")
    found = []
    for line in text.splitlines():
        head, mark, _ = line.partition(" --hash=")
        if not mark:
            continue
        requirement = Requirement(head)
        pinned = next(iter(requirement.specifier)).version
        hashes = tuple(sorted(_HASH.findall(line)))
        found.append(_locked(requirement.name, pinned, hashes, str(requirement.marker or "")))
    return found


def _pip(
    requirements: Sequence[str], python: Path, wheels: Path | None, keep: Sequence[LockedDistribution]
) -> list[LockedDistribution]:
    command = [str(python), "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    with TemporaryDirectory() as folder:
        kept = Path(folder) / "kept.txt"
        kept.write_text("".join(f"{d.name}=={d.version}\n" for d in keep), encoding="utf-8")
        constraints = ["--constraint", str(kept)] if keep else []
        report = json.loads(_run([*command, *_source(wheels), *constraints, *requirements], ""))
    found = []
    for item in report["install"]:
        archive = item["download_info"].get("archive_info", {})
        # pip before 23.1 (Debian bookworm has 23.0) writes `hash`: "sha256=..." and no `hashes`.
        digest = archive.get("hashes", {}).get("sha256") or archive.get("hash", "").removeprefix("sha256=")
        facts = item["metadata"]
        found.append(_locked(facts["name"], facts["version"], (f"sha256:{digest}",) if digest else (), ""))
    return found


def _locked(name: str, version: str, hashes: tuple[str, ...], marker: str) -> LockedDistribution:
    if not hashes:
        raise BadInput(f"{name} {version} has no file with a digest", hint="take it from an index or a wheel")
    return LockedDistribution(canonicalize_name(name), str(Version(version)), hashes, marker)


def _source(wheels: Path | None) -> list[str]:
    return ["--no-index", "--find-links", str(wheels.absolute())] if wheels else []


def _run(command: Sequence[str], text: str) -> str:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, env=kept, check=False)
    except OSError as exc:
        raise BadInput(f"{command[0]} cannot be run: {exc.strerror}", hint="pip install uv") from None
    if done.returncode == 0:
        return done.stdout
    said = " ".join((done.stderr or done.stdout).replace("×", " ").replace("╰─▶", " ").split())[-600:]
    if "No space left on device" in said:
        raise BackendUnavailable(f"distributions cannot be installed: {said}", hint="make room, then run it again")
    if any(word in said for word in _UNREACHABLE):
        raise BackendUnavailable(f"the package index does not answer: {said}", hint="--wheels FOLDER installs offline")
    raise Unsatisfiable(f"Python distributions do not fit: {said}", hint="veda show each package and its requires")
