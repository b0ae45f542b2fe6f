"""Archives made to harm are refused with a named reason, and nothing of them is written."""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
import zstandard

import veda
from veda import ArchiveRefused
from veda.manifest import FileEntry, Manifest, canonical_json, tree_digest
from veda.metadata import members

TOML = b'[package]\nname = "evil"\nversion = "1.0"\nlicense = "MIT"\n[entry-points]\ndefault = "evil:Evil"\n'
FILES = {"src/evil.py": b"class Evil:\n    pass\n" * 50, "veda.toml": TOML}


@dataclass
class Entry:
    """A member, with every field of both its headers open to lies."""

    name: bytes
    data: bytes
    central_name: bytes | None = None
    crc: int | None = None
    size: int | None = None  # in both headers
    local_size: int | None = None
    method: int = 0
    flags: int = 0x800
    extra: bytes = b""
    mode: int = 0o100644
    date: int = 0x21
    offset: int | None = None
    comment: bytes = b""


def build(entries, *, before=b"", between=b"", after=b"", comment=b"", count=None, start=None) -> bytes:
    """Write a zip exactly as told, true or not."""
    body, directory = bytearray(before), bytearray()
    for e in entries:
        crc = zlib.crc32(e.data) if e.crc is None else e.crc
        size = len(e.data) if e.size is None else e.size
        local = size if e.local_size is None else e.local_size
        offset = len(body) if e.offset is None else e.offset
        body += struct.pack("<4s5H3I2H", b"PK\3\4", 20, e.flags, e.method, 0, e.date, crc, local, local, len(e.name), len(e.extra))  # fmt: skip  # noqa: E501
        body += e.name + e.extra + e.data
        name = e.name if e.central_name is None else e.central_name
        directory += struct.pack("<4s6H3I5H2I", b"PK\1\2", 3 << 8 | 20, 20, e.flags, e.method, 0, e.date, crc, size, size, len(name), len(e.extra), len(e.comment), 0, 0, e.mode << 16, offset)  # fmt: skip  # noqa: E501
        directory += name + e.extra + e.comment
    body += between
    n = len(entries) if count is None else count
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, n, n, len(directory), len(body) if start is None else start, len(comment))  # fmt: skip  # noqa: E501
    return bytes(body) + bytes(directory) + end + comment + after


def facts_of(files=FILES, **changes) -> tuple[dict, bytes]:
    """Return the facts of a valid manifest over `files` and the one chunk that carries them."""
    raw = b"".join(files.values())
    stored = zstandard.ZstdCompressor(level=3).compress(raw)
    entries, offset = [], 0
    for path, data in files.items():
        entries.append(FileEntry(path, "0644", len(data), hashlib.sha256(data).hexdigest(), 0, offset))
        offset += len(data)
    chunk = {
        "sha256": hashlib.sha256(stored).hexdigest(),
        "size": len(stored),
        "raw_size": len(raw),
        "encoding": "zstd",
    }
    facts = {
        "format": "1.0", "name": "evil", "version": "1.0", "summary": "", "license": "MIT", "authors": [],
        "requires": [], "requires_python": ">=3.11", "tag": "any", "digest": tree_digest(entries),
        "entry_points": [{"name": "default", "target": "evil:Evil", "summary": "", "parameters": {}, "methods": {}}],
        "files": [asdict(e) for e in entries], "chunks": [chunk], "provenance": {},
    }  # fmt: skip
    return {**facts, **changes}, stored


def entries_of(facts, *stored, manifest: bytes | None = None) -> list[Entry]:
    """Return the members of an archive; a manifest that no reader accepts gets its members by hand."""
    try:
        small = members(Manifest(facts))
    except ArchiveRefused:
        valid, _ = facts_of()
        small = members(Manifest(valid))
        small["evil-1.0.dist-info/MANIFEST.json"] = canonical_json(facts)
    if manifest is not None:
        small["evil-1.0.dist-info/MANIFEST.json"] = manifest
    chunks = [Entry(f"chunks/{c['sha256']}.zst".encode(), s) for c, s in zip(facts["chunks"], stored, strict=False)]
    return [Entry(n.encode(), d) for n, d in small.items()] + chunks


def valid() -> list[Entry]:
    return entries_of(*facts_of())


def with_files(**changes) -> bytes:
    """Build an archive whose first file's entry says `changes`."""
    facts, stored = facts_of()
    facts["files"][0].update(changes)
    return build(entries_of(facts, stored))


def named(path: str) -> bytes:
    """Build an archive that is right in everything, but holds a file called `path`."""
    facts, stored = facts_of(dict(sorted({path: b"owned", **FILES}.items(), key=lambda kv: kv[0].encode("utf-8", "surrogatepass"))))  # fmt: skip  # noqa: E501
    return build(entries_of(facts, stored))


def both(*paths: str) -> bytes:
    """Build an archive that holds all of `paths`; a path may come twice."""
    facts, stored = facts_of(FILES)
    extra = [{**facts["files"][0], "path": p} for p in paths]
    facts["files"] = sorted([*facts["files"], *extra], key=lambda f: f["path"].encode())
    facts["digest"] = tree_digest(FileEntry(**f) for f in facts["files"])
    return build(entries_of(facts, stored))


def one(index: int, **changes) -> bytes:
    """Build an archive whose member `index` has other headers."""
    entries = valid()
    for key, value in changes.items():
        setattr(entries[index], key, value)
    return build(entries)


def chunk(stored: bytes, **changes) -> bytes:
    """Build an archive whose chunk is `stored`, with `changes` in what the manifest says of it."""
    facts, _ = facts_of()
    facts["chunks"][0].update({"sha256": hashlib.sha256(stored).hexdigest(), "size": len(stored), **changes})
    return build(entries_of(facts, stored))


def bomb() -> bytes:
    """Build an archive whose one small chunk declares 100 MB, truthfully."""
    raw = bytes(100 << 20)
    facts, stored = facts_of({"veda.toml": raw})
    return build(entries_of(facts, stored))


def hidden_bomb() -> bytes:
    """Build an archive whose chunk says 1050 bytes in the manifest and 100 MB in its zstd frame."""
    return chunk(zstandard.ZstdCompressor().compress(bytes(100 << 20)))


def swapped() -> bytes:
    """Build an archive whose chunk is sound but holds other files than the manifest says."""
    facts, _ = facts_of()
    other, other_stored = facts_of({k: v.swapcase() for k, v in FILES.items()})
    facts["chunks"] = other["chunks"]
    return build(entries_of(facts, other_stored))


def deflated() -> bytes:
    entries = valid()
    entries[-1].method, entries[-1].data = 8, zlib.compress(entries[-1].data)[2:-4]
    return build(entries)


def of_stdlib() -> bytes:
    import io

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../evil", "owned")
    return buffer.getvalue()


def pretty() -> bytes:
    facts, stored = facts_of()
    return build(entries_of(facts, stored, manifest=json.dumps(facts, indent=1).encode()))


def twice_in_json() -> bytes:
    facts, stored = facts_of()
    text = canonical_json(facts).replace(b'"version":"1.0"', b'"version":"1.0","version":"1.0"')
    return build(entries_of(facts, stored, manifest=text))


def too_many_files() -> bytes:
    facts, stored = facts_of()
    facts["files"] = [{}] * 100_001
    return build(entries_of(facts, stored))


def facts_with(**changes) -> bytes:
    return build(entries_of(*facts_of(**changes)))


HOSTILE = {
    # the names of files
    "parent folder": (lambda: named("../evil"), "path-escapes"),
    "parent folder in the middle": (lambda: named("src/../../evil"), "path-escapes"),
    "absolute": (lambda: named("/tmp/evil"), "path-absolute"),
    "drive letter": (lambda: named("C:/evil"), "path-absolute"),
    "backslashes": (lambda: named("..\\evil"), "path-backslash"),
    "NUL": (lambda: named("evil\0.txt"), "path-control-character"),
    "line break": (lambda: named("evil\n.txt"), "path-control-character"),
    "escape sequence": (lambda: named("evil\x1b[2J"), "path-control-character"),
    "text that runs right to left": (lambda: named("evil\u202etxt.py"), "path-control-character"),
    "dot": (lambda: named("./evil"), "path-not-plain"),
    "empty part": (lambda: named("src//evil"), "path-not-plain"),
    "trailing slash": (lambda: named("src/evil/"), "path-not-plain"),
    "other normal form": (lambda: named("cafe\u0301"), "path-not-nfc"),
    "device": (lambda: named("src/NUL.txt"), "path-not-portable"),
    "alternate stream": (lambda: named("evil.txt:hidden"), "path-not-portable"),
    "trailing dot": (lambda: named("evil."), "path-not-portable"),
    "very long": (lambda: named("x" * 300), "path-too-long"),
    "same name twice": (lambda: both("a", "a"), "duplicate-path"),
    "names of one case-blind file": (lambda: both("a", "A"), "path-clash"),
    "names of one compatible form": (lambda: both("ﬁle", "file"), "path-clash"),
    "folders of one case-blind name": (lambda: both("a/x", "A/y"), "path-clash"),
    "file that is a folder too": (lambda: both("a", "a/b"), "parent-is-a-file"),
    # modes and sizes
    "set-uid": (lambda: with_files(mode="4755"), "bad-mode"),
    "symbolic link by mode": (lambda: with_files(mode="120777"), "bad-mode"),
    "file too large": (lambda: with_files(size=2 << 30), "file-too-large"),
    "size that is negative": (lambda: with_files(size=-1), "manifest-field"),
    "size that is true": (lambda: with_files(size=True), "manifest-field"),
    "chunk that does not exist": (lambda: with_files(chunk=7), "chunk-layout"),
    "files that overlap": (lambda: with_files(offset=3), "chunk-layout"),
    "hash of another file": (lambda: with_files(sha256="0" * 64), "digest-mismatch"),
    "zip bomb": (bomb, "ratio-too-high"),
    "zip bomb below another size": (hidden_bomb, "chunk-size"),
    # the manifest
    "no JSON": (lambda: build(entries_of(*facts_of(), manifest=b"{")), "manifest-not-json"),
    "deeply nested": (lambda: build(entries_of(*facts_of(), manifest=b"[" * 100_000)), "manifest-not-json"),
    "no object": (lambda: build(entries_of(*facts_of(), manifest=b"[]\n")), "manifest-not-canonical"),
    "spaces": (pretty, "manifest-not-canonical"),
    "key twice": (twice_in_json, "manifest-not-canonical"),
    "newer major format": (lambda: facts_with(format="2.0"), "format-too-new"),
    "name that is a path": (lambda: facts_with(name="../evil"), "manifest-field"),
    "version that is a path": (lambda: facts_with(version="../1"), "manifest-field"),
    "header injected": (lambda: facts_with(license="MIT\nName: other"), "manifest-field"),
    "digest of another tree": (lambda: facts_with(digest="sha256:" + "0" * 64), "digest-mismatch"),
    "other version than veda.toml": (lambda: facts_with(version="2.0"), "manifest-disagrees"),
    "other requirements than veda.toml": (lambda: facts_with(requires=["evil-dist"]), "manifest-disagrees"),
    "no veda.toml": (lambda: build(entries_of(*facts_of({"src/evil.py": b"x"}))), "no-project-file"),
    "too many files": (too_many_files, "too-many"),
    # the container
    "empty": (lambda: b"", "not-an-archive"),
    "something else": (lambda: b"GIF89a" * 100, "not-an-archive"),
    "of another tool": (of_stdlib, "entry-not-canonical"),
    "cut short": (lambda: build(valid())[:-30], "no-end-record"),
    "bytes after the end": (lambda: build(valid(), after=b"x"), "no-end-record"),
    "bytes before the start": (lambda: build(valid(), before=b"#!/bin/sh\n"), "members-misplaced"),
    "bytes before the directory": (lambda: build(valid(), between=b"hidden"), "members-misplaced"),
    "comment": (lambda: build(valid(), comment=b"x" * 9), "no-end-record"),
    "two archives in one": (lambda: build(valid()) + build(valid()), "directory-misplaced"),
    "fewer entries than members": (lambda: build(valid(), count=3), "directory-damaged"),
    "more entries than members": (lambda: build(valid(), count=9), "directory-damaged"),
    "directory elsewhere": (lambda: build(valid(), start=0), "directory-misplaced"),
    "64-bit form": (lambda: build(valid(), count=0xFFFF), "too-many-members"),
    "member twice": (lambda: build([*valid(), valid()[-1]]), "duplicate-path"),
    "member that nobody names": (lambda: build([*valid(), Entry(b"extra", b"x")]), "members-disagree"),
    "member that escapes": (lambda: build([*valid(), Entry(b"../../evil", b"x")]), "path-escapes"),
    "member missing": (lambda: build(valid()[:-1]), "members-disagree"),
    "manifest not first": (lambda: build(valid()[::-1]), "no-manifest"),
    "names that differ in the two headers": (lambda: one(-1, central_name=b"x" * 75), "headers-disagree"),
    "sizes that differ in the two headers": (lambda: one(-1, local_size=1), "headers-disagree"),
    "size beyond the file": (lambda: one(-1, size=1 << 30), "members-misplaced"),
    "members that overlap": (lambda: one(-1, offset=0), "members-misplaced"),
    "symbolic link": (lambda: one(-1, mode=0o120777), "not-a-regular-file"),
    "device file": (lambda: one(-1, mode=0o020666), "not-a-regular-file"),
    "encrypted": (lambda: one(-1, flags=0x801), "encrypted"),
    "data descriptor": (lambda: one(-1, flags=0x808), "entry-not-canonical"),
    "compressed by the zip": (deflated, "not-stored"),
    "extra field": (lambda: one(0, extra=b"\1\0\4\0abcd"), "entry-not-canonical"),
    "comment of a member": (lambda: one(0, comment=b"x"), "entry-not-canonical"),
    "another time": (lambda: one(0, date=0x5A21), "entry-not-canonical"),
    "name that is not UTF-8": (lambda: one(-1, name=b"\xff\xfe", central_name=b"\xff\xfe"), "path-not-utf8"),
    "wrong checksum": (lambda: one(1, crc=1), "member-damaged"),
    "METADATA of another package": (lambda: one(1, data=b"Name: other\n"), "metadata-disagrees"),
    "RECORD that lies": (lambda: one(3, data=valid()[3].data.replace(b"sha256=", b"sha256=A")), "metadata-disagrees"),
    # the chunks
    "chunk of other bytes": (lambda: one(-1, data=bytes(len(valid()[-1].data))), "chunk-damaged"),
    "chunk that is no zstd": (lambda: chunk(b"not zstd at all, but of some length"), "chunk-damaged"),
    "chunk with more behind it": (lambda: chunk(facts_of()[1] + b"more"), "chunk-damaged"),
    "chunk of other files": (swapped, "file-damaged"),
    "raw chunk of two sizes": (lambda: chunk(b"x", encoding="raw"), "chunk-layout"),
    "unknown encoding": (lambda: chunk(b"x", encoding="lzma"), "manifest-field"),
    "reference that is no file as it is": (lambda: chunk(b"x", external=True), "manifest-field"),
    "reference that is none": (lambda: chunk(b"x", encoding="raw", external=False), "manifest-field"),
    "component that is none": (lambda: facts_with(components=[{"path": "x"}]), "manifest-field"),
    "components that veda.toml does not name": (
        lambda: facts_with(components=[{"path": "veda.toml", "kind": "doc"}]),
        "manifest-disagrees",
    ),
}


def everything_below(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_the_generator_makes_a_package_that_is_accepted(tmp_path):
    (tmp_path / "good.vedapkg").write_bytes(build(valid()))

    assert veda.verify(tmp_path / "good.vedapkg").name == "evil"


@pytest.mark.parametrize(("make", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_archive_is_refused_by_name_and_leaves_nothing(tmp_path, make, reason):
    inside = tmp_path / "a" / "b" / "c"
    inside.mkdir(parents=True)
    path = tmp_path / "hostile.vedapkg"
    path.write_bytes(make())
    before = everything_below(tmp_path)

    with pytest.raises(ArchiveRefused) as refused:
        veda.unpack(path, inside / "target")

    assert refused.value.reason == reason
    assert everything_below(tmp_path) == before
    with pytest.raises(ArchiveRefused, match=reason):
        veda.verify(path)


def test_every_single_changed_byte_is_noticed(tmp_path):
    good = build(valid())
    path = tmp_path / "changed.vedapkg"

    for n in range(len(good)):
        path.write_bytes(good[:n] + bytes([good[n] ^ 0x41]) + good[n + 1 :])
        with pytest.raises(ArchiveRefused):
            veda.verify(path)


def test_every_truncation_is_noticed(tmp_path):
    good = build(valid())
    path = tmp_path / "short.vedapkg"

    for n in range(len(good)):
        path.write_bytes(good[:n])
        with pytest.raises(ArchiveRefused):
            veda.verify(path)
