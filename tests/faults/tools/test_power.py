from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.faults.figures import Faults
from tests.faults.tools import kill, power
from tests.faults.tools.power import Loss
from tests.faults.tools.volatile import Names

pytestmark = pytest.mark.skipif(kill.available() is not None, reason=str(kill.available()))

COUNT_UP = """
import os, sys
for n in range(6):
    with open(sys.argv[1] + "/new", "wb") as file:
        file.write(b"%06d" % n * 300)
        if {sync}:
            file.flush()
            os.fsync(file.fileno())
    os.rename(sys.argv[1] + "/new", sys.argv[1] + "/n")
    if {sync_folder}:
        folder = os.open(sys.argv[1], os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    print(n, flush=True)
"""

ROWS = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1] + "/rows.db", isolation_level=None)
db.execute("PRAGMA journal_mode={journal}")
db.execute("PRAGMA synchronous={synchronous}")
db.execute("CREATE TABLE row (number INTEGER PRIMARY KEY, body TEXT)")
for n in range(20):
    db.execute("INSERT INTO row VALUES (?, ?)", (n, "x" * 800))
    print(n, flush=True)
"""


def harm_to_count(loss: Loss) -> str | None:
    """Return what the loss did to the number that was acknowledged last."""
    loss.restore()
    file = loss.folder / "n"
    said = int(loss.acknowledged[-1]) if loss.acknowledged else -1
    if not file.exists():
        return None if said < 0 else f"{loss.at}: nothing left of {said}"
    body = file.read_bytes()
    if body[:6].isdigit() and body == body[:6] * 300:
        return None if int(body[:6]) >= said else f"{loss.at}: back at {int(body[:6])} after {said}"
    return f"{loss.at}: torn"


def harms_of_counting(folder: Path, *, sync: bool, sync_folder: bool, names: Names = "strict") -> list[str]:
    code = COUNT_UP.format(sync=sync, sync_folder=sync_folder)
    recording = power.record([sys.executable, "-c", code, str(folder)], folder)
    assert recording.run.acknowledged == [str(n) for n in range(6)], recording.run.stderr
    return [harm for loss in recording.losses(60, seed=1, names=names) if (harm := harm_to_count(loss))]


def test_what_is_written_synced_renamed_and_synced_again_survives(tmp_path: Path):
    assert harms_of_counting(tmp_path, sync=True, sync_folder=True) == []


def test_without_the_sync_of_the_file_it_is_torn(tmp_path: Path):
    assert any("torn" in harm for harm in harms_of_counting(tmp_path, sync=False, sync_folder=True))


def test_without_the_sync_of_the_folder_the_rename_is_undone(tmp_path: Path):
    harms = harms_of_counting(tmp_path, sync=True, sync_folder=False)

    assert any("back at" in harm for harm in harms)
    assert not any("torn" in harm for harm in harms)


def rows_lost(loss: Loss) -> str | None:
    loss.restore()
    try:
        with closing(sqlite3.connect(loss.folder / "rows.db")) as db:
            if db.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                return f"{loss.at}: corrupt"
            there = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            rows = {str(n) for (n,) in db.execute("SELECT number FROM row")} if there else set()
    except sqlite3.DatabaseError as exc:
        return f"{loss.at}: {exc}"
    lost = set(loss.acknowledged) - rows
    return f"{loss.at}: {len(lost)} rows" if lost else None


def harms_to_rows(folder: Path, journal: str, synchronous: str, count: int) -> list[str | None]:
    code = ROWS.format(journal=journal, synchronous=synchronous)
    recording = power.record([sys.executable, "-c", code, str(folder)], folder)
    assert len(recording.run.acknowledged) == 20, recording.run.stderr
    return [rows_lost(loss) for loss in recording.losses(count)]


@pytest.mark.parametrize(("journal", "synchronous"), [("WAL", "FULL"), ("DELETE", "EXTRA")])
def test_the_systems_own_sqlite_keeps_what_it_acknowledged(
    tmp_path: Path, journal: str, synchronous: str, faults: Faults
):
    figure = faults.figure(
        f"python-sqlite3-power-{journal}-{synchronous}".lower(),
        "house",
        f"power loss, Python's sqlite3, {journal} {synchronous}",
    )

    for harm in harms_to_rows(tmp_path, journal, synchronous, faults.count(300)):
        figure.survives(harm)

    assert figure.lost == 0


@pytest.mark.parametrize(
    ("journal", "synchronous"), [("WAL", "NORMAL"), ("WAL", "OFF"), ("DELETE", "FULL"), ("DELETE", "OFF")]
)
def test_the_recorder_sees_what_a_weaker_setting_loses(tmp_path: Path, journal: str, synchronous: str):
    assert any(harms_to_rows(tmp_path, journal, synchronous, 40))


def test_a_folder_that_was_not_synced_is_lost_with_what_it_holds(tmp_path: Path):
    code = (
        "import os, sys; d = sys.argv[1] + '/made'; os.mkdir(d); f = open(d + '/file', 'wb'); f.write(b'x'); f.flush();"
        "os.fsync(f.fileno()); n = os.open(d, os.O_RDONLY); os.fsync(n); print('done', flush=True)"
    )
    recording = power.record([sys.executable, "-c", code, str(tmp_path)], tmp_path)

    last = [loss for loss in recording.losses(60) if loss.acknowledged]

    assert {str(tmp_path / "made" / "file") in loss.files for loss in last} == {True, False}
    assert all(loss.files for loss in last)


def test_a_shared_map_is_refused_rather_than_missed(tmp_path: Path):
    code = (
        "import mmap, sys; f = open(sys.argv[1] + '/m', 'w+b'); f.truncate(4096);"
        "m = mmap.mmap(f.fileno(), 4096); m[:4] = b'lost'; m.flush()"
    )

    with pytest.raises(RuntimeError, match="shared map"):
        power.record([sys.executable, "-c", code, str(tmp_path)], tmp_path)


def test_what_child_processes_and_threads_write_is_recorded_too(tmp_path: Path):
    code = (
        "import subprocess, sys, threading\n"
        "def write(name): open(sys.argv[1] + '/' + name, 'wb', 0).write(name.encode() * 9)\n"
        "t = threading.Thread(target=write, args=('thread',)); t.start(); t.join()\n"
        'script = \'printf child > "$0/child"; sync "$0/child" "$0"\'\n'
        "subprocess.run(['sh', '-c', script, sys.argv[1]], check=True)\n"
        "print('done', flush=True)\n"
    )
    recording = power.record([sys.executable, "-c", code, str(tmp_path)], tmp_path)

    last = [loss for loss in recording.losses(40) if loss.acknowledged]

    assert recording.run.acknowledged == ["done"], recording.run.stderr
    assert all(loss.files[str(tmp_path / "child")] == b"child" for loss in last)
    assert all(str(tmp_path / "thread") in loss.files for loss in last)
    assert {loss.files[str(tmp_path / "thread")] for loss in last} <= {b"", b"thread" * 9}
