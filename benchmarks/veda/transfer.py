"""Pushing to a real S3 server (SeaweedFS on loopback, which shares the processors), and installing.

Wall time. A push goes to an empty place each round; the edit changes one byte of one of the 5,000
files, another in each round, drawn by chance. Bytes are those that the server received as objects:
chunks, manifest, signature and claim.

Beside the install stands what the disk takes for the same 5,000 files, written by plain calls and
synced, in the same round. A file system without a journal may need ten times as long for new files
within minutes after others were removed; ``TMPDIR`` names another disk.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.veda._tree import figure, workspace

_ROUNDS = 5


def figures() -> list[dict[str, Any]]:
    """Measure and return one dict per figure, those of S3 only where the server and its driver are installed."""
    with workspace() as (place, folder):
        return [*_store(place, folder), *_install(place)]


def _store(place: Path, folder: Path) -> list[dict[str, Any]]:
    try:
        import minio  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
        from tests.services.running import Running

        running = Running()
        server = running.start("seaweedfs")
    except (ImportError, RuntimeError):
        return []
    try:
        return _pushes(place, folder, server.url("VEDA_TEST_MINIO_URL"))
    finally:
        running.close()


def _pushes(place: Path, folder: Path, base: str) -> list[dict[str, Any]]:
    import veda

    veda.new_key()
    head, _, query = base.partition("?")
    whole, edit, shares = [], [], []
    edits = random.Random(3).sample(sorted((folder / "src" / "big" / "data").rglob("*.bin")), _ROUNDS + 1)
    toml = (folder / "veda.toml").read_text()
    for n in range(_ROUNDS + 1):
        url = f"{head}/bench-{n}?{query}"
        (folder / "veda.toml").write_text(toml)
        began = time.perf_counter()
        package = veda.pack(folder, place / f"round-{n}.vedapkg")
        veda.push(package, url)
        whole.append(time.perf_counter() - began)
        sizes = {e.key: e.size for e in _objects(url)}
        # A release never changes, so an edit is another version: veda.toml changes with it.
        edits[n].write_bytes(bytes([n]) + edits[n].read_bytes()[1:])
        (folder / "veda.toml").write_text(toml.replace('"1.0"', f'"1.1.{n}"'))
        package = veda.pack(folder, place / "edited.vedapkg")
        began = time.perf_counter()
        veda.push(package, url)
        edit.append(time.perf_counter() - began)
        sent = sum(e.size for e in _objects(url) if e.key not in sizes)
        shares.append(100 * sent / sum(sizes.values()))
    whole, edit, shares = whole[1:], edit[1:], shares[1:]
    return [
        figure("push", "pack and push 200 MB to S3", statistics.median(whole), "s", 1.5, rounds=_ROUNDS),
        figure("push-edit", "push after an edit of one file", statistics.median(edit), "s", 0.4, rounds=_ROUNDS),
        figure("push-edit-bytes", "the same, bytes sent of all", statistics.median(shares), "%", 1.0, rounds=_ROUNDS),
    ]


def _objects(url: str) -> list[Any]:
    import veda

    with veda.open_store(url) as store:
        return [e for prefix in ("blobs/", "signatures/", "versions/") for e in store.list(prefix)]


def _install(place: Path) -> list[dict[str, Any]]:
    import veda

    package = veda.pack(place / "big", place / "big.vedapkg")
    store, ref = f"file://{place}/srv", f"{package.name}@{package.version}"
    pushed = veda.push(package, store)
    public = next(k.public for k in veda.trusted() if k.public.fingerprint == pushed.signed_by)
    cold, warm, plain = [], [], []
    bodies = [path.read_bytes() for path in sorted((place / "big" / "src" / "big" / "data").rglob("*.bin"))]
    for n in range(_ROUNDS):
        home = place / f"reader-{n}"
        veda.trust("author", str(public), home=home)
        plain.append(_written(bodies, place / f"plain-{n}"))
        began = time.perf_counter()
        veda.pull(ref, store, home=home)
        cold.append(time.perf_counter() - began)
        warm.append(min(_again(ref, home) for _ in range(5)))
    return [
        figure("install", "verified install of 200 MB, cold", statistics.median(cold), "s", 0.6, rounds=_ROUNDS,
               peer="plain writes of the same files and one sync, nothing verified",
               peer_value=statistics.median(plain)),
        figure("install-again", "the same when it is there already", statistics.median(warm) * 1e3, "ms", 20,
               rounds=_ROUNDS),
    ]  # fmt: skip


def _written(bodies: list[bytes], folder: Path) -> float:
    began = time.perf_counter()
    folder.mkdir()
    for n, body in enumerate(bodies):
        descriptor = os.open(folder / f"{n}", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(descriptor, body)
        os.close(descriptor)
    os.sync()
    return time.perf_counter() - began


def _again(ref: str, home: Path) -> float:
    from veda.fetch import ensure_installed
    from veda.names import Ref
    from veda.registry import open_registry
    from veda.resolve import find_release

    began = time.perf_counter()
    with open_registry(home=home) as registry:
        release = find_release(Ref.parse(ref), registry)
    ensure_installed(release, home=home)
    return time.perf_counter() - began
