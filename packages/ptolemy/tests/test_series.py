from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ptolemy.errors import BackendUnavailable, BadInput, DamagedSeries, SeriesLocked, UnknownBackend
from ptolemy.series import Series, open_series
from ptolemy.testing import SeriesContract
from ptolemy.testing.series import A1, A2, A3, B1, KEY, bars, rows


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


def test_a_version_never_changes_a_file_of_an_older_one(series: Series, tmp_path: Path):
    series.upsert("daily", bars(A1), key=KEY)
    before = {path: path.read_bytes() for path in (tmp_path / "series").rglob("*.arrow")}

    series.upsert("daily", bars(("A.X", "20240102", 7.0)), key=KEY)

    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.parametrize("name", ["../daily", "a/b", "", ".", "daily.old"])
def test_the_name_of_a_data_set_cannot_leave_the_store(series: Series, tmp_path: Path, name: str):
    with pytest.raises(BadInput, match="cannot be the name of a data set"):
        series.upsert(name, bars(A1), key=KEY)

    assert not list(tmp_path.rglob("*.arrow"))


@pytest.mark.parametrize("harm", ["cut short", "emptied", "removed"])
def test_a_file_that_is_not_what_was_written_is_named(url: str, tmp_path: Path, harm: str):
    with open_series(url) as store:
        store.upsert("daily", bars(A1, A2), key=KEY)
    (file,) = (tmp_path / "series").rglob("*.arrow")
    if harm == "removed":
        file.unlink()
    else:
        os.truncate(file, 100 if harm == "cut short" else 0)

    with open_series(url) as store, pytest.raises(DamagedSeries, match=file.name) as caught:
        store.read("daily")

    assert "backup" in (caught.value.hint or "")


def test_verify_finds_one_changed_byte(url: str, tmp_path: Path):
    with open_series(url) as store:
        store.upsert("daily", bars(A1, A2), key=KEY)
    (file,) = (tmp_path / "series").rglob("*.arrow")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)

    with open_series(url) as store, pytest.raises(DamagedSeries, match=r"is not what was written|cannot be read"):
        store.verify("daily")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', "\x00"])
def test_a_manifest_that_is_none_is_named(url: str, tmp_path: Path, text: str):
    with open_series(url) as store:
        store.upsert("daily", bars(A1), key=KEY)
    (tmp_path / "series" / "daily" / "manifest.json").write_text(text)

    with open_series(url) as store, pytest.raises(DamagedSeries, match=r"manifest\.json cannot be read"):
        store.read("daily")


def test_a_store_of_a_newer_format_is_left_alone(url: str, tmp_path: Path):
    with open_series(url) as store:
        store.upsert("daily", bars(A1), key=KEY)
    manifest = tmp_path / "series" / "daily" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 2'))

    with open_series(url) as store, pytest.raises(DamagedSeries, match="has format 2, this ptolemy reads 1"):
        store.upsert("daily", bars(A2), key=KEY)


# Counts the calls that change what is on the disk, and dies by SIGKILL instead of the n-th.
DYING_WRITER = """
import os, signal, sys
import pyarrow as pa
from ptolemy.series import open_series

url, left = sys.argv[1], int(sys.argv[2])

def dying(name):
    real = getattr(os, name)
    def call(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(os, name, call)

series = open_series(url)
for name in ("fsync", "replace", "rename"):
    dying(name)
days = ["20240102", "20240103", "20240104"]
rows = pa.table({"ts_code": ["A.X"] * 3, "trade_date": days, "close": [9.0, 2.0, 3.0]})
series.upsert("daily", rows, key=("ts_code", "trade_date"))
print("acknowledged", flush=True)
"""


@pytest.mark.parametrize("step", range(1, 8))
def test_a_writer_killed_at_any_step_leaves_the_old_version_or_the_new_one_whole(url: str, step: int):
    with open_series(url) as store:
        store.upsert("daily", bars(A1, B1), key=KEY)

    ended = subprocess.run(
        [sys.executable, "-c", DYING_WRITER, url, str(step)], capture_output=True, text=True, check=False
    )

    new = [("A.X", "20240102", 9.0), A2, A3, B1]
    with open_series(url) as store:
        found = rows(store.read("daily"))
        assert found in ([A1, B1], new)
        assert store.verify("daily") == len(found)
        if ended.returncode == 0:  # the last step is one more than there are
            assert (step, ended.stdout, found) == (7, "acknowledged\n", new)
        else:
            assert ended.returncode == -signal.SIGKILL
        store.upsert("daily", bars(("A.X", "20240102", 9.0), A2, A3), key=KEY)  # the same command again completes
        assert rows(store.read("daily")) == new
        assert store.versions("daily")[-1].id == 2


def test_what_a_killed_writer_left_is_removed_by_the_next_one(url: str, tmp_path: Path):
    with open_series(url) as store:
        store.upsert("daily", bars(A1), key=KEY)
    folder = tmp_path / "series" / "daily"
    (folder / "00000007.arrow").write_bytes(b"half")
    (folder / ".manifest.json.1-abcd.tmp").write_bytes(b"half")

    with open_series(url) as store:
        store.upsert("daily", bars(A2), key=KEY)

    assert sorted(path.name for path in folder.iterdir()) == ["00000001.arrow", "00000002.arrow", "manifest.json"]


FULL_DISK = """
import resource, sys
import pyarrow as pa
from ptolemy.errors import BackendUnavailable
from ptolemy.series import open_series

series = open_series(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
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
