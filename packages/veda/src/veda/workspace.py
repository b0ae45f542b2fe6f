"""A workspace: the folder that a package is packed from, described by its ``veda.toml``."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from veda._house.errors import nearest
from veda.components import Component, missing, parse_components
from veda.errors import BadInput
from veda.names import is_platform, normalise_name, normalise_version, path_fault, paths_fault

FILE = "veda.toml"
#: Never packed: what tools leave behind, and earlier packages.
IGNORED = (
    ".git",
    ".hg",
    ".venv",
    "__pycache__",
    "*.pyc",
    ".*_cache",
    ".ipynb_checkpoints",
    "*.egg-info",
    ".DS_Store",
    ".*.tmp",
)
_PACKAGE_KEYS = (
    "name",
    "version",
    "summary",
    "license",
    "authors",
    "requires",
    "requires-python",
    "exclude",
    "packages",
    "platform",
)
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Project:
    """What ``veda.toml`` says."""

    name: str
    version: str
    summary: str
    license: str
    authors: tuple[str, ...]
    requires: tuple[str, ...]
    requires_python: str
    entry_points: Mapping[str, str]
    exclude: tuple[str, ...] = field(default=())
    packages: tuple[str, ...] = ()
    environment: str = ""
    components: tuple[Component, ...] = ()
    platform: str = ""

    @property
    def references(self) -> tuple[Component, ...]:
        """The components whose bytes are in no package file."""
        return tuple(c for c in self.components if c.sha256)


@dataclass(frozen=True)
class SourceFile:
    """A file of the workspace as it will be packed; `stamp` is its mtime, ctime (ns) and inode."""

    path: str
    mode: str
    size: int
    place: str
    stamp: tuple[int, int, int] = (0, 0, 0)

    @property
    def source(self) -> Path:
        """Where the file is."""
        return Path(self.place)


def read_project(folder: Path) -> Project:
    """Read the ``veda.toml`` of `folder`; raise `BadInput` if there is none or it breaks a rule."""
    path = folder / FILE
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder", hint="veda new NAME")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"{folder} has no {FILE}, so it is no workspace", hint="veda new NAME") from None
    except OSError as exc:
        raise BadInput(f"{path} cannot be read: {exc.strerror}") from None
    return parse_project(data, str(path))


def parse_project(data: bytes, where: str = FILE) -> Project:
    """Parse the bytes of a ``veda.toml``; `where` is named in messages."""
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as exc:
        raise BadInput(f"{where} cannot be read: {exc}") from None
    _known(document, ("package", "entry-points", "environment", "components"), where, "section")
    package = document.get("package")
    if not isinstance(package, dict):
        raise BadInput(f"{where} has no section [package]", hint="add [package] with name, version and license")
    _known(package, _PACKAGE_KEYS, where, "key in [package]")
    points = document.get("entry-points", {})
    environment = _environment(document, where)
    if not isinstance(points, dict) or not (points or environment):
        raise BadInput(
            f"{where} has no entry point", hint='[entry-points]\ndefault = "module:Class"'.replace("\n", " ")
        )
    for name, target in points.items():
        if not isinstance(target, str) or not _TARGET.fullmatch(target):
            raise BadInput(f"{where}: entry point {name} is {target!r}", hint='write it as "module:Class"')
    return Project(
        name=normalise_name(_text(package, "name", where)),
        version=normalise_version(_text(package, "version", where)),
        summary=_line(package, "summary", where),
        license=_text(package, "license", where),
        authors=_texts(package, "authors", where),
        requires=tuple(sorted(_requirement(r, where) for r in _texts(package, "requires", where))),
        requires_python=_specifier(package.get("requires-python", ">=3.11"), where),
        entry_points=dict(sorted(points.items())),
        exclude=_texts(package, "exclude", where),
        packages=tuple(sorted(_package(r, where) for r in _texts(package, "packages", where))),
        environment=environment,
        components=parse_components(document.get("components", {}), where),
        platform=_platform(package, where),
    )


def source_root(paths: Iterator[str] | list[str]) -> str:
    """Return the prefix of importable files: ``"src/"`` if there is such a folder, else ``""``."""
    return "src/" if any(p.startswith("src/") for p in paths) else ""


def source_files(folder: Path, project: Project, scanned: Sequence[SourceFile] | None = None) -> list[SourceFile]:
    """List what will be packed, in the order of the UTF-8 bytes of the paths; references are left out.

    `scanned` is what `scan` has just given, where the caller has it.

    Raises
    ------
    BadInput
        If a name is not portable, two names clash, a component is not there, or a file is a link, a
        device or unreadable.
    """
    references = {c.path for c in project.references}
    found = [f for f in (scan(folder, project) if scanned is None else scanned) if f.path not in references]
    fault = next((f for f in map(path_fault, (s.path for s in found)) if f), None)
    if fault := fault or paths_fault([*(s.path for s in found), *references]):
        raise BadInput(f"{folder}: {fault[1]}", hint="rename the file, or name it under exclude in veda.toml")
    if lacking := missing(project.components, [*(s.path for s in found), *references]):
        raise BadInput(
            f"{folder}: component {lacking.path!r} is not among the files that are packed",
            hint=f"put it there, or take it out of [components] in {FILE}",
        )
    return found


def scan(folder: Path, project: Project) -> list[SourceFile]:
    """List the files in their order, without judging their names."""
    # One expression: a pattern at a time takes longer than the disk does.
    patterns = "|".join(f"(?:{translate(p)})" for p in (*IGNORED, *project.exclude))
    found = list(_walk(str(folder), "", re.compile(patterns)))
    found.sort(key=lambda f: f.path.encode("utf-8", "surrogatepass"))
    return found


def _walk(folder: str, below: str, ignored: re.Pattern[str]) -> Iterator[SourceFile]:
    try:
        entries = list(os.scandir(folder))
    except OSError as exc:
        raise BadInput(f"{folder} cannot be read: {exc.strerror}") from None
    for entry in entries:
        path = below + entry.name
        if ignored.match(entry.name) or ignored.match(path):
            continue
        if not below and (entry.name == "dist" or entry.name.endswith(".vedapkg")):
            continue  # what earlier runs of `veda pack` wrote
        info = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            yield from _walk(entry.path, f"{path}/", ignored)
        elif stat.S_ISREG(info.st_mode):
            mode = "0755" if info.st_mode & stat.S_IXUSR else "0644"
            stamp = (info.st_mtime_ns, info.st_ctime_ns, info.st_ino)
            yield SourceFile(path, mode, info.st_size, entry.path, stamp)
        else:
            kind = "a symbolic link" if stat.S_ISLNK(info.st_mode) else "neither a file nor a folder"
            raise BadInput(
                f"{entry.path} is {kind}; a package holds regular files only",
                hint="put the file itself there, or name it under exclude in veda.toml",
            )


def _known(table: Mapping[str, Any], keys: tuple[str, ...], where: str, what: str) -> None:
    for key in table:
        if key not in keys:
            raise BadInput(f"{where}: unknown {what} {key!r}", hint=nearest(key, keys) or f"known: {', '.join(keys)}")


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value or not value.isprintable():
        raise BadInput(f"{where}: [package] needs {key}, a text in one line")
    return value


def _line(table: Mapping[str, Any], key: str, where: str) -> str:
    return _text(table, key, where) if table.get(key) else ""


def _texts(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(v, str) and v.isprintable() for v in value):
        raise BadInput(f"{where}: {key} must be a list of texts")
    return tuple(value)


def _requirement(text: str, where: str) -> str:
    try:
        return str(Requirement(text))
    except InvalidRequirement:
        raise BadInput(f"{where}: {text!r} is not a requirement", hint='such as "numpy>=1.26"') from None


def _package(text: str, where: str) -> str:
    requirement = Requirement(_requirement(text, where))
    if requirement.extras or requirement.marker or requirement.url:
        raise BadInput(f"{where}: {text!r} is not a package and its versions", hint='such as "factors>=1.2,<2"')
    return f"{normalise_name(requirement.name)}{requirement.specifier}"


def _environment(document: Mapping[str, Any], where: str) -> str:
    """Return the lock file of a template of an environment, or nothing where it is no template."""
    if "environment" not in document:
        return ""
    table = document["environment"]
    path = table.get("lock") if isinstance(table, dict) and set(table) == {"lock"} else None
    if not isinstance(path, str) or path_fault(path):
        raise BadInput(f"{where}: [environment] holds one key, lock", hint='lock = "veda.lock"')
    return path


def _platform(package: Mapping[str, Any], where: str) -> str:
    """Return the tag that the author wrote, or nothing where the compiled files are to tell it."""
    value = package.get("platform", "")
    if value != "" and not (isinstance(value, str) and is_platform(value)):
        raise BadInput(f"{where}: platform {value!r} is none", hint='such as "any" or "linux_x86_64"')
    return str(value)


def _specifier(value: object, where: str) -> str:
    try:
        return str(SpecifierSet(str(value)))
    except InvalidSpecifier:
        raise BadInput(f"{where}: requires-python {value!r} is not a specifier", hint='such as ">=3.11"') from None
