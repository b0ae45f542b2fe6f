"""Store and index are cut, slow, silent, gone or repeat themselves: one registration, and no pull is corrupt."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from tests.faults.figures import Faults
from tests.faults.tools.proxy import FaultProxy, Line

CUTS = 200


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FaultProxy, str]]:
    """Give a proxy before the real ClickHouse, and the address of empty tables behind it."""
    pytest.importorskip("clickhouse_driver")
    address = urlsplit(os.environ["VEDA_TEST_CLICKHOUSE_URL"])
    with FaultProxy(address.hostname or "", address.port or 0, seed=11) as proxy:
        yield proxy, f"clickhouse://default@127.0.0.1:{proxy.port}/default?tables=f{uuid4().hex}&timeout=1"


@pytest.fixture
def bucket() -> Iterator[tuple[FaultProxy, str]]:
    """Give a proxy before the real S3 server, and the address of an empty place behind it."""
    pytest.importorskip("minio")
    address = urlsplit(os.environ["VEDA_TEST_MINIO_URL"])
    with FaultProxy(address.hostname or "", address.port or 0, seed=12) as proxy:
        url = f"minio://{address.username}:{address.password}@127.0.0.1:{proxy.port}"
        yield proxy, f"{url}{address.path}/{uuid4().hex}?secure=false&timeout=1"


def fault(proxy: FaultProxy, number: int) -> None:
    """Break the line in one of nine ways, each in its turn; where it breaks is drawn by the proxy."""
    kinds: list[dict[str, Line] | None] = [
        {"to_client": Line(reset=(0, 4000))},
        {"to_client": Line(cut=(0, 4000))},
        {"to_server": Line(reset=(0, 4000))},
        {"to_server": Line(cut=(0, 4000))},
        {"to_client": Line(twice=True)},
        {"to_client": Line(rate=20_000, latency=0.01)},
        {"to_client": Line(blackhole=(0, 4000))},
        None,  # the server is gone
        {},
    ]
    kind = kinds[number % len(kinds)]
    if kind is None:
        proxy.refuse()
    else:
        proxy.fault(**kind)


@pytest.mark.clickhouse
def test_an_index_that_is_cut_registers_each_release_once(
    through: tuple[FaultProxy, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: Faults
):
    import veda
    from veda.outbox import Outbox
    from veda.remote import announce_waiting

    proxy, url = through
    monkeypatch.setenv("VEDA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VEDA_INDEX", url)
    figure = faults.figure(
        "index-cut", "veda", "ClickHouse cut, slow, silent, gone or answering twice at an announcement"
    )
    released = []
    veda.open_registry(url).close()

    for n in range(faults.count(CUTS)):
        release = veda.Release("momo", f"1.{n}", "sha256:" + f"{n:064x}", {"summary": "x" * 200})
        with Outbox() as outbox:
            outbox.due(release, "")
        fault(proxy, n)
        announce_waiting()
        proxy.heal()
        released.append(release)
        announce_waiting()
        with veda.open_registry(url) as index, Outbox() as outbox:
            there = index.releases()
            events = [e.version for e in index.events(kind="published")]
            right = there == released and events == [r.version for r in released] and not outbox.waiting()
        figure.survives(None if right else f"round {n}: {len(there)} of {len(released)} releases, {len(events)} events")

    assert figure.lost == 0, figure.harms


@pytest.mark.clickhouse
def test_an_index_that_is_silent_once_all_is_in_its_place_is_rebuilt(
    through: tuple[FaultProxy, str], monkeypatch: pytest.MonkeyPatch
):
    import veda
    from veda.registry.clickhouse import ClickhouseRegistry

    proxy, url = through
    release = veda.Release("momo", "1.0", "sha256:" + "a" * 64, {"summary": "x"})
    with veda.open_registry(url) as index:
        assert isinstance(index, ClickhouseRegistry)
        ask = index._ask

        def gone_after_the_renaming(statement: str, **values: object) -> list[tuple[object, ...]]:
            rows = ask(statement, **values)
            if statement.startswith("RENAME"):
                proxy.refuse()
                proxy.sever()
            return rows

        monkeypatch.setattr(index, "_ask", gone_after_the_renaming)
        index.replace([release], [])
        proxy.heal()
        monkeypatch.undo()
        assert index.releases() == [release]
        index.replace([], [])

    with veda.open_registry(url) as index:
        assert index.releases() == []


@pytest.mark.minio
def test_an_answer_that_is_cut_at_any_byte_is_no_damaged_entry(bucket: tuple[FaultProxy, str], faults: Faults):
    import veda

    proxy, url = bucket
    figure = faults.figure("store-cut-byte", "veda", "S3 answer to a read of a version's entry cut at one byte")
    entry = b'{"digest": "sha256:' + b"a" * 64 + b'"}'
    with veda.open_store(url) as store:
        store.claim("momo", "1.0", entry)

    for n in range(0, 800, max(1, 800 // faults.count(800))):
        proxy.sever()
        proxy.fault(to_client=Line(cut=n))
        try:
            with veda.open_store(url) as store:
                harm = None if store.get_claim("momo", "1.0") == entry else "another entry"
        except (veda.BackendUnavailable, veda.NotFound):
            harm = None
        except veda.VedaError as exc:
            harm = f"{type(exc).__name__}: {exc}"
        figure.survives(harm and f"cut after {n} bytes: {harm}")
    proxy.heal()

    assert figure.lost == 0, figure.harms


@pytest.mark.minio
def test_a_store_that_is_cut_publishes_once_and_gives_nothing_torn(
    bucket: tuple[FaultProxy, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: Faults
):
    import veda
    from veda.installed import verify_tree

    proxy, url = bucket
    monkeypatch.setenv("VEDA_HOME", str(tmp_path / "home"))
    figure = faults.figure("store-cut", "veda", "S3 cut, slow, silent, gone or answering twice: push, pull")
    chance = random.Random(4)

    for n in range(faults.count(CUTS)):
        code = tmp_path / "momo" / "src" / "momo"
        code.mkdir(parents=True, exist_ok=True)
        (code / "__init__.py").write_text(f"class Momo:\n    def signal(self):\n        return {n}\n")
        (code / "noise.bin").write_bytes(chance.randbytes(300_000))
        (tmp_path / "momo" / "veda.toml").write_text(
            f'[package]\nname = "momo"\nversion = "1.{n}"\nlicense = "MIT"\n\n[entry-points]\ndefault = "momo:Momo"\n'
        )
        package = veda.pack(tmp_path / "momo", tmp_path / "momo.vedapkg")
        harm = None
        for work in (lambda p=package: veda.push(p, url), lambda: veda.pull(f"momo@1.{n}", url)):  # noqa: B023
            proxy.seen.twice = 0
            fault(proxy, n)
            proxy.sever()
            try:
                work()
            except (veda.BackendUnavailable, veda.NotFound):
                pass
            except (veda.ArchiveRefused, veda.Damaged, veda.NotAllowed) as exc:
                if not proxy.seen.twice:  # an answer to another question may hold anything, and is refused
                    harm = f"round {n}: {type(exc).__name__}: {exc}"
            proxy.heal()
            proxy.sever()
            try:
                digest = work().digest
            except veda.VedaError as exc:
                harm = f"round {n}, when all was well again: {exc}"
                break
            if digest != package.digest:
                harm = f"round {n}: other content"
        if harm is None:
            verify_tree(package.digest)
        figure.survives(harm)

    with veda.open_store(url) as store:
        assert len(store.versions("momo")) == faults.count(CUTS)
    assert figure.lost == 0, figure.harms
