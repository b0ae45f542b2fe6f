"""The manifest of a package: what it is, its files, and the chunks that carry them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from veda.errors import ArchiveRefused, BadInput
from veda.names import is_platform, normalise_name, normalise_version, path_fault, paths_fault

FORMAT = "1.0"
WITH_REFERENCES = "1.1"  #: The format of a package that keeps files by reference.
MAX_MANIFEST = 64 << 20  #: Bytes.
MAX_FILES = 100_000
MAX_FILE = 1 << 30  #: Bytes of one file.
MAX_TOTAL = 8 << 30  #: Bytes of all files.
MAX_CHUNKS = 50_000
MAX_RATIO = 1000  #: A chunk of more than 1 MiB may grow this much when it is unpacked, no more.

_HEX = re.compile(r"[0-9a-f]{64}")
_MODES = ("0644", "0755")


@dataclass(frozen=True)
class FileEntry:
    """One file: where it is in the tree, and in which chunk at which offset its bytes are."""

    path: str
    mode: str
    size: int
    sha256: str
    chunk: int
    offset: int


@dataclass(frozen=True)
class Chunk:
    """One chunk: whole files, one after the other; `sha256` and `size` are those of its stored bytes.

    An `external` one is kept by reference: no package file holds it, only a store.
    """

    sha256: str
    size: int
    raw_size: int
    encoding: str
    external: bool = False

    @property
    def member(self) -> str:
        """Its name in the archive."""
        return f"chunks/{self.sha256}.{'zst' if self.encoding == 'zstd' else 'raw'}"

    def facts(self) -> dict[str, Any]:
        """Return what the manifest says of it; ``external`` only where it is."""
        return {k: v for k, v in asdict(self).items() if k != "external" or v}


class Manifest:
    """A manifest whose every rule holds; `facts` is the document, `files` and `chunks` are its typed parts.

    Raises
    ------
    ArchiveRefused
        If `facts` breaks a rule of the format.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = dict(facts)
        _check_head(self.facts)
        self.files = tuple(_file(f) for f in _list(self.facts, "files", MAX_FILES))
        self.chunks = tuple(_chunk(c) for c in _list(self.facts, "chunks", MAX_CHUNKS))
        _check_files(self.files)
        _check_layout(self.files, self.chunks)
        if tree_digest(self.files) != self.digest:
            _refuse("digest-mismatch", "the manifest's digest is not that of its files")

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Parse the canonical form; any other spelling of the same document is refused."""
        if len(data) > MAX_MANIFEST:
            _refuse("manifest-too-large", f"the manifest has {len(data)} bytes, more than {MAX_MANIFEST}")
        try:
            facts = json.loads(data)
            canonical = canonical_json(facts)
        except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
            _refuse("manifest-not-json", "the manifest is not JSON")
        if not isinstance(facts, dict) or canonical != data:
            _refuse("manifest-not-canonical", "the manifest is not in canonical form")
        return cls(facts)

    def to_bytes(self) -> bytes:
        """Return the canonical form: UTF-8, keys sorted, no spaces, one newline at the end."""
        return canonical_json(self.facts)

    @property
    def name(self) -> str:
        """Normalised name."""
        return str(self.facts["name"])

    @property
    def version(self) -> str:
        """Normalised version."""
        return str(self.facts["version"])

    @property
    def digest(self) -> str:
        """The package's identity, ``sha256:...`` of its tree of files."""
        return str(self.facts["digest"])

    @property
    def tag(self) -> str:
        """For which machines it is: ``any``, or a platform such as ``linux_x86_64``."""
        return str(self.facts["tag"])

    @property
    def packed(self) -> tuple[Chunk, ...]:
        """The chunks that are members of the package file."""
        return tuple(c for c in self.chunks if not c.external)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(f.size for f in self.files)

    @property
    def stem(self) -> str:
        """First part of file names, such as ``mean_reversion-1.2.0``."""
        return f"{self.name.replace('-', '_')}-{self.version}"

    def description(self) -> dict[str, Any]:
        """Return the facts without the lists of files and chunks: what a registry keeps."""
        kept = {k: v for k, v in self.facts.items() if k not in ("files", "chunks")}
        packed = sum(c.size for c in self.chunks)
        return {**kept, "file_count": len(self.files), "size": self.size, "packed_size": packed}


class Described:
    """What a package is by its manifest, wherever its files are."""

    manifest: Manifest

    @property
    def name(self) -> str:
        """Normalised name."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """Normalised version."""
        return self.manifest.version

    @property
    def digest(self) -> str:
        """Identity of the content, ``sha256:...``."""
        return self.manifest.digest

    def entry(self, path: str, what: str) -> FileEntry:
        """Return the facts of one file; raise `BadInput` if there is none, with the way to list those of `what`."""
        entry = next((f for f in self.manifest.files if f.path == path), None)
        if entry is None:
            raise BadInput(f"{self.name}@{self.version} has no file {path!r}", hint=f"veda inspect {what} --files")
        return entry


def canonical_json(value: Any) -> bytes:
    """Return the one spelling of a JSON document that digests are taken of."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8") + b"\n"


def tree_digest(files: Iterable[FileEntry]) -> str:
    """Return the identity of a tree: its files' modes, sizes, contents and paths, and nothing else."""
    digest = hashlib.sha256(b"veda-tree-1\n")
    for file in sorted(files, key=lambda f: f.path.encode()):
        digest.update(f"{file.mode} {file.size} {file.sha256} {file.path}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def _check_head(facts: Mapping[str, Any]) -> None:
    version = facts.get("format")
    if not isinstance(version, str) or not re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", version):
        _refuse("manifest-field", "the manifest does not say its format")
    if version.partition(".")[0] != FORMAT.partition(".")[0]:
        _refuse("format-too-new", f"format {version} is not one that this veda reads; upgrade jiyuan-veda")
    for key in ("name", "version", "summary", "license", "digest", "requires_python", "tag"):
        if not isinstance(facts.get(key), str):
            _refuse("manifest-field", f"{key} is missing or not a text")
    try:
        normal = (normalise_name(facts["name"]), normalise_version(facts["version"]))
    except BadInput as exc:
        _refuse("manifest-field", str(exc))
    if normal != (facts["name"], facts["version"]):
        _refuse("manifest-field", "name or version is not in its normal form")
    for key in ("summary", "license", "requires_python"):
        if not facts[key].isprintable():
            _refuse("manifest-field", f"{key} holds a control character")
    if not is_platform(facts["tag"]):
        _refuse("manifest-field", "tag is not that of a platform")
    requires = facts.get("requires")
    if not isinstance(requires, list) or not all(isinstance(r, str) and r.isprintable() for r in requires):
        _refuse("manifest-field", "requires is not a list of requirements")
    packages = facts.get("packages", [])
    if not isinstance(packages, list) or not all(isinstance(r, str) and r.isprintable() for r in packages):
        _refuse("manifest-field", "packages is not a list of requirements")
    environment = facts.get("environment", "veda.lock")
    if not isinstance(environment, str) or path_fault(environment):
        _refuse("manifest-field", "environment is not the path of a lock")
    components = facts.get("components", [])
    if not isinstance(components, list) or not all(isinstance(c, dict) and _is_component(c) for c in components):
        _refuse("manifest-field", "components is not a list of components")
    points = facts.get("entry_points")
    if not isinstance(points, list) or not all(isinstance(p, dict) and _is_point(p) for p in points):
        _refuse("manifest-field", "entry_points is not a list of entry points")


def _is_point(point: Mapping[str, Any]) -> bool:
    texts = all(isinstance(point.get(k), str) for k in ("name", "target", "summary"))
    return texts and all(isinstance(point.get(k), dict) for k in ("methods", "parameters"))


def _is_component(component: Mapping[str, Any]) -> bool:
    return all(isinstance(v := component.get(k), str) and v.isprintable() for k in ("path", "kind"))


def _check_files(files: tuple[FileEntry, ...]) -> None:
    for file in files:
        if fault := path_fault(file.path):
            _refuse(*fault)
    paths = [f.path for f in files]
    if fault := paths_fault(paths):
        _refuse(*fault)
    if paths != sorted(paths, key=str.encode):
        _refuse("not-sorted", "the files are not in the order of their paths")
    if sum(f.size for f in files) > MAX_TOTAL:
        _refuse("total-too-large", f"the files have more than {MAX_TOTAL} bytes in all")


def _check_layout(files: tuple[FileEntry, ...], chunks: tuple[Chunk, ...]) -> None:
    """Each chunk holds its files end to end; files of the same content may share their bytes."""
    if len({c.sha256 for c in chunks}) != len(chunks):
        _refuse("chunk-layout", "two chunks are the same")
    ends: list[set[tuple[int, int]]] = [set() for _ in chunks]
    for file in files:
        if file.chunk >= len(chunks):
            _refuse("chunk-layout", f"{file.path!r} lies in chunk {file.chunk}, which does not exist")
        ends[file.chunk].add((file.offset, file.offset + file.size))
    for chunk, spans in zip(chunks, ends, strict=True):
        position = 0
        for start, end in sorted(spans):
            if start != position:
                _refuse("chunk-layout", "a chunk's files overlap or leave a gap")
            position = end
        if not spans or position != chunk.raw_size:
            _refuse("chunk-layout", "a chunk holds bytes that belong to no file")


def _file(value: object) -> FileEntry:
    path, mode, sha = (_text(value, k) for k in ("path", "mode", "sha256"))
    entry = FileEntry(path, mode, _count(value, "size"), sha, _count(value, "chunk"), _count(value, "offset"))
    if mode not in _MODES:
        _refuse("bad-mode", f"{path[:120]!r} has mode {mode[:12]!r}; only 0644 and 0755 exist")
    if not _HEX.fullmatch(sha):
        _refuse("manifest-field", f"{path[:120]!r} has no SHA-256")
    if entry.size > MAX_FILE:
        _refuse("file-too-large", f"{path[:120]!r} declares {entry.size} bytes, more than {MAX_FILE}")
    return entry


def _chunk(value: object) -> Chunk:
    texts = _text(value, "sha256"), _text(value, "encoding")
    external = value.get("external", False) if isinstance(value, dict) else False
    chunk = Chunk(texts[0], _count(value, "size"), _count(value, "raw_size"), texts[1], external is True)
    if isinstance(value, dict) and "external" in value and (external is not True or chunk.encoding != "raw"):
        _refuse("manifest-field", "external is either true, of a raw chunk, or not there")
    if not _HEX.fullmatch(chunk.sha256) or chunk.encoding not in ("raw", "zstd"):
        _refuse("manifest-field", "a chunk has no SHA-256 or an unknown encoding")
    if chunk.encoding == "raw" and chunk.size != chunk.raw_size:
        _refuse("chunk-layout", "a raw chunk declares two sizes")
    if chunk.raw_size > MAX_FILE:
        _refuse("chunk-too-large", f"a chunk declares {chunk.raw_size} bytes, more than {MAX_FILE}")
    if chunk.raw_size > 1 << 20 and chunk.raw_size > chunk.size * MAX_RATIO:
        _refuse("ratio-too-high", f"a chunk of {chunk.size} bytes declares {chunk.raw_size} when unpacked")
    return chunk


def _list(facts: Mapping[str, Any], key: str, cap: int) -> list[Any]:
    value = facts.get(key)
    if not isinstance(value, list):
        _refuse("manifest-field", f"{key} is missing or not a list")
    if len(value) > cap:
        _refuse("too-many", f"{len(value)} {key}, more than {cap}")
    return value


def _text(value: object, key: str) -> str:
    text = value.get(key) if isinstance(value, dict) else None
    if not isinstance(text, str):
        _refuse("manifest-field", f"{key} is missing or not a text")
    return text


def _count(value: object, key: str) -> int:
    count = value.get(key) if isinstance(value, dict) else None
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 1 << 53:
        _refuse("manifest-field", f"{key} is missing or not a count")
    return count


def _refuse(reason: str, detail: str) -> NoReturn:
    raise ArchiveRefused(reason, detail) from None
