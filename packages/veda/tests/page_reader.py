"""A reader of packages written from ``docs/reference/vedapkg.md`` alone: nothing of veda is imported."""

import hashlib
import json
import re
import struct
import sys
import zlib
from pathlib import Path

import zstandard


def members(data):
    mark, count, again, length, start, comment = struct.unpack("<8sHHIIH", data[-22:])
    assert mark == b"PK\5\6\0\0\0\0"
    assert count == again
    assert (comment, start + length) == (0, len(data) - 22)
    found, at, entry = [], 0, start
    for _ in range(count):
        fixed, crc, size, size2, name_length, extra = struct.unpack("<14s3I2H", data[at : at + 30])
        assert fixed == bytes.fromhex("504b0304 1400 0008 0000 0000 2100")
        assert (size, extra) == (size2, 0)
        name = data[at + 30 : at + 30 + name_length]
        body = data[at + 30 + name_length : at + 30 + name_length + size]
        assert zlib.crc32(body) == crc
        central = struct.pack("<4sH", b"PK\1\2", 0x314) + fixed[4:] + data[at + 14 : at + 28]
        central += struct.pack("<4H2I", 0, 0, 0, 0, 0x81A40000, at) + name
        assert data[entry : entry + len(central)] == central
        found.append((name.decode(), body))
        at, entry = at + 30 + name_length + size, entry + len(central)
    assert (at, entry) == (start, start + length)
    return found


def read(path, blobs="blobs"):
    found = members(Path(path).read_bytes())
    text = found[0][1]
    manifest = json.loads(text)
    canonical = json.dumps(manifest, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")) + "\n"
    assert canonical.encode() == text
    assert manifest["format"].startswith("1.")
    stem = f"{manifest['name'].replace('-', '_')}-{manifest['version']}"
    packed = [c for c in manifest["chunks"] if not c.get("external")]
    chunks = [f"chunks/{c['sha256']}.{'zst' if c['encoding'] == 'zstd' else 'raw'}" for c in packed]
    small = [f"{stem}.dist-info/{n}" for n in ("MANIFEST.json", "METADATA", "VEDA", "RECORD")]
    assert [name for name, _ in found] == small + chunks
    unpacked, bodies = [], dict(found)
    for chunk in manifest["chunks"]:
        name = f"sha256/{chunk['sha256'][:2]}/{chunk['sha256']}"
        body = Path(blobs, name).read_bytes() if chunk.get("external") else bodies[chunks.pop(0)]
        assert hashlib.sha256(body).hexdigest() == chunk["sha256"]
        raw = zstandard.ZstdDecompressor().decompress(body) if chunk["encoding"] == "zstd" else body
        assert len(raw) == chunk["raw_size"] <= 1 << 30
        unpacked.append(raw)
    tree, files = hashlib.sha256(b"veda-tree-1\n"), {}
    for f in sorted(manifest["files"], key=lambda f: f["path"].encode()):
        assert not re.search(r"(^|/)\.{0,2}(/|$)|\\", f["path"])
        body = unpacked[f["chunk"]][f["offset"] : f["offset"] + f["size"]]
        assert hashlib.sha256(body).hexdigest() == f["sha256"]
        tree.update(f"{f['mode']} {f['size']} {f['sha256']} {f['path']}\n".encode())
        files[f["path"]] = (f["mode"], body)
    assert manifest["digest"] == "sha256:" + tree.hexdigest()
    return manifest, files


if __name__ == "__main__":
    print(json.dumps({path: mode for path, (mode, _) in read(sys.argv[1])[1].items()}))
