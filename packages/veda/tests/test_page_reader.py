"""The page ``docs/reference/vedapkg.md`` says enough: a reader written from it alone reads packages."""

import hashlib
import importlib.util
import json
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

import veda

READER = Path(__file__).with_name("page_reader.py")


@pytest.fixture
def reader():
    spec = importlib.util.spec_from_file_location("page_reader", READER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_reader_written_from_the_page_alone_reads_every_byte(workspace, reader):
    noise = random.Random(5)
    folder = workspace(**{
        "data/系列.bin": noise.randbytes(3 << 20), "empty": b"", "data/text.csv": "1,2\n" * 900_000,
        "run.sh": "#!/bin/sh\n",
    })  # fmt: skip
    (folder / "run.sh").chmod(0o755)
    package = veda.pack(folder)

    manifest, files = reader.read(package.path)

    assert manifest["digest"] == package.digest
    assert files["run.sh"] == ("0755", b"#!/bin/sh\n")
    assert {path: body for path, (_, body) in files.items()} == {
        f.path: (folder / f.path).read_bytes() for f in package.manifest.files
    }


def test_it_finds_what_a_package_refers_to_in_the_store(workspace, reader, tmp_path):
    root = workspace(**{"data/big.csv": "1,2\n"})
    veda.add(root / "data/big.csv", reference=True)
    package = veda.pack(root)
    veda.push(package, f"file:{tmp_path}/srv")

    manifest, files = reader.read(package.path, f"{tmp_path}/srv/blobs")

    assert manifest["format"] == "1.1"
    assert files["data/big.csv"] == ("0644", b"1,2\n")


def test_it_runs_by_itself_has_60_lines_of_code_and_knows_nothing_of_veda(workspace):
    package = veda.pack(workspace())
    script = (
        f"import sys; sys.modules['veda'] = None; sys.argv[0] = {str(READER)!r}; exec(open({str(READER)!r}).read())"
    )

    done = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "-c", script, package.path], capture_output=True, text=True
    )

    assert "src/small/__init__.py" in json.loads(done.stdout), done.stderr
    code = [line for line in READER.read_text().splitlines() if line.strip()]
    assert len(code) <= 60


def test_it_refuses_what_the_page_refuses(workspace, reader, tmp_path):
    package = veda.pack(workspace())
    whole = package.path.read_bytes()

    directory = whole.index(b"PK\1\2")
    for position in [*random.Random(6).sample(range(directory), 200), *range(directory, len(whole))]:
        damaged = tmp_path / "damaged.vedapkg"
        damaged.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises((AssertionError, ValueError, LookupError, struct.error, zstandard.ZstdError)):
            reader.read(damaged)


def test_the_page_says_enough_to_find_a_release_in_a_store(workspace, reader, tmp_path):
    package = veda.pack(workspace(), tmp_path / "small.vedapkg")
    veda.push(package, f"file:{tmp_path}/store")
    blobs = tmp_path / "store" / "blobs" / "sha256"

    claim = json.loads((tmp_path / "store" / "versions" / "small" / "1.0").read_bytes())
    stored = (blobs / claim["manifest"][:2] / claim["manifest"]).read_bytes()
    manifest = zstandard.ZstdDecompressor().decompress(stored)

    assert hashlib.sha256(stored).hexdigest() == claim["manifest"]
    assert json.loads(manifest) == reader.read(package.path)[0]
    assert claim["digest"] == package.digest
    for chunk in json.loads(manifest)["chunks"]:
        assert (blobs / chunk["sha256"][:2] / chunk["sha256"]).stat().st_size == chunk["size"]


@pytest.mark.parametrize(
    "frame",
    [b"", b"{}\n", zstandard.compress(b"{}\n") + b"x", zstandard.compress(bytes((64 << 20) + 1))],
    ids=["empty", "no frame", "more than a frame", "more than 64 MiB"],
)
def test_a_store_that_gives_something_else_for_a_manifest_is_refused(workspace, tmp_path, frame):
    veda.push(veda.pack(workspace()), f"file:{tmp_path}/store")
    claim = tmp_path / "store" / "versions" / "small" / "1.0"
    digest = hashlib.sha256(frame).hexdigest()
    (tmp_path / "store" / "blobs" / "sha256" / digest[:2]).mkdir(exist_ok=True)
    (tmp_path / "store" / "blobs" / "sha256" / digest[:2] / digest).write_bytes(frame)
    claim.write_text(json.dumps({**json.loads(claim.read_bytes()), "manifest": digest}))

    with pytest.raises(veda.ArchiveRefused, match=r"the manifest of small@1\.0"):
        veda.pull("small", f"file:{tmp_path}/store", home=tmp_path / "other")

    assert not (tmp_path / "other" / "trees").exists()
