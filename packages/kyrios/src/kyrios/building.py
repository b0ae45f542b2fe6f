"""Freeze the units of a folder and register them, so that every flow on this machine may use them."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from kyrios._house.files import write_durably
from kyrios.document import read_document, shown
from kyrios.errors import BadInput, Conflict, FlowInvalid, NotFound
from kyrios.extension import MOMENTS
from kyrios.load import judged_unit
from kyrios.settings import home
from kyrios.spec import UnitSpec


@dataclass(frozen=True)
class Built:
    """A unit that is registered.

    Parameters
    ----------
    tests
        How many test files have passed.
    digest
        Of its file and its code.
    """

    unit: str
    version: str
    tests: int
    digest: str


def build(folder: Path) -> list[Built]:
    """Check, test, freeze and register every unit in ``units/`` of `folder`; all or none.

    Raises
    ------
    FlowInvalid
        With every mistake in the units' files.
    BadInput
        If a test fails.
    Conflict
        If a unit was built with this version before and is another now.
    """
    paths = sorted((folder / "units").glob("*.yaml"))
    if not paths:
        raise NotFound(f"{folder} holds no units", hint=f"kyrios create unit NAME --into {folder}")
    judged = [judged_unit(read_document(path, shown(path)), path.stem, folder) for path in paths]
    problems = [problem for document, _ in judged for problem in sorted(document.problems)]
    specs = [spec for _, spec in judged if spec is not None]
    if problems or len(specs) != len(paths):
        raise FlowInvalid(shown(folder), problems)
    tests = _test(folder)
    plans = [(spec, *_frozen(spec, path, folder)) for spec, path in zip(specs, paths, strict=True)]
    for spec, _, digest in plans:
        known = _known(spec)
        if known not in (None, digest):
            raise Conflict(
                f"{spec.unit} {spec.info.version} was built before and is another now", hint="give it a new version"
            )
    for spec, files, digest in plans:
        if _known(spec) is None:
            _register(spec, files, digest)
    return [Built(spec.unit, spec.info.version, tests, digest) for spec, _, digest in plans]


def _test(folder: Path) -> int:
    tests = sorted((folder / "tests").glob("test_*.py"))
    if tests:
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, tests)]
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
            said = failed[0] if failed else (done.stderr or done.stdout).strip().rpartition("\n")[2]
            raise BadInput(f"the tests do not pass: {said}", hint=f"pytest {folder / 'tests'}")
    return len(tests)


def _frozen(spec: UnitSpec, path: Path, folder: Path) -> tuple[dict[str, bytes], str]:
    """Return the files of a unit by name, and their digest."""
    files = {path.name: path.read_bytes()}
    hooks = [call for moment in MOMENTS for call in getattr(spec.extension, moment)]
    for call in (*((spec.run.call,) if spec.run.call else ()), *hooks):
        module = call.partition(":")[0].replace(".", "/")
        source = folder / f"{module}.py"
        if source.is_file():
            files[f"{module}.py"] = source.read_bytes()
    facts = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    return files, f"sha256:{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()}"


def _place(spec: UnitSpec) -> Path:
    return home() / "units" / spec.unit / spec.info.version


def _known(spec: UnitSpec) -> str | None:
    path = _place(spec) / "unit.json"
    return str(json.loads(path.read_text(encoding="utf-8"))["digest"]) if path.is_file() else None


def _register(spec: UnitSpec, files: dict[str, bytes], digest: str) -> None:
    place = _place(spec)
    shutil.rmtree(place, ignore_errors=True)  # what a build that was killed has left
    for name, content in files.items():
        write_durably(place / name, content)
    record = {"unit": spec.unit, "version": spec.info.version, "digest": digest, "files": sorted(files)}
    write_durably(place / "unit.json", json.dumps(record, indent=2).encode() + b"\n")
