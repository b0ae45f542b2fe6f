"""Add a component to a workspace: say in ``veda.toml`` what a file is for, and where its bytes are kept."""

from __future__ import annotations

import ast
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veda._house.files import write_durably
from veda.components import KINDS, LARGE, Component, file_digest, keep, kind_of
from veda.errors import BadInput, Conflict, NotFound
from veda.interface import describe
from veda.lock_file import Lock
from veda.manifest import MAX_FILE
from veda.names import path_fault
from veda.project_file import with_entry
from veda.workspace import FILE, Project, SourceFile, parse_project, read_project, scan, source_root

_POINT = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Added:
    """What was added.

    Parameters
    ----------
    workspace
        Folder of the ``veda.toml`` that names it now.
    path, kind
        The component.
    files, size
        How many files it has, and their bytes.
    references
        Those of them that are kept by reference.
    entry_points
        What its code offers: ``name`` (None if ``veda.toml`` declares none), ``target``, ``summary``, ``methods``.
    """

    workspace: Path
    path: str
    kind: str
    files: int
    size: int
    references: tuple[str, ...]
    entry_points: tuple[dict[str, Any], ...]


def add(
    path: str | os.PathLike[str],
    kind: str | None = None,
    *,
    workspace: str | os.PathLike[str] | None = None,
    entry_points: Sequence[str] = (),
    reference: bool | None = None,
    home: Path | str | None = None,
) -> Added:
    """Add a file or folder of a workspace as a component; again brings its entry up to date.

    Parameters
    ----------
    path
        It lies in the workspace.
    kind
        ``code``, ``model``, ``data``, ``env`` (a lock of `veda.lock`) or ``doc``; by default what its name says.
    workspace
        By default the nearest folder above `path` that has a ``veda.toml``.
    entry_points
        Classes of the code to declare, each ``"name=module:Class"``, or ``"name"`` where the code has one class.
    reference
        Whether the package holds the files or refers to them; by default models and data of `LARGE`
        bytes or more are kept by reference. Their bytes go into the cache in `home`, and a push takes
        them to the store.

    Raises
    ------
    NotFound
        If there is no such file.
    BadInput
        If it lies outside the workspace, is a link, cannot be read or is never packed, if its kind
        cannot be told, or if it is code that Python would not find. ``veda.toml`` is as it was.
    Conflict
        If an entry point of that name, or another environment, is declared already.
    """
    place = Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would follow the links that are refused
    root = _workspace(place, workspace)
    below = _below(place, root)
    project = read_project(root)
    files = _files(root, below, project)
    kind = _kind(kind, below, files)
    large = LARGE if reference is None and kind in ("model", "data") else 0 if reference else None
    refer = [f for f in files if large is not None and f.size >= large]
    parts = [Component(f.path, kind, *_content(f)) for f in refer]
    if not (len(refer) == 1 and refer[0].path == below):
        parts.insert(0, Component(below, kind))
    changes = [("components", c.path, c.line()) for c in parts]
    found = list(_found(files, _all(root, project), project)) if kind == "code" else []
    changes += _declared(entry_points, found, project)
    if kind == "env":
        changes += _environment(root, below, project)
    for component in parts:
        if component.sha256:
            keep(root, component, home)
    _write(root / FILE, changes)
    names = {target: name for name, target in read_project(root).entry_points.items()}
    offered = tuple({**point, "name": names.get(point["target"])} for point in found)
    return Added(root, below, kind, len(files), sum(f.size for f in files), tuple(f.path for f in refer), offered)


def _workspace(place: Path, given: str | os.PathLike[str] | None) -> Path:
    if given is not None:
        return Path(os.path.abspath(given))  # noqa: PTH100
    root = next((p for p in place.parents if (p / FILE).is_file()), None)
    if root is None:
        raise BadInput(f"{place} lies in no workspace: no folder above it has a {FILE}", hint="veda new NAME")
    return root


def _below(place: Path, root: Path) -> str:
    if place == root or not place.is_relative_to(root):
        what = "is the workspace itself" if place == root else f"lies outside the workspace {root}"
        raise BadInput(f"{place} {what}", hint=f"put what you add into a folder of {root}")
    relative = place.relative_to(root)
    for part in [*reversed(relative.parents[:-1]), relative]:
        try:
            mode = (root / part).lstat().st_mode
        except FileNotFoundError:
            raise NotFound(f"there is no file {place}", hint=f"ls {(root / part).parent}") from None
        except OSError as exc:
            raise BadInput(f"{place} cannot be read: {exc.strerror}") from None
        if stat.S_ISLNK(mode):
            raise BadInput(
                f"{root / part} is a symbolic link to {(root / part).readlink()}; a package holds regular files only",
                hint="put the file itself there",
            )
    text = relative.as_posix()
    if text == FILE:
        raise BadInput(f"{FILE} describes the package and is always in it", hint=f"edit {place}")
    if fault := path_fault(text):
        raise BadInput(f"{place}: {fault[1]}", hint="rename it")
    return text


def _all(root: Path, project: Project) -> dict[str, SourceFile]:
    return {f.path: f for f in scan(root, project)}


def _files(root: Path, below: str, project: Project) -> list[SourceFile]:
    files = [f for f in scan(root, project) if f.path == below or f.path.startswith(f"{below}/")]
    if not files:
        raise BadInput(
            f"nothing of {root / below} is packed: it is empty, a cache, or exclude in {FILE} names it",
            hint=f"veda add a file that the package is to hold, or mend exclude in {root / FILE}",
        )
    for file in files:
        if fault := path_fault(file.path):
            raise BadInput(f"{root}: {fault[1]}", hint="rename it")
        if file.size > MAX_FILE:
            raise BadInput(
                f"{file.source} has {file.size} bytes; a file may have {MAX_FILE}", hint="divide it into several files"
            )
        try:
            file.source.open("rb").close()
        except OSError as exc:
            raise BadInput(f"{file.source} cannot be read: {exc.strerror}", hint="mend its permissions") from None
    return files


def _kind(given: str | None, below: str, files: Sequence[SourceFile]) -> str:
    if given is not None and given not in KINDS:
        raise BadInput(f"{given!r} is no kind of component", hint=f"one of {', '.join(KINDS)}")
    kind = given or kind_of(f.path for f in files)
    if kind is None:
        raise BadInput(f"what {below} is for cannot be told from its name", hint=f"veda add {below} --as data")
    return kind


def _content(file: SourceFile) -> tuple[int, str]:
    return file_digest(file.source)


def _found(files: Sequence[SourceFile], every: dict[str, SourceFile], project: Project) -> Iterator[dict[str, Any]]:
    """Give the classes that code offers: public, with a public method, and no error."""
    root = source_root(list(every))

    def read(path: str) -> bytes | None:
        return every[root + path].source.read_bytes() if root + path in every else None

    sources = [f for f in files if f.path.endswith(".py")]
    if not sources:
        raise BadInput(f"{files[0].path} is no Python source", hint="veda add it --as data or doc")
    for file in sources:
        if not file.path.startswith(root):
            raise BadInput(f"{file.path} lies outside {root}, where Python does not look", hint=f"move it into {root}")
        try:
            tree = ast.parse(file.source.read_bytes(), file.path)
        except (SyntaxError, ValueError, RecursionError) as exc:
            raise BadInput(f"{file.path} is not Python: {exc}", hint="mend it, or --as data or doc") from None
        module = file.path.removeprefix(root).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        if any(part.startswith("_") or not part.isidentifier() for part in module.split(".")):
            continue
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                try:
                    point = describe("found", f"{module}:{node.name}", read)
                except BadInput:  # it could not be an entry point
                    continue
                is_error = any(ast.unparse(b).endswith(("Error", "Exception", "Warning")) for b in node.bases)
                if point["methods"] and not is_error:
                    yield {k: point[k] for k in ("name", "target", "summary", "methods")}


def _declared(
    wanted: Sequence[str], found: Sequence[dict[str, Any]], project: Project
) -> Iterator[tuple[str, str, str]]:
    targets = [point["target"] for point in found]
    listed = ", ".join(targets) or "none"
    for text in wanted:
        name, _, target = text.partition("=")
        if not _POINT.fullmatch(name):
            raise BadInput(f"{text!r} is no entry point", hint="--entry-point default=module:Class")
        if not target and len(targets) != 1:
            raise BadInput(f"which class {name} means is not said; found: {listed}", hint=f"{name}=module:Class")
        target = target or targets[0]
        if target not in targets:
            raise BadInput(f"{target} is not among what was found: {listed}", hint=f"--entry-point {name}=module:Class")
        standing = project.entry_points.get(name, target)
        if standing != target:
            raise Conflict(f"entry point {name} is {standing} already", hint="choose another name, or edit veda.toml")
        yield "entry-points", name, f'{name} = "{target}"'


def _environment(root: Path, below: str, project: Project) -> Iterator[tuple[str, str, str]]:
    Lock.read(root / below)
    if project.environment not in ("", below):
        raise Conflict(f"the environment is {project.environment} already", hint=f"edit [environment] in {root / FILE}")
    yield "environment", "lock", f'lock = "{below}"'


def _write(path: Path, changes: Sequence[tuple[str, str, str]]) -> None:
    text = before = path.read_bytes().decode("utf-8")
    for section, key, line in changes:
        text = with_entry(text, section, key, line, str(path))
    parse_project(text.encode(), str(path))
    if text == before:
        return
    try:
        write_durably(path, text.encode())
    except OSError as exc:
        raise BadInput(f"{path} cannot be written: {exc.strerror}") from None
