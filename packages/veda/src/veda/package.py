"""A package file: pack a workspace, open, verify, inspect and unpack."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard

from veda._house.files import replacing
from veda._house.progress import Progress, no_progress
from veda._house.version import installed_version
from veda.archive import ArchiveWriter, Member, read_directory, read_member
from veda.chunks import check_stored, each_chunk, pack_chunk, plan, read_source, split, unpack_chunk
from veda.components import Component, keep, kept
from veda.errors import ArchiveRefused, BadInput, Conflict
from veda.interface import describe
from veda.manifest import FORMAT, MAX_MANIFEST, WITH_REFERENCES, Chunk, Described, FileEntry, Manifest, tree_digest
from veda.metadata import members
from veda.parallel import in_order
from veda.platforms import tag_of
from veda.spool import Spool
from veda.tree import write_tree
from veda.unchanged import Unchanged
from veda.workspace import FILE, Project, SourceFile, parse_project, read_project, scan, source_files, source_root

SUFFIX = ".vedapkg"


@dataclass(frozen=True)
class Package(Described):
    """An open package file; its manifest holds every rule, its chunks are checked when they are read."""

    path: Path
    manifest: Manifest
    members: dict[str, Member]

    def stored(self, chunk: Chunk, home: Path | str | None = None) -> bytes:
        """Return a chunk's bytes as they are in the file, compared with its name.

        Those kept by reference come from the cache in `home`.
        """
        if chunk.external:
            number = self.manifest.chunks.index(chunk)
            what = next(f.path for f in self.manifest.files if f.chunk == number)
            return kept(chunk.sha256, f"{what} of {self.name}@{self.version}", home)
        try:
            with self.path.open("rb") as file:
                data = read_member(file, self.members[chunk.member])
        except OSError as exc:
            raise BadInput(f"{self.path} cannot be read: {exc.strerror}") from None
        check_stored(chunk, data)
        return data

    def read(self, path: str) -> bytes:
        """Return the bytes of one file; raise `BadInput` if there is none of this path."""
        entry = self.entry(path, str(self.path))
        chunk = self.manifest.chunks[entry.chunk]
        raw = unpack_chunk(chunk, self.stored(chunk))
        return next(bytes(data) for _, data in split(raw, [entry]))


def pack(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    progress: Progress = no_progress,
) -> Package:
    """Pack a workspace into a ``.vedapkg`` file and return it open.

    The same files give the same digest on every machine, and the same bytes wherever the zstd
    library is of the same version. A workspace that has not changed since is not read again.

    Parameters
    ----------
    folder
        The workspace, a folder with a ``veda.toml``.
    out
        The file to write, or a folder for it; by default ``<folder>/dist/name-version-tag.vedapkg``.
    progress
        Called with the bytes packed and the bytes in all.

    Raises
    ------
    BadInput
        If ``veda.toml`` breaks a rule, an entry point does not exist, a file cannot be packed, or
        compiled files are for more than one kind of machine; nothing is written.

    Examples
    --------
    >>> import veda
    >>> veda.pack("examples/momentum", "momentum.vedapkg").manifest.version
    '1.2.0'
    """
    workspace = Path(folder)
    project = read_project(workspace)
    scanned = scan(workspace, project)
    tag = project.platform or tag_of(scanned)
    target, commit = _target(workspace, out, project, tag), _git_commit(workspace)
    builder = {"veda": installed_version(), "zstd": zstandard.ZSTD_VERSION, "git": commit}
    unchanged = Unchanged(target, scanned, builder)
    if unchanged.holds():
        return open_package(target)
    files = source_files(workspace, project, scanned)
    by_path = {f.path: f for f in files}
    points = _entry_points(project, by_path)
    with Spool() as spool:
        entries, chunks = _pack_chunks(files, spool, progress)
        for reference in project.references:
            keep(workspace, reference)
            _refer(reference, entries, chunks)
        entries.sort(key=lambda e: e.path.encode())
        manifest = Manifest(_facts(project, tag, points, entries, chunks, commit))
        try:
            with replacing(target) as file:
                writer = ArchiveWriter(cast(BinaryIO, file))
                for name, data in members(manifest).items():
                    writer.add(name, data)
                for chunk, stored in zip(manifest.packed, spool, strict=True):
                    writer.add(chunk.member, stored)
                writer.close()
        except OSError as exc:
            raise BadInput(f"{target} cannot be written: {exc.strerror}") from None
    unchanged.remember()
    return Package(target, manifest, {m.name: m for m in writer.members})


def open_package(path: str | os.PathLike[str]) -> Package:
    """Open a package file; its container and manifest are checked, its chunks when they are read.

    Raises
    ------
    BadInput
        If the file cannot be read.
    ArchiveRefused
        If it breaks a rule of the format.
    """
    path = Path(path)
    found = read_directory(path)
    if not found or not found[0].name.endswith(".dist-info/MANIFEST.json") or found[0].size > MAX_MANIFEST:
        raise ArchiveRefused("no-manifest", "the first member is not a manifest")
    by_name = {m.name: m for m in found}
    with path.open("rb") as file:
        manifest = Manifest.from_bytes(read_member(file, found[0]))
        small = members(manifest)
        if [m.name for m in found] != [*small, *(c.member for c in manifest.packed)]:
            raise ArchiveRefused("members-disagree", "the members are not those that the manifest names, in its order")
        if any(by_name[c.member].size != c.size for c in manifest.packed):
            raise ArchiveRefused("members-disagree", "a chunk has another size than the manifest says")
        for name, data in small.items():
            if by_name[name].size != len(data) or read_member(file, by_name[name]) != data:
                raise ArchiveRefused("metadata-disagrees", f"{name} does not say what the manifest says")
    return Package(path, manifest, by_name)


def verify(path: str | os.PathLike[str], *, progress: Progress = no_progress) -> Package:
    """Check every byte of a package file and return it open; nothing is written.

    Raises
    ------
    BadInput
        If the file cannot be read.
    ArchiveRefused
        If anything in it differs from what its manifest says.
    """
    package = open_package(path)
    found: dict[str, bytes] = {}
    for files in each_chunk(package.manifest, package.stored, list, progress):
        found |= {f.path: bytes(data) for f, data in files if f.path == FILE}
    check_project(package.manifest, found.get(FILE))
    return package


def unpack(path: str | os.PathLike[str], target: str | os.PathLike[str], *, progress: Progress = no_progress) -> Path:
    """Write the files of a package into the new folder `target`, all or none, and return it.

    Raises
    ------
    Conflict
        If `target` exists and is not an empty folder.
    ArchiveRefused
        If the package breaks a rule of the format; nothing is left behind.
    """
    target = Path(target)
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        raise Conflict(f"{target} exists already", hint="name a folder that does not exist")
    package = verify(path)
    write_tree(package.manifest, package.stored, target, progress=progress)
    return target


def check_project(manifest: Manifest, written: bytes | None) -> None:
    """Refuse a manifest that says something else than the ``veda.toml`` in its own tree, given as `written`."""
    if written is None:
        raise ArchiveRefused("no-project-file", f"the package holds no {FILE}")
    try:
        project = parse_project(written)
    except BadInput as exc:
        raise ArchiveRefused("manifest-disagrees", str(exc)) from None
    facts = manifest.facts
    said = {
        "packages": None,
        "environment": None,
        "components": None,
        **({"tag": project.platform} if project.platform else {}),
        **_project_facts(project),
        "entry_points": dict(project.entry_points),
    }
    found = {k: facts.get(k) for k in said} | {"entry_points": {p["name"]: p["target"] for p in facts["entry_points"]}}
    if said != found:
        key = next(k for k in said if said[k] != found[k])
        raise ArchiveRefused("manifest-disagrees", f"the manifest and the package's {FILE} differ in {key}")
    files = {f.path: (f.size, f.sha256) for f in manifest.files}
    for component in project.references:
        if files.get(component.path) != (component.size, component.sha256):
            raise ArchiveRefused("manifest-disagrees", f"{component.path!r} is not what the package's {FILE} refers to")


def _pack_chunks(files: list[SourceFile], spool: Spool, progress: Progress) -> tuple[list[FileEntry], list[Chunk]]:
    entries: list[FileEntry] = []
    chunks: dict[str, int] = {}
    described: list[Chunk] = []
    done, total = 0, sum(f.size for f in files)
    groups = list(plan(files))
    # Two workers: hashing and zstd leave the interpreter lock, and more gain nothing on small machines.
    packed = in_order(pack_chunk, groups, lambda group: sum(f.size for f in group), workers=2)
    for group, (chunk, stored, found) in zip(groups, packed, strict=True):
        if chunk.sha256 not in chunks:
            chunks[chunk.sha256] = len(described)
            described.append(chunk)
            spool.add(stored)
        number = chunks[chunk.sha256]
        for file, (sha, offset) in zip(group, found, strict=True):
            entries.append(FileEntry(file.path, file.mode, file.size, sha, number, offset))
        done += chunk.raw_size
        progress(done, total)
    return entries, described


def _refer(component: Component, entries: list[FileEntry], chunks: list[Chunk]) -> None:
    """Add a reference: a chunk of its own, which is the file as it is, and which the package file does not hold."""
    chunk = Chunk(component.sha256, component.size, component.size, "raw", external=True)
    known = {c.sha256: n for n, c in enumerate(chunks)}
    if chunk.sha256 not in known:
        known[chunk.sha256] = len(chunks)
        chunks.append(chunk)
    number = known[chunk.sha256]
    entries.append(FileEntry(component.path, "0644", component.size, component.sha256, number, 0))


def _entry_points(project: Project, files: dict[str, SourceFile]) -> list[dict[str, Any]]:
    root = source_root(list(files))

    def read(path: str) -> bytes | None:
        file = files.get(root + path)
        return read_source(file) if file else None

    return [describe(name, target, read) for name, target in project.entry_points.items()]


def _facts(
    project: Project,
    tag: str,
    points: list[dict[str, Any]],
    entries: list[FileEntry],
    chunks: list[Chunk],
    commit: str | None,
) -> dict[str, Any]:
    root = source_root([e.path for e in entries])
    return {
        "format": WITH_REFERENCES if project.references else FORMAT,
        **_project_facts(project),
        "tag": tag,
        "entry_points": points,
        "digest": tree_digest(entries),
        "files": [dict(vars(e)) for e in entries],
        "chunks": [c.facts() for c in chunks],
        "provenance": {
            "builder": f"veda {installed_version()}",
            "zstd": ".".join(map(str, zstandard.ZSTD_VERSION)),
            "git_commit": commit,
            "source_digest": tree_digest(e for e in entries if e.path.startswith(root)),
        },
    }


def _project_facts(project: Project) -> dict[str, Any]:
    return {
        "name": project.name,
        "version": project.version,
        "summary": project.summary,
        "license": project.license,
        "authors": list(project.authors),
        "requires": list(project.requires),
        "requires_python": project.requires_python,
        **({"packages": list(project.packages)} if project.packages else {}),
        **({"environment": project.environment} if project.environment else {}),
        **({"components": [c.facts() for c in project.components]} if project.components else {}),
    }


def _git_commit(folder: Path) -> str | None:
    """Return the commit that the workspace is at, or None where git or a repository is missing."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "--verify", "HEAD"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _target(folder: Path, out: str | os.PathLike[str] | None, project: Project, tag: str) -> Path:
    name = f"{project.name.replace('-', '_')}-{project.version}-{tag}{SUFFIX}"
    if out is None:
        return folder / "dist" / name
    path = Path(out)
    if path.is_dir():
        return path / name
    if path.suffix != SUFFIX:
        raise BadInput(f"{path} does not end in {SUFFIX}", hint=f"-o {path}{SUFFIX}")
    return path
