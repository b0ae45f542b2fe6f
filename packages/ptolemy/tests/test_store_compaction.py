"""What compaction keeps, changes and must never change."""

from __future__ import annotations

import os
import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ptolemy.errors import BadInput
from ptolemy.series import Series, arrow, open_series
from ptolemy.testing.series import A1, A2, A3, B1, B2, KEY, bars, rows

Key = tuple[str, str]
#: Where fsync costs nothing, if there is such a place.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

codes = st.sampled_from(["A.X", "B.X", "C.XY"])
days = st.sampled_from(["20231229", "20240102", "20240103", "20240104", "20250105"])
values = st.none() | st.floats(allow_nan=False, allow_infinity=False)
steps = st.one_of(
    st.tuples(st.just("write"), st.dictionaries(st.tuples(codes, days), values, min_size=1)),
    st.tuples(st.just("delete"), st.tuples(st.none() | st.lists(codes), st.none() | days, st.none() | days)),
    st.tuples(st.just("compact"), st.none()),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(done=st.lists(steps, min_size=1, max_size=8), bulk=st.booleans(), asked=st.lists(codes), start=days, end=days)
def test_writes_deletes_and_compactions_in_any_order_keep_every_state(
    done: list[tuple[str, Any]], bulk: bool, asked: list[str], start: str, end: str
):
    states: list[dict[Key, float | None]] = []
    with TemporaryDirectory(dir=MEMORY) as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(arrow, "BULK", 3 if bulk else 500_000)
        with open_series(f"arrow://{folder}") as series, open_series(f"arrow://{folder}") as reader:
            for what, given_ in done:
                state = states[-1] if states else {}
                if what == "write":
                    table = bars(*((*key, value) for key, value in given_.items()))
                    version = series.upsert("daily", table, key=KEY)
                    after = {**state, **given_}
                elif not states:
                    continue
                elif what == "delete":
                    gone, first, last = given_
                    version = series.delete("daily", codes=gone, start=first, end=last)
                    after = {
                        key: value
                        for key, value in state.items()
                        if (gone is not None and key[0] not in gone) or key[1] < (first or "") or key[1] > (last or "9")
                    }
                else:
                    series.compact("daily")
                    continue
                states += [after] if not states or after != states[-1] else []
                assert (version.id, version.rows) == (len(states), len(after))
                assert rows(reader.read("daily")) == sorted((*key, value) for key, value in after.items())

            for number, state in enumerate(states, 1):
                expected = sorted((*key, value) for key, value in state.items())
                for one in (series, reader):
                    assert rows(one.read("daily", as_of=number)) == expected
                    chosen = [row for row in expected if row[0] in asked and start <= row[1] <= end]
                    assert rows(one.read("daily", codes=asked, start=start, end=end, as_of=number)) == chosen
            if states:
                assert reader.verify("daily") == len(states[-1])


def compacted_files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.suffix in (".cube", ".rows")}


@pytest.mark.parametrize("dense", [True, False])
def test_any_order_of_the_same_rows_ends_in_the_same_files(tmp_path: Path, dense: bool):
    table = pa.table(
        {
            "ts_code": [f"{code:06d}.SZ" for code in range(20) for _ in range(30)],
            "trade_date": [f"{2023 + day % 2}01{1 + day:02d}" for _ in range(20) for day in range(30)],
            "close": pa.array([None if n % 7 == 0 else n / 4 for n in range(600)], pa.float64()),
            "vol" if dense else "name": [float(n) if dense else f"name {n}" for n in range(600)],
        }
    )
    found = []
    for seed in range(4):
        chance = random.Random(seed)
        order = list(range(600))
        chance.shuffle(order)
        with open_series(f"arrow://{tmp_path / str(seed)}") as series:
            while order:
                take = order[: chance.randint(1, 300)]
                order = order[len(take) :]
                columns = list(table.column_names)
                chance.shuffle(columns)
                series.upsert("daily", table.take(take).select(columns), key=KEY)
                if chance.random() < 0.5:
                    series.compact("daily")
            series.compact("daily")
            ordered = table.sort_by([(k, "ascending") for k in KEY])
            assert series.read("daily", columns=table.column_names).equals(ordered)
        found.append(compacted_files(tmp_path / str(seed)))

    assert found[0]
    assert {name.rpartition(".")[2] for name in found[0]} == {"cube" if dense else "rows"}
    assert found[1:] == found[:1] * 3


def test_a_bulk_ends_in_the_same_files_as_the_same_rows_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with open_series(f"arrow://{tmp_path / 'log'}") as series:
        for row in (B2, A3, A1, B1, A2):
            series.upsert("daily", bars(row), key=KEY)
        series.compact("daily")
    monkeypatch.setattr(arrow, "BULK", 2)
    with open_series(f"arrow://{tmp_path / 'bulk'}") as series:
        version = series.upsert("daily", bars(A3, B2, A1, B1, A2), key=KEY)

    assert (version.id, version.rows, version.first, version.last) == (1, 5, "20240102", "20240104")
    assert compacted_files(tmp_path / "log") == compacted_files(tmp_path / "bulk")
    assert not list((tmp_path / "bulk" / "daily").glob("log-*"))


def test_a_bulk_with_one_key_twice_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(arrow, "BULK", 2)
    with open_series(f"arrow://{tmp_path}") as series:
        with pytest.raises(BadInput, match=r"two rows have the key ts_code=A\.X, trade_date=20240103"):
            series.upsert("daily", bars(A1, A2, A2), key=KEY)

        assert series.datasets() == []


def test_a_dense_panel_becomes_a_cube_and_a_ragged_one_a_sorted_segment(tmp_path: Path):
    with open_series(f"arrow://{tmp_path}") as series:
        series.upsert("dense", bars(A1, A2, B1, B2), key=KEY)
        series.upsert("ragged", bars(A1, A2, ("B.X", "20240109", 1.0), ("C.X", "20240110", 1.0)), key=KEY)
        minutes = [("A.X", f"2024-01-0{day} 09:3{minute}:00", 1.0) for day in (2, 3) for minute in range(5)]
        series.upsert("minutes", bars(*minutes), key=KEY)
        for name in series.datasets():
            series.compact(name)

        assert sorted(p.name[:13] for p in tmp_path.glob("minutes/*.*") if p.suffix != ".json") == [
            "2024-01-02-" + next((tmp_path / "minutes").glob("2024-01-02-*")).name[11:13],
            "2024-01-03-" + next((tmp_path / "minutes").glob("2024-01-03-*")).name[11:13],
        ]
        assert [p.suffix for p in tmp_path.glob("dense/2024*")] == [".cube"]
        assert [p.suffix for p in tmp_path.glob("ragged/2024*")] == [".rows"]
        assert rows(series.read("minutes", start="2024-01-03 09:31:00", end="2024-01-03 09:32:00")) == minutes[6:8]


def test_a_key_of_one_column_and_one_of_three_are_kept(tmp_path: Path):
    weights = pa.table(
        {
            "index_code": ["X", "X", "X"],
            "con_code": ["B", "A", "A"],
            "trade_date": ["20240102", "20240103", "20230102"],
            "weight": [1.0, 2.0, 3.0],
        }
    )
    with open_series(f"arrow://{tmp_path}") as series:
        series.upsert("stock_basic", pa.table({"ts_code": ["B.X", "A.X"], "name": ["b", "a"]}), key=("ts_code",))
        series.upsert("index_weight", weights, key=("index_code", "con_code", "trade_date"))
        for name in series.datasets():
            series.compact(name)

        assert rows(series.read("stock_basic", codes=["B.X"])) == [("B.X", "b")]
        assert rows(series.read("index_weight", codes=["X"])) == [
            ("X", "A", "20230102", 3.0),
            ("X", "A", "20240103", 2.0),
            ("X", "B", "20240102", 1.0),
        ]


def test_forgotten_versions_are_gone_and_the_newest_stays(tmp_path: Path):
    with open_series(f"arrow://{tmp_path}") as series:
        for close in (1.0, 2.0, 3.0, 4.0):
            series.upsert("daily", bars(("A.X", "20240102", close)), key=KEY)

        stats = series.compact("daily", versions=2)

        assert (stats.oldest, stats.version) == (3, 4)
        assert [version.id for version in series.versions("daily")] == [3, 4]
        assert rows(series.read("daily", as_of=3)) == [("A.X", "20240102", 3.0)]
        with pytest.raises(LookupError, match="no version 2; it has 3 to 4"):
            series.read("daily", as_of=2)
        with pytest.raises(BadInput, match="0 versions cannot be kept"):
            series.compact("daily", versions=0)
        assert series.verify("daily") == 1


def test_a_long_log_is_compacted_by_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(arrow, "LOG_BYTES", 2000)
    with open_series(f"arrow://{tmp_path}") as series:
        for day in range(1, 20):
            series.upsert("daily", bars(("A.X", f"202401{day:02d}", 1.0)), key=KEY)

        assert series.stats("daily").files == 1
        assert series.stats("daily").log_records < 10
        assert series.read("daily").num_rows == 19


def test_a_reader_follows_while_the_writer_compacts(tmp_path: Path):
    with open_series(f"arrow://{tmp_path}") as series, open_series(f"arrow://{tmp_path}") as reader:
        for day in range(1, 20):
            series.upsert("daily", bars(("A.X", f"202401{day:02d}", 1.0), B1), key=KEY)
            held = reader.read("daily")
            series.compact("daily")

            assert reader.read("daily").equals(held)
            assert held.num_rows == day + 1


@pytest.fixture
def series(tmp_path: Path) -> Series:
    return open_series(f"arrow://{tmp_path}")


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64()])
def test_a_key_that_is_no_text_is_refused(series: Series, kind: pa.DataType):
    table = pa.table({"ts_code": ["A.X"], "trade_date": pa.array([20240102], kind), "close": [1.0]})

    with series, pytest.raises(BadInput, match=r"key column 'trade_date' is .*, not text"):
        series.upsert("daily", table, key=KEY)
