from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pyarrow as pa
import pytest

from ptolemy.errors import BackendUnavailable, BadInput, DamagedSeries, SeriesLocked, UnknownBackend
from ptolemy.series import Series, open_series
from ptolemy.series.arrow import ArrowSeries
from ptolemy.testing import SeriesContract
from ptolemy.testing.series import A1, A2, A3, B1, KEY, bars, rows

#: Rows that no cube can hold.
TEXTS = pa.table({"ts_code": ["A.X", "A.X"], "trade_date": ["20240102", "20240103"], "name": ["one", "two"]})


@pytest.fixture(params=["arrow"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{request.param}://{tmp_path / 'series'}"


@pytest.fixture
def series(url: str) -> Iterator[Series]:
    with open_series(url) as store:
        yield store


@pytest.fixture
def reopened(url: str) -> Callable[[], Series]:
    return lambda: open_series(url)


class TestSeries(SeriesContract):
    """All of `SeriesContract`, once per backend."""


def test_the_default_store_is_the_folder_series_in_the_home_folder(home: Path):
    with open_series() as store:
        store.upsert("daily", bars(A1), key=KEY)

    assert (home / "series" / "daily").is_dir()


def test_the_setting_series_names_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PTOLEMY_SERIES", f"arrow://{tmp_path / 'elsewhere'}")

    with open_series() as store:
        store.upsert("daily", bars(A1), key=KEY)

    assert (tmp_path / "elsewhere" / "daily").is_dir()


def test_an_unknown_store_is_refused_with_the_known_ones():
    with pytest.raises(UnknownBackend, match="known: arrow"):
        open_series("arow://")


def test_opening_and_reading_an_empty_store_writes_nothing(tmp_path: Path):
    with open_series(f"arrow://{tmp_path / 'series'}") as store:
        assert store.datasets() == []

    assert not (tmp_path / "series").exists()


def test_a_second_writer_is_told_who_has_the_store_while_readers_go_on(url: str):
    with open_series(url) as writer, open_series(url) as second:
        writer.upsert("daily", bars(A1), key=KEY)

        with pytest.raises(SeriesLocked, match=f"written by process {os.getpid()}") as caught:
            second.upsert("daily", bars(A2), key=KEY)

        assert "--series" in (caught.value.hint or "")
        assert rows(second.read("daily")) == [A1]


def test_the_store_is_free_again_when_the_writer_closes(url: str):
    with open_series(url) as writer:
        writer.upsert("daily", bars(A1), key=KEY)
    with open_series(url) as second:
        second.upsert("daily", bars(A2), key=KEY)

        assert rows(second.read("daily")) == [A1, A2]


def test_the_same_writes_give_the_same_digests_in_every_store(tmp_path: Path):
    digests = []
    for name in ("one", "two"):
        with open_series(f"arrow://{tmp_path / name}") as store:
            store.upsert("daily", bars(B1, A1), key=KEY)
            store.upsert("daily", bars(A2), key=KEY)
            digests.append([version.digest for version in store.versions("daily")])

    assert digests[0] == digests[1]


def test_what_was_appended_is_never_changed(series: Series, tmp_path: Path):
    series.upsert("daily", bars(A1, A2), key=KEY)
    (log,) = (tmp_path / "series" / "daily").glob("log-*")
    before = log.read_bytes()

    series.upsert("daily", bars(("A.X", "20240102", 7.0)), key=KEY)

    assert log.read_bytes().startswith(before)


@pytest.mark.parametrize("name", ["../daily", "a/b", "", ".", "daily.old"])
def test_the_name_of_a_data_set_cannot_leave_the_store(series: Series, tmp_path: Path, name: str):
    with pytest.raises(BadInput, match="cannot be the name of a data set"):
        series.upsert(name, bars(A1), key=KEY)

    assert not list(tmp_path.rglob("*.arrow"))


@pytest.mark.parametrize("kind", ["cube", "rows"])
@pytest.mark.parametrize("harm", ["cut short", "emptied", "removed", "its head overwritten"])
def test_a_file_that_is_not_what_was_written_is_named(url: str, tmp_path: Path, harm: str, kind: str):
    with open_series(url) as store:
        store.upsert("daily", TEXTS if kind == "rows" else bars(A1, A2), key=KEY)
        store.compact("daily")
    (file,) = (tmp_path / "series").rglob(f"*.{kind}")
    if harm == "removed":
        file.unlink()
    elif harm == "its head overwritten":
        with file.open("r+b") as written:
            written.write(bytes(100))
    else:
        os.truncate(file, 100 if harm == "cut short" else 0)

    with open_series(url) as store, pytest.raises(DamagedSeries, match=file.name) as caught:
        store.read("daily")

    assert "backup" in (caught.value.hint or "")


@pytest.mark.parametrize("kind", ["cube", "rows", "history"])
def test_verify_finds_one_changed_byte(url: str, tmp_path: Path, kind: str):
    with open_series(url) as store:
        store.upsert("daily", TEXTS if kind == "rows" else bars(A1, A2), key=KEY)
        store.upsert("daily", TEXTS.slice(1, 1) if kind == "rows" else bars(("A.X", "20240103", 5.0)), key=KEY)
        store.compact("daily")
    (file,) = (tmp_path / "series").rglob(f"*{'' if kind == 'history' else '.'}{kind}")
    data = bytearray(file.read_bytes())
    data[-20] ^= 1
    file.write_bytes(data)

    with open_series(url) as store, pytest.raises(DamagedSeries, match=file.name):
        store.verify("daily")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', "\x00"])
def test_a_manifest_that_is_none_is_named(url: str, tmp_path: Path, text: str):
    with open_series(url) as store:
        store.upsert("daily", bars(A1), key=KEY)
    (tmp_path / "series" / "daily" / "manifest.json").write_text(text)

    with open_series(url) as store, pytest.raises(DamagedSeries, match=r"manifest\.json cannot be read"):
        store.read("daily")


@pytest.mark.parametrize(("number", "hint"), [(1, "collect again"), (3, "pip install --upgrade")])
def test_a_store_of_another_format_is_left_alone(url: str, tmp_path: Path, number: int, hint: str):
    with open_series(url) as store:
        store.upsert("daily", bars(A1), key=KEY)
        store.compact("daily")
    manifest = tmp_path / "series" / "daily" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 2', f'"format": {number}'))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    with (
        open_series(url) as store,
        pytest.raises(DamagedSeries, match=f"has format {number}, this ptolemy reads 2") as caught,
    ):
        store.upsert("daily", bars(A2), key=KEY)

    assert hint in (caught.value.hint or "")
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def log_of(tmp_path: Path) -> Path:
    (log,) = (tmp_path / "series" / "daily").glob("log-*")
    return log


@pytest.mark.parametrize("left", [1, 20, 300, 500])
def test_a_record_that_was_never_finished_is_passed_over_and_then_overwritten(url: str, tmp_path: Path, left: int):
    with open_series(url) as store:
        store.upsert("daily", bars(A1), key=KEY)
        whole = log_of(tmp_path).stat().st_size
        store.upsert("daily", bars(A2), key=KEY)
    os.truncate(log_of(tmp_path), whole + left)

    with open_series(url) as store:
        assert rows(store.read("daily")) == [A1]
        assert store.verify("daily") == 1
        assert cast(ArrowSeries, store).unfinished("daily") == left
        store.upsert("daily", bars(A3), key=KEY)
        assert rows(store.read("daily")) == [A1, A3]
        assert cast(ArrowSeries, store).unfinished("daily") == 0


@pytest.mark.parametrize("record", [0, 1, 2])
def test_a_record_with_a_wrong_checksum_is_said_and_what_lies_before_it_can_be_read(
    url: str, tmp_path: Path, record: int
):
    ends = [0]
    with open_series(url) as store:
        for row in (A1, A2, A3):
            store.upsert("daily", bars(row), key=KEY)
            ends.append(log_of(tmp_path).stat().st_size)
    data = bytearray(log_of(tmp_path).read_bytes())
    data[ends[record + 1] - 150] ^= 1
    log_of(tmp_path).write_bytes(data)

    with open_series(url) as store:
        for ask in (store.read, store.verify, store.stats):
            with pytest.raises(DamagedSeries, match=f"wrong checksum in the record at byte {ends[record]}") as caught:
                ask("daily")
        assert caught.value.hint is not None
        assert "ptolemy store verify daily --repair" in caught.value.hint
        with pytest.raises(DamagedSeries, match="wrong checksum"):
            store.upsert("daily", bars(B1), key=KEY)
        if record:
            assert rows(store.read("daily", as_of=record)) == [A1, A2, A3][:record]
        aside = cast(ArrowSeries, store).repair("daily")
        assert aside is not None
        assert aside.read_bytes() == data[ends[record] :]
        store.upsert("daily", bars(B1), key=KEY)
        assert rows(store.read("daily")) == [*[A1, A2, A3][:record], B1]
        assert cast(ArrowSeries, store).repair("daily") is None


# For each step a process of its own, which dies by SIGKILL instead of the n-th call that changes the disk.
DYING_WRITERS = """
import os, signal, sys, warnings
import pyarrow as pa
from ptolemy.series import open_series

warnings.simplefilter("ignore")
days = ["20240102", "20240103", "20240104"]
rows = pa.table({"ts_code": ["A.X"] * 3, "trade_date": days, "close": [9.0, 2.0, 3.0]})

def dying(name):
    real = getattr(os, name)
    def call(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(os, name, call)

for step in range(1, 100):
    if (child := os.fork()) == 0:
        left = step
        series = open_series(f"{sys.argv[1]}/{step}")
        for name in ("fsync", "fdatasync", "writev", "replace", "rename", "unlink"):
            dying(name)
        series.upsert("daily", rows, key=("ts_code", "trade_date"))
        series.compact("daily")
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(step, status, flush=True)
    if status == 0:
        break
"""


def test_a_writer_killed_at_any_step_leaves_the_old_version_or_the_new_one_whole(url: str):
    new = [("A.X", "20240102", 9.0), A2, A3, B1]
    for step in range(1, 100):
        with open_series(f"{url}/{step}") as store:
            store.upsert("daily", bars(A1, B1), key=KEY)

    ended = subprocess.run(
        [sys.executable, "-c", DYING_WRITERS, url], capture_output=True, text=True, check=True, timeout=120
    )

    steps = [tuple(map(int, line.split())) for line in ended.stdout.splitlines()]
    assert [status for _, status in steps] == [-signal.SIGKILL] * (len(steps) - 1) + [0], ended.stderr
    assert len(steps) > 10
    for step, status in steps:
        with open_series(f"{url}/{step}") as store:
            found = rows(store.read("daily"))
            assert found == new if status == 0 else found in ([A1, B1], new)
            assert store.verify("daily") == len(found)
            store.upsert("daily", bars(("A.X", "20240102", 9.0), A2, A3), key=KEY)  # the same command again completes
            assert rows(store.read("daily")) == new
            assert rows(store.read("daily", as_of=1)) == [A1, B1]
            assert store.versions("daily")[-1].id == 2


def test_what_a_killed_writer_left_is_removed_by_the_next_one(url: str, tmp_path: Path):
    with open_series(url) as store:
        store.upsert("daily", bars(A1), key=KEY)
    folder = tmp_path / "series" / "daily"
    (folder / "2024-0123456789abcdef.cube").write_bytes(b"half")
    (folder / ".manifest.json.1-abcd.tmp").write_bytes(b"half")

    with open_series(url) as store:
        store.upsert("daily", bars(A2), key=KEY)

    assert [path.name for path in folder.iterdir()] == ["log-00000000"]


FULL_DISK = """
import resource, sys
import pyarrow as pa
from ptolemy.errors import BackendUnavailable
from ptolemy.series import open_series

series = open_series(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    rows = pa.table({"ts_code": ["A.X"], "trade_date": ["20240103"], "close": [2.0]})
    series.upsert("daily", rows, key=("ts_code", "trade_date"))
except BackendUnavailable as exc:
    print(exc)
"""


def test_a_full_disk_is_said_and_changes_nothing(url: str, tmp_path: Path):
    with open_series(url) as store:
        store.upsert("daily", bars(A1), key=KEY)

    ended = subprocess.run([sys.executable, "-c", FULL_DISK, url], capture_output=True, text=True, check=True)

    assert "cannot be written" in ended.stdout
    assert "what it held before is unchanged" in ended.stdout
    with open_series(url) as store:
        assert rows(store.read("daily")) == [A1]
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_folder_that_cannot_be_made_is_a_store_that_cannot_be_reached(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with open_series(f"arrow://{tmp_path / 'file' / 'series'}") as store, pytest.raises(BackendUnavailable):
        store.upsert("daily", bars(A1, A3), key=KEY)
