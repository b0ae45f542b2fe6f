"""What every series store keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from ptolemy.errors import BadInput, NotFound, NothingCollected
from ptolemy.series import Series

KEY = ("ts_code", "trade_date")


def bars(*rows: tuple[str, str, float | None], **more: Sequence[float | None]) -> pa.Table:
    """Return a table of ``ts_code``, ``trade_date``, ``close`` and any other numbers."""
    codes, days, closes = zip(*rows, strict=True) if rows else ((), (), ())
    columns: dict[str, Any] = {
        "ts_code": pa.array(codes, pa.string()),
        "trade_date": pa.array(days, pa.string()),
        "close": pa.array(closes, pa.float64()),
    }
    return pa.table(columns | {name: pa.array(values, pa.float64()) for name, values in more.items()})


A1, A2, A3 = ("A.X", "20240102", 1.0), ("A.X", "20240103", 2.0), ("A.X", "20240104", 3.0)
B1, B2 = ("B.X", "20240102", 10.0), ("B.X", "20240103", 20.0)


def rows(table: pa.Table) -> list[tuple[Any, ...]]:
    """Return the rows of `table` as tuples."""
    return [tuple(row.values()) for row in table.to_pylist()]


class SeriesContract:
    """Give a `series` fixture that opens an empty store, and `reopened`: a callable that opens it once more."""

    def test_rows_come_back_in_the_order_of_their_key(self, series: Series) -> None:
        series.upsert("daily", bars(B1, A2, A1), key=KEY)

        assert rows(series.read("daily")) == [A1, A2, B1]

    def test_codes_and_both_ends_of_a_range_select_rows(self, series: Series) -> None:
        series.upsert("daily", bars(A1, A2, A3, B1, B2), key=KEY)

        assert rows(series.read("daily", codes=["A.X"])) == [A1, A2, A3]
        assert rows(series.read("daily", codes=["B.X", "A.X", "none"], start="20240103", end="20240103")) == [A2, B2]
        assert rows(series.read("daily", start="20240104")) == [A3]
        assert rows(series.read("daily", end="20240102")) == [A1, B1]

    def test_what_no_row_has_selects_an_empty_table_with_all_columns(self, series: Series) -> None:
        series.upsert("daily", bars(A1), key=KEY)

        for found in (
            series.read("daily", codes=["none"]),
            series.read("daily", codes=[]),
            series.read("daily", start="20990101"),
        ):
            assert found.num_rows == 0
            assert found.schema == bars().schema

    def test_columns_come_back_in_the_order_asked_for_and_unknown_ones_are_left_out(self, series: Series) -> None:
        series.upsert("daily", bars(A1, A2, vol=[5.0, 6.0]), key=KEY)

        found = series.read("daily", columns=["vol", "never_had", "trade_date"])

        assert found.column_names == ["vol", "trade_date"]
        assert rows(found) == [(5.0, "20240102"), (6.0, "20240103")]

    def test_a_later_row_takes_the_place_of_the_earlier_one_with_its_key(self, series: Series) -> None:
        series.upsert("daily", bars(A1, A2), key=KEY)
        version = series.upsert("daily", bars(("A.X", "20240103", 2.5), A3), key=KEY)

        assert rows(series.read("daily")) == [A1, ("A.X", "20240103", 2.5), A3]
        assert (version.id, version.rows, version.written) == (2, 3, 2)

    def test_late_rows_find_their_place(self, series: Series) -> None:
        series.upsert("daily", bars(A3, B2), key=KEY)
        series.upsert("daily", bars(A1, B1), key=KEY)

        assert rows(series.read("daily")) == [A1, A3, B1, B2]

    def test_writing_the_same_rows_again_makes_no_new_version(self, series: Series) -> None:
        first = series.upsert("daily", bars(A1, ("A.X", "20240103", None)), key=KEY)
        again = series.upsert("daily", bars(("A.X", "20240103", None), A1), key=KEY)

        assert again == first
        assert series.versions("daily") == [first]

    def test_a_missing_number_is_null_also_when_it_came_as_nan(self, series: Series) -> None:
        series.upsert("daily", bars(("A.X", "20240102", float("nan")), A2), key=KEY)
        version = series.upsert("daily", bars(("A.X", "20240102", None)), key=KEY)

        assert rows(series.read("daily")) == [("A.X", "20240102", None), A2]
        assert version.id == 1

    def test_an_older_version_reads_as_it_was(self, series: Series) -> None:
        series.upsert("daily", bars(A1), key=KEY)
        series.upsert("daily", bars(("A.X", "20240102", 9.0), A2), key=KEY)

        assert rows(series.read("daily", as_of=1)) == [A1]
        assert rows(series.read("daily", as_of=2)) == rows(series.read("daily"))

    @pytest.mark.parametrize("version", [0, 2, -1])
    def test_a_version_that_was_never_written_is_not_found(self, series: Series, version: int) -> None:
        series.upsert("daily", bars(A1), key=KEY)

        with pytest.raises(NotFound, match=f"no version {version}; it has 1 to 1"):
            series.read("daily", as_of=version)

    def test_a_version_tells_rows_days_time_and_digest(self, series: Series) -> None:
        series.upsert("daily", bars(A2, B2), key=KEY)
        version = series.upsert("daily", bars(A1, A3), key=KEY)

        assert (version.dataset, version.id, version.rows, version.written) == ("daily", 2, 4, 2)
        assert (version.first, version.last) == ("20240102", "20240104")
        assert version.time.endswith("+00:00")
        assert version.digest.startswith("sha256:")
        assert len({v.digest for v in series.versions("daily")}) == 2

    def test_a_new_column_is_missing_in_the_rows_from_before(self, series: Series) -> None:
        series.upsert("daily", bars(A1), key=KEY)
        series.upsert("daily", bars(A2, vol=[7.0]), key=KEY)

        assert rows(series.read("daily")) == [(*A1, None), (*A2, 7.0)]

    def test_data_sets_are_listed_once_they_hold_rows(self, series: Series) -> None:
        assert series.datasets() == []

        series.upsert("daily", bars(A1), key=KEY)
        series.upsert("adj_factor", bars(A1), key=KEY)

        assert series.datasets() == ["adj_factor", "daily"]

    def test_what_was_never_collected_is_said_with_the_way_out(self, series: Series) -> None:
        for ask in (series.read, series.versions, series.verify, series.delete, series.compact, series.stats):
            with pytest.raises(NothingCollected, match="nothing of daily") as caught:
                ask("daily")
            assert caught.value.hint == "ptolemy collect run SOURCE_URL --dataset daily"

    @pytest.mark.parametrize(
        ("table", "why"),
        [
            (bars(A1, A2, ("A.X", "20240102", 5.0)), "two rows have the key ts_code=A.X, trade_date=20240102"),
            (bars(A1).drop_columns(["trade_date"]), "the key column 'trade_date' is missing"),
            (bars(A1).set_column(0, "ts_code", pa.array([None], pa.string())), "a row has no ts_code"),
            (bars(), "no row to write"),
        ],
    )
    def test_a_table_that_has_no_proper_key_changes_nothing(self, series: Series, table: pa.Table, why: str) -> None:
        with pytest.raises(BadInput, match=why):
            series.upsert("daily", table, key=KEY)

        assert series.datasets() == []

    def test_the_key_of_a_data_set_stays(self, series: Series) -> None:
        series.upsert("daily", bars(A1), key=KEY)

        with pytest.raises(BadInput, match="kept by the key ts_code, trade_date"):
            series.upsert("daily", bars(A2), key=("ts_code", "close"))

    def test_a_column_keeps_its_type(self, series: Series) -> None:
        series.upsert("daily", bars(A1), key=KEY)

        with pytest.raises(BadInput, match="do not fit those that are kept"):
            series.upsert("daily", bars(A2).set_column(2, "close", pa.array(["dear"])), key=KEY)

        assert rows(series.read("daily")) == [A1]

    def test_what_was_written_is_there_for_the_next_who_opens(
        self, series: Series, reopened: Callable[[], Series]
    ) -> None:
        version = series.upsert("daily", bars(A1, B1), key=KEY)
        series.close()

        with reopened() as again:
            assert rows(again.read("daily")) == [A1, B1]
            assert again.versions("daily") == [version]
            assert again.verify("daily") == 2

    def test_a_reader_sees_what_is_written_after_it_opened(
        self, series: Series, reopened: Callable[[], Series]
    ) -> None:
        with reopened() as reader:
            series.upsert("daily", bars(A1), key=KEY)
            assert rows(reader.read("daily")) == [A1]
            series.upsert("daily", bars(A2), key=KEY)
            assert rows(reader.read("daily")) == [A1, A2]

    def test_threads_that_write_through_one_handle_lose_nothing(self, series: Series) -> None:
        days = [f"202401{day:02d}" for day in range(1, 17)]

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda day: series.upsert("daily", bars(("A.X", day, 1.0)), key=KEY), days))

        assert series.read("daily")["trade_date"].to_pylist() == days
        assert [version.rows for version in series.versions("daily")] == list(range(1, 17))

    def test_a_reader_never_sees_half_of_what_is_written_at_once(
        self, series: Series, reopened: Callable[[], Series]
    ) -> None:
        series.upsert("daily", bars(A1, B1), key=KEY)
        halves = []

        def write() -> None:
            for day in range(3, 29):
                both = bars(("A.X", f"202401{day:02d}", 1.0), ("B.X", f"202401{day:02d}", 1.0))
                series.upsert("daily", both, key=KEY)

        with reopened() as reader, ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            while not writing.done():
                codes = reader.read("daily", columns=["ts_code"])["ts_code"].to_pylist()
                halves += [codes] if codes.count("A.X") != codes.count("B.X") else []
            writing.result()

            assert not halves
            assert reader.read("daily").num_rows == 54

    def test_rows_that_were_read_stay_readable_after_the_store_is_closed(self, series: Series) -> None:
        series.upsert("daily", bars(A1), key=KEY)
        found = series.read("daily")
        series.close()

        assert rows(found) == [A1]

    def test_rows_are_deleted_by_code_and_range_and_older_versions_keep_them(self, series: Series) -> None:
        series.upsert("daily", bars(A1, A2, A3, B1, B2), key=KEY)

        version = series.delete("daily", codes=["A.X"], start="20240103", end="20240104")

        assert (version.id, version.rows, version.written) == (2, 3, 2)
        assert rows(series.read("daily")) == [A1, B1, B2]
        assert rows(series.read("daily", as_of=1)) == [A1, A2, A3, B1, B2]
        assert series.verify("daily") == 3

    def test_deleting_what_is_not_there_makes_no_new_version(self, series: Series) -> None:
        first = series.upsert("daily", bars(A1), key=KEY)

        assert series.delete("daily", codes=["B.X"]) == first
        assert series.delete("daily", start="20240103") == first

    def test_a_deleted_row_can_be_written_again(self, series: Series) -> None:
        series.upsert("daily", bars(A1, B1), key=KEY)
        series.delete("daily", codes=["A.X"])
        series.upsert("daily", bars(A1), key=KEY)

        assert rows(series.read("daily")) == [A1, B1]
        assert [version.rows for version in series.versions("daily")] == [2, 1, 2]

    def test_deleting_everything_leaves_an_empty_table_with_all_columns(self, series: Series) -> None:
        series.upsert("daily", bars(A1, B1), key=KEY)
        series.delete("daily")
        series.compact("daily")

        assert series.read("daily").schema == bars().schema
        assert series.read("daily").num_rows == 0
        assert rows(series.read("daily", as_of=1)) == [A1, B1]

    def test_compaction_changes_no_version(self, series: Series, reopened: Callable[[], Series]) -> None:
        series.upsert("daily", bars(A1, A3, B1), key=KEY)
        series.upsert("daily", bars(A2, ("B.X", "20240102", None)), key=KEY)
        series.delete("daily", codes=["A.X"], start="20240104")
        before = series.versions("daily")
        states = [rows(series.read("daily", as_of=version.id)) for version in before]

        stats = series.compact("daily")

        assert (stats.rows, stats.version, stats.oldest, stats.log_records) == (3, 3, 1, 0)
        assert series.versions("daily") == before
        series.close()
        with reopened() as again:
            assert again.versions("daily") == before
            assert [rows(again.read("daily", as_of=version.id)) for version in before] == states
            assert rows(again.read("daily")) == states[-1]
            assert again.verify("daily") == 3

    def test_only_the_versions_asked_for_are_kept(self, series: Series) -> None:
        for close in (1.0, 2.0, 3.0):
            series.upsert("daily", bars(("A.X", "20240102", close)), key=KEY)

        stats = series.compact("daily", versions=1)

        assert (stats.oldest, stats.version) == (3, 3)
        assert [version.id for version in series.versions("daily")] == [3]
        with pytest.raises(NotFound, match="no version 2; it has 3 to 3"):
            series.read("daily", as_of=2)

    def test_stats_tell_what_is_kept(self, series: Series) -> None:
        series.upsert("daily", bars(A1, A3, B1), key=KEY)

        stats = series.stats("daily")

        assert (stats.dataset, stats.key, stats.rows, stats.version) == ("daily", KEY, 3, 1)
        assert (stats.first, stats.last) == ("20240102", "20240104")
