"""What is done with each input of the fuzzer: the reader of packages takes it rightly, or refuses it by its own error.

Run as ``python -m tests.fuzz.reader FOLDER`` it writes seeds into the folder and feeds the reader with what atheris
makes of them; libFuzzer's own options may follow.
"""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE_READER = ROOT / "packages" / "veda" / "tests" / "page_reader.py"
FILES = {
    "veda.toml": '[package]\nname = "small"\nversion = "1.0"\nlicense = "MIT"\n\n[entry-points]\ndefault = "small:S"\n',
    "src/small/__init__.py": "class S:\n    def go(self) -> int:\n        return 1\n" * 40,
    "data/中文.txt": "价格\n",
}
#: What a manifest may say instead of what it should.
VALUES: tuple[Any, ...] = (
    None, True, 0, 1, -1, 2**53, 1e99, 1.5, "", "q", "1", "1.0", "99.0", "0644", "0755", "4755", "zstd", "raw",
    "../x", "a/../b", "/x", "a\\b", "C:x", "nul", "a.", "e\u0301", "\u202e", "\ud800", "\0", "\n", "x" * 300,
    "a" * 70_000, "veda.toml", "veda.toml/x", "VEDA.TOML", "0" * 64, "sha256:" + "0" * 64, "A" * 64, "numpy>=1",
    "small:S", [], [[]], {}, {"a": 1}, [None], [{}], ["x", "x"],
)  # fmt: skip


class Reader:
    """The reader of packages, the one that is written from the format's page, and a valid package to begin with."""

    def __init__(self, folder: Path) -> None:
        import veda

        self.folder = folder
        for name, text in FILES.items():
            (folder / "small" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "small" / name).write_text(text)
        self.package = veda.pack(folder / "small", folder / "small.vedapkg")
        self.stored = {c.sha256: self.package.stored(c) for c in self.package.manifest.chunks}
        spec = importlib.util.spec_from_file_location("page_reader", PAGE_READER)
        assert spec is not None
        assert spec.loader is not None
        self._page: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self._page)

    def seeds(self) -> list[bytes]:
        """Return inputs of each kind from which others are made."""
        return [
            b"\0" + self.package.path.read_bytes(),
            b"\1" + self.package.manifest.to_bytes(),
            *(b"\2" + bytes([0, n, n % 7, n]) for n in range(0, 256, 5)),
            *(b"\3" + stored for stored in self.stored.values()),
            b"\4" + FILES["veda.toml"].encode(),
        ]

    def take(self, data: bytes) -> None:
        """Do what the first byte says with the rest; raise what no input may raise."""
        import veda
        from veda.chunks import unpack_frame
        from veda.manifest import Manifest
        from veda.workspace import parse_project

        kind, rest = data[:1], data[1:]
        try:
            if kind == b"\1":
                Manifest.from_bytes(rest).description()
            elif kind == b"\2":
                self._archive(self._with(rest))
            elif kind == b"\3":
                unpack_frame(rest, "a chunk", 1 << 20)
            elif kind == b"\4":
                parse_project(rest)
            else:
                self._archive(rest)
        except veda.VedaError as exc:
            if not str(exc).isprintable():
                raise ValueError(f"a message that no terminal should get: {str(exc)!r}") from exc

    def _with(self, program: bytes) -> bytes:
        """Return an archive that is right but for what `program` changes in its manifest."""
        from veda.archive import ArchiveWriter
        from veda.errors import ArchiveRefused
        from veda.manifest import FileEntry, Manifest, canonical_json, tree_digest
        from veda.metadata import members

        facts = edited(self.package.manifest.facts, program)
        try:
            canonical_json(facts)
        except UnicodeEncodeError:  # no file could hold it
            raise ArchiveRefused("manifest-not-json", "the manifest is not Unicode") from None
        # A digest that is wrong would hide what comes after it.
        with suppress(TypeError, ValueError, AttributeError, LookupError):
            facts["digest"] = tree_digest(FileEntry(**f) for f in facts["files"])
        manifest = Manifest(facts)
        writer = ArchiveWriter(file := io.BytesIO())
        for name, data in members(manifest).items():
            writer.add(name, data)
        for chunk in manifest.chunks:
            writer.add(chunk.member, self.stored.get(chunk.sha256, b""))
        writer.close()
        return file.getvalue()

    def _archive(self, data: bytes) -> None:
        """Unpack an archive; what is accepted must be what the other reader finds."""
        import veda

        path, target = self.folder / "input.vedapkg", self.folder / "out"
        path.write_bytes(data)
        veda.unpack(path, target)
        try:
            found = {p.relative_to(target).as_posix(): p.read_bytes() for p in target.rglob("*") if p.is_file()}
            _, wanted = self._page.read(path)
            assert found == {name: body for name, (_, body) in wanted.items()}
        finally:
            shutil.rmtree(target)


def edited(facts: dict[str, Any], program: bytes) -> dict[str, Any]:
    """Return a copy of `facts` in which each four bytes of `program` have changed, removed or repeated one value."""
    copy: dict[str, Any] = json.loads(json.dumps(facts))
    for at in range(0, len(program) - 3, 4):
        places = list(_places(copy)) or [(copy, copy.setdefault("name", "name"))]
        where, key = places[int.from_bytes(program[at : at + 2], "big") % len(places)]
        do, which = program[at + 2 : at + 4]
        if do % 7 == 0:
            del where[key]
        elif do % 7 == 1 and isinstance(where, list):
            where.append(where[key])
        elif do % 7 == 2 and isinstance(where[key], int):
            where[key] += which - 128
        elif do % 7 == 3 and isinstance(where[key], str):
            where[key] += chr(which)
        else:
            where[key] = json.loads(json.dumps(VALUES[which % len(VALUES)]))
    return copy


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def broken(seed: bytes, draws: Iterable[int]) -> bytes:
    """Return `seed` with a byte changed, dropped or doubled for each of `draws`, without any fuzzer."""
    data = bytearray(seed)
    for draw in draws:
        at, kind = draw % len(data), draw // len(data) % 3
        data[at : at + 1] = (bytes([data[at] ^ 1 + draw % 255]), b"", bytes([data[at]]) * 2)[kind]
        if len(data) < 2:
            return bytes(data)
    return bytes(data)


def main() -> None:
    import atheris  # type: ignore[import-not-found, unused-ignore]

    with atheris.instrument_imports(include=["veda"]):
        import veda.package
        import veda.workspace  # noqa: F401

    seeds = Path(sys.argv[1])
    seeds.mkdir(parents=True, exist_ok=True)
    # In memory where there is such a place: an input must not cost an fsync of a disk.
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=place))
    reader = Reader(folder)
    for seed in reader.seeds():
        (seeds / f"{zlib.crc32(seed):08x}").write_bytes(seed)
    atheris.Setup(sys.argv, reader.take)
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
