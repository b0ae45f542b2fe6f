"""Eight writers want the same versions and are killed at random: each version has one owner, in the index too."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest
from tests.faults.figures import Faults

CLAIMS = 10_000
WRITERS = 8

#: Claims versions that nobody has, with content of its own; says each that it won.
WRITE = """
import os, sys
import veda
from veda.claims import Claim, put_manifest, release_of
from veda.manifest import Manifest
from veda.outbox import Outbox
from veda.remote import announce_waiting
writer, file, url, done, last = sys.argv[1:]
package, last = veda.open_package(file), int(last)
with veda.open_store(url) as store, Outbox() as outbox:
    for chunk in package.manifest.chunks:
        store.put_blob(package.stored(chunk))
    for n in range(int(open(done).read() or 0) if os.path.exists(done) else 0, last):
        open(done + ".new", "w").write(str(n))
        os.replace(done + ".new", done)  # a file that a kill has torn would send the next run back to the start
        try:
            store.get_claim("momo", f"1.{n}")
            continue
        except veda.NotFound:
            pass
        manifest = Manifest({**package.manifest.facts, "version": f"1.{n}"})
        blob = put_manifest(store, manifest)
        row = outbox.intend(release_of(manifest), url)
        standing = Claim.parse(store.claim("momo", f"1.{n}", Claim(manifest.digest, blob, writer).to_bytes()))
        if standing.digest == manifest.digest:
            outbox.due(release_of(manifest, standing.published_at), url)
            print(n, flush=True)
        else:
            outbox.drop(row)
        if n % 50 == 0:
            announce_waiting(url)
"""


def package(folder: Path, writer: str) -> Path:
    import veda

    code = folder / writer / "src" / "momo"
    code.mkdir(parents=True)
    (code / "__init__.py").write_text(f"class Momo:\n    def writer(self):\n        return {writer!r}\n")
    (folder / writer / "veda.toml").write_text(
        '[package]\nname = "momo"\nversion = "1.0"\nlicense = "MIT"\n\n[entry-points]\ndefault = "momo:Momo"\n'
    )
    return veda.pack(folder / writer, folder / f"{writer}.vedapkg").path


@pytest.mark.clickhouse
def test_of_eight_writers_that_are_killed_at_random_one_owns_each_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: Faults
):
    pytest.importorskip("clickhouse_driver")
    import veda
    from veda.claims import Claim
    from veda.remote import announce_waiting, open_index

    figure = faults.figure("claims-contested", "veda", "version contested by 8 writers under random kill -9")
    last, store = faults.count(CLAIMS), f"file://{tmp_path}/store"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VEDA_INDEX", f"{os.environ['VEDA_TEST_CLICKHOUSE_URL']}?tables=c{uuid4().hex}")
    open_index().close()
    writers = [f"w{n}" for n in range(WRITERS)]
    packages = {w: package(tmp_path / "work", w) for w in writers}
    chance, said = random.Random(7), {w: tmp_path / f"{w}.said" for w in writers}
    running: dict[str, subprocess.Popen[bytes]] = {}
    began: dict[str, int] = {}  # how much a writer had said when it was started
    kills, finished = 0, set[str]()

    def start(writer: str) -> None:
        argv = [writer, packages[writer], store, tmp_path / f"{writer}.at", last]
        env = {**os.environ, "VEDA_HOME": str(tmp_path / writer)}
        with said[writer].open("ab") as out:
            began[writer] = out.tell()
            running[writer] = subprocess.Popen([sys.executable, "-c", WRITE, *map(str, argv)], stdout=out, env=env)

    for writer in writers:
        start(writer)
    while len(finished) < WRITERS:
        time.sleep(chance.uniform(0.05, 0.3))  # between two kills, not for anything to happen
        for writer in set(writers) - finished:
            if (code := running[writer].poll()) is not None:
                assert code in (0, -9), code
                if code == 0:
                    finished.add(writer)
                else:
                    start(writer)
        # Who has won nothing since its start is let alone: a busy machine would see starts and kills, and no claims.
        busy = [w for w in sorted(set(writers) - finished) if said[w].stat().st_size > began[w]]
        if busy and chance.random() < 0.3:
            running[chance.choice(busy)].kill()
            kills += 1

    for writer in writers:  # what a killed writer left in its outbox, the next command tells
        monkeypatch.setenv("VEDA_HOME", str(tmp_path / writer))
        assert announce_waiting(store) is True
    wins = {w: [int(line) for line in said[w].read_text().split()] for w in writers}
    twice = {n for n, count in Counter(n for ns in wins.values() for n in set(ns)).items() if count > 1}
    digests = {w: veda.open_package(packages[w]).digest for w in writers}
    with veda.open_store(store) as opened, open_index() as index:
        live = {(r.version, r.digest, r.published_at) for r in index.releases()}
        by_version = Counter(version for version, _, _ in live)
        for n in range(last):
            claim = Claim.parse(opened.get_claim("momo", f"1.{n}"))
            said_by = [w for w in writers if n in wins[w]]
            told = (f"1.{n}", claim.digest, claim.published_at) in live and by_version[f"1.{n}"] == 1
            whole = opened.has_blob(claim.manifest)
            owner = not said_by or [digests[w] for w in said_by] == [claim.digest]
            right = told and whole and owner and n not in twice
            figure.survives(None if right else f"1.{n}: {said_by}, told {told}, whole {whole}")
        chunks = {c.sha256 for w in writers for c in veda.open_package(packages[w]).manifest.chunks}
        assert all(map(opened.has_blob, chunks))
    assert len(live) == last
    assert kills
    veda.reindex(store)
    with open_index() as index:
        assert {(r.version, r.digest, r.published_at) for r in index.releases()} == live
    assert figure.lost == 0, figure.harms
