"""What to mend in a workspace before it is packed; nothing of it is run."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement

from veda._house.progress import Progress, no_progress
from veda.components import keep
from veda.errors import BadInput
from veda.interface import describe, module_paths
from veda.names import normalise_name
from veda.workspace import Project, SourceFile, read_project, source_files, source_root

_SECRETS = {
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "a GitHub token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
    "a password": re.compile(
        r"""(?i)\b(?:password|passwd|secret|api_?key|token)["']?\s*[:=]\s*["'][^"'\s{}$<]{8,}["']"""
    ),
    "a password in a URL": re.compile(r"\b[a-z][a-z0-9+]*://[^\s/:@]+:[^\s/@*{}$<]{4,}@"),
}
_TEXT = 1 << 20  # bytes up to which a file is searched for secrets


@dataclass(frozen=True)
class Finding:
    """One thing to mend, and where."""

    rule: str
    where: str
    detail: str


def check(folder: str | os.PathLike[str], *, progress: Progress = no_progress) -> list[Finding]:
    """Return what to mend in a workspace; an empty list means that it is ready.

    Looks at the entry points and the docstrings of their methods, at imports that ``requires``
    does not cover, at the licence, and for secrets.

    Raises
    ------
    BadInput
        If it is no workspace, or a file in it cannot be packed.
    """
    workspace = Path(folder)
    project = read_project(workspace)
    files = source_files(workspace, project)
    findings = [*_licence(files), *_entry_points(project, files), *_references(workspace, project)]
    for done, file in enumerate(files, 1):
        findings += _file(file, project, files)
        progress(done, len(files))
    return findings


def _licence(files: list[SourceFile]) -> Iterator[Finding]:
    if not any(f.path == "README.md" for f in files):
        yield Finding("readme", "README.md", "there is none; say what the package computes and from which data")


def _entry_points(project: Project, files: list[SourceFile]) -> Iterator[Finding]:
    paths = {f.path: f for f in files}
    root = source_root(list(paths))

    def read(path: str) -> bytes | None:
        return paths[root + path].source.read_bytes() if root + path in paths else None

    for name, target in project.entry_points.items():
        where = root + next((p for p in module_paths(target.partition(":")[0]) if root + p in paths), "")
        try:
            point = describe(name, target, read)
        except BadInput as exc:
            yield Finding("entry-point", "veda.toml", str(exc))
            continue
        if not point["summary"]:
            yield Finding("docstring", where, f"{target} has no docstring")
        for method, facts in point["methods"].items():
            if not facts["summary"]:
                yield Finding("docstring", where, f"{target}.{method} has no docstring")


def _references(folder: Path, project: Project) -> Iterator[Finding]:
    for component in project.references:
        try:
            there = keep(folder, component)
        except BadInput as exc:
            yield Finding("component", component.path, f"{exc}; veda add it again")
            continue
        if not there:
            detail = "neither the workspace nor this machine has it; a push works only where the store has it"
            yield Finding("component", component.path, detail)


def _file(file: SourceFile, project: Project, files: list[SourceFile]) -> Iterator[Finding]:
    if file.size > _TEXT:
        return
    try:
        text = file.source.read_bytes().decode("utf-8")
    except OSError as exc:
        raise BadInput(f"{file.source} cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError:
        return
    for what, pattern in _SECRETS.items():
        if found := pattern.search(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Finding("secret", f"{file.path}:{line}", f"this looks like {what}; packages are read by many")
    root = source_root([f.path for f in files])
    if file.path.endswith(".py") and file.path.startswith(root) and not (not root and file.path.startswith("tests/")):
        yield from _imports(file, text, project, {f.path for f in files}, root)


def _imports(file: SourceFile, text: str, project: Project, paths: set[str], root: str) -> Iterator[Finding]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as exc:
        yield Finding("syntax", file.path, str(exc))
        return
    required = {normalise_name(Requirement(r).name) for r in project.requires}
    providers = packages_distributions()
    seen: set[str] = set()
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
        for top in {n.partition(".")[0] for n in names} - seen - sys.stdlib_module_names:
            seen.add(top)
            own = any(root + p in paths for p in module_paths(top))
            dists = {normalise_name(d) for d in providers.get(top, [top])}
            if not own and not dists & required:
                where = f"{file.path}:{node.lineno}"  # type: ignore[attr-defined]
                yield Finding("import", where, f"imports {top}, which requires in veda.toml does not name")
