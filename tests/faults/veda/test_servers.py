"""Store and index are killed while a release is pushed: when they are back, it is registered once and whole."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.figures import Faults
from tests.services.places import Missing
from tests.services.process import Server
from tests.services.running import create

KILLS = 20

PUSH = """
import sys, veda
print("push", flush=True)
try:
    pushed = veda.push(veda.open_package(sys.argv[1]), sys.argv[2])
    print(pushed.digest, pushed.announced, flush=True)
except veda.BackendUnavailable:
    sys.exit(6)
"""


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, Server]]:
    """Give a real S3 server and a real ClickHouse that nobody else uses."""
    pytest.importorskip("clickhouse_driver")
    pytest.importorskip("minio")
    try:
        made = {word: create(word, tmp_path / word) for word in ("seaweedfs", "clickhouse")}
    except Missing as exc:
        pytest.skip(str(exc))
    try:
        for server in made.values():
            server.start()
        yield made
    finally:
        for server in made.values():
            server.stop()
            server.release_ports()


def test_servers_that_are_killed_during_a_push_have_it_once_and_whole(
    servers: dict[str, Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    import veda
    from veda.installed import verify_tree
    from veda.remote import announce_waiting, open_index

    figure = faults.figure("servers-kill", "veda", "kill -9 of S3 and ClickHouse during a push")
    store = f"{servers['seaweedfs'].url('VEDA_TEST_MINIO_URL')}&timeout=5"
    monkeypatch.setenv("VEDA_INDEX", servers["clickhouse"].url("VEDA_TEST_CLICKHOUSE_URL"))
    monkeypatch.setenv("VEDA_HOME", str(tmp_path / "home"))
    open_index().close()
    chance, released = random.Random(5), {}

    for n in range(faults.count(KILLS)):
        version = f"1.{n}"
        package = _package(tmp_path / "momo", version, chance)
        argv = [sys.executable, "-c", PUSH, str(package.path), store]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as push:
            assert push.stdout is not None
            assert push.stdout.readline() == "push\n"
            time.sleep(chance.uniform(0, 0.6))  # any moment of it, not for anything to happen
            for server in servers.values():
                server.kill()
            said = push.stdout.read().split()
            code = push.wait()
        for server in servers.values():
            server.start()
        harm = None if code in (0, 6) else f"{version}: exit code {code}"
        if said:  # acknowledged: it must be there without another push
            harm = harm or _lost(version, store, said[0], tmp_path / f"early-{n}")
        digest = veda.push(package, store).digest
        released[version] = digest
        told = announce_waiting(store)
        with open_index() as index:
            there = [(r.version, r.digest) for r in index.releases()]
            events = [e.version for e in index.events(kind="published")]
        if (told, sorted(there), sorted(events)) != (True, sorted(released.items()), sorted(released)):
            harm = harm or f"{version}: told {told}, the index has {there[-3:]} and {events[-3:]}"
        harm = harm or _lost(version, store, digest, tmp_path / f"late-{n}")
        figure.survives(harm)

    verify_tree(digest, home=tmp_path / f"late-{n}")
    assert veda.verify_store(store) == []
    assert figure.lost == 0, figure.harms


def _package(folder: Path, version: str, chance: random.Random):
    import veda

    code = folder / "src" / "momo"
    code.mkdir(parents=True, exist_ok=True)
    (code / "__init__.py").write_text(f"class Momo:\n    def signal(self):\n        return {version!r}\n")
    for n in range(8):
        (code / f"noise-{n}.bin").write_bytes(chance.randbytes(2 << 20))
    (folder / "veda.toml").write_text(
        f'[package]\nname = "momo"\nversion = "{version}"\nlicense = "MIT"\n\n[entry-points]\ndefault = "momo:Momo"\n'
    )
    return veda.pack(folder, folder.parent / f"{version}.vedapkg")


def _lost(version: str, store: str, digest: str, home: Path) -> str | None:
    """Return what is wrong with what another machine pulls, None if nothing."""
    import veda

    for key in veda.trusted():
        veda.trust("author", str(key.public), home=home)
    try:
        found = veda.pull(f"momo@{version}", store, home=home).digest
    except veda.VedaError as exc:
        return f"{version}: {exc}"
    return None if found == digest else f"{version}: {found} instead of {digest}"
