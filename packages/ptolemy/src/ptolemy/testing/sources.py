"""What every source keeps."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ptolemy.catalogue import interface
from ptolemy.errors import BadData
from ptolemy.sources import Source

#: What the source under test must hold, in the columns of `daily`; the other columns it must lack.
ROWS: dict[str, list[str] | list[float]] = {
    "ts_code": ["A.X", "A.X", "B.X"],
    "trade_date": ["20240102", "20240103", "20240102"],
    "open": [1.0, 2.0, 10.0],
    "high": [1.5, 2.5, 10.5],
    "low": [0.5, 1.5, 9.5],
    "close": [1.25, 2.25, 10.25],
}


class SourceContract:
    """Give a `source` fixture that opens a source of `daily` with exactly `ROWS`."""

    def test_every_batch_has_all_columns_of_the_catalogue_in_its_order_and_types(self, source: Source) -> None:
        for batch in source.read(interface("daily")):
            assert batch.table.schema == interface("daily").schema()

    def test_the_rows_are_those_of_the_source_in_its_order(self, source: Source) -> None:
        table = pa.concat_tables(batch.table for batch in source.read(interface("daily")))

        assert table.select(list(ROWS)).to_pydict() == ROWS

    def test_what_the_source_lacks_is_missing_and_not_invented(self, source: Source) -> None:
        for batch in source.read(interface("daily")):
            assert batch.table["amount"].null_count == batch.table.num_rows

    def test_every_row_tells_where_it_comes_from(self, source: Source) -> None:
        for batch in source.read(interface("daily")):
            assert len(batch.lines) == batch.table.num_rows
            assert batch.place in batch.where(0, "open")
            assert str(batch.lines[0].as_py()) in batch.where(0, "open")

    def test_reading_twice_gives_the_same(self, source: Source) -> None:
        first = [batch.table for batch in source.read(interface("daily"))]
        second = [batch.table for batch in source.read(interface("daily"))]

        assert first == second

    def test_progress_ends_with_all_done(self, source: Source) -> None:
        said: list[tuple[int, int]] = []

        list(source.read(interface("daily"), progress=lambda done, total: said.append((done, total))))

        assert said
        assert said[-1][0] == said[-1][1]

    def test_an_interface_that_the_source_cannot_give_is_refused_by_column(self, source: Source) -> None:
        with pytest.raises(BadData, match="adj_factor"):
            list(source.read(interface("adj_factor")))
