"""InfluxDB behind the log: what is written is durable in a log on this machine, then delivered until accepted.

The log (``?spool=FOLDER``, by default in the home folder) is an ``arrow`` store: it holds the
versions, and tells what of them the server does not have yet. A read asks the server, after all
that the log holds was delivered. Another machine reads the newest version and needs no log.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ptolemy._house.config import home
from ptolemy._house.files import write_durably
from ptolemy.errors import BackendUnavailable, BadInput, DamagedSeries, NotFound, NothingCollected, PtolemyError
from ptolemy.series.arrow import ArrowSeries
from ptolemy.series.influx_http import Busy, Influx, named, text
from ptolemy.series.lines import Shape, lines, nanoseconds, parsed, shape_of
from ptolemy.series.log import Record
from ptolemy.series.manifest import schema_of
from ptolemy.series.merge import within
from ptolemy.series.port import Series, Stats, Version

if TYPE_CHECKING:
    from ptolemy._house.backends import BackendURL

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands

_ABOUT = "ptolemy"  #: the measurement that tells what each data set is
_BATCH = 20_000  #: lines in one request
_CODES = 200  #: more codes than these are picked out here


class InfluxSeries:
    """``influxdb://user:password@host:8086/database`` (see `influx_http.Influx` for the rest)."""

    def __init__(self, url: BackendURL) -> None:
        self.server = Influx(url)
        spool = url.query.get("spool")
        place = f"{url.host or '127.0.0.1'}-{url.port or 8086}-{self.server.database}"
        self.log = ArrowSeries(Path(spool) if spool else home() / "influxdb" / place, compacts=False)
        self._stop, self._wake = Event(), Event()
        self._thread: Thread | None = None
        self._starting = Lock()

    @classmethod
    def from_url(cls, url: BackendURL) -> InfluxSeries:
        """Open the store that `url` names; nothing is said to the server before it is needed."""
        return cls(url)

    def upsert(self, dataset: str, table: pa.Table, *, key: Sequence[str]) -> Version:
        for name in table.column_names:
            if pa.types.is_floating(table[name].type) and pc.any(pc.is_inf(table[name])).as_py():
                raise BadInput(f"{dataset}: {name} holds an infinity, which InfluxDB cannot keep")
        times = table[key[-1]] if key[-1] in table.column_names else None
        if times is not None and pa.types.is_string(times.type) and len(times) and not times.null_count:
            shape = self._delivered(dataset)[1] or shape_of(dataset, table, key)
            for time_ in pc.unique(times).to_pylist() if shape.timed else ():
                nanoseconds(time_)  # what has no place in the server must not stop what comes after it
        version = self.log.upsert(dataset, table, key=key)
        self._deliver_later()
        return version

    def delete(
        self, dataset: str, *, codes: Sequence[str] | None = None, start: str | None = None, end: str | None = None
    ) -> Version:
        version = self.log.delete(dataset, codes=codes, start=start, end=end)
        self._deliver_later()
        return version

    def compact(self, dataset: str, *, versions: int | None = None) -> Stats:
        # What is compacted is no longer in the log, so all of it must have arrived.
        with self._delivering(dataset):
            self._deliver(dataset)
            self.log.compact(dataset, versions=versions)
        return self.stats(dataset)

    def read(
        self,
        dataset: str,
        *,
        codes: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        columns: Sequence[str] | None = None,
        as_of: int | None = None,
    ) -> pa.Table:
        if not self._here(dataset):
            return self._elsewhere(dataset, codes, start, end, columns, as_of)
        if as_of is not None:
            return self.log.read(dataset, codes=codes, start=start, end=end, columns=columns, as_of=as_of)
        with self._delivering(dataset):
            self._deliver(dataset)
            shape = self._shape(dataset)
            schema = self.log.read(dataset, codes=[]).schema
            table = self._asked(shape, schema, codes, start, end)
        return table if columns is None else table.select([name for name in columns if name in table.column_names])

    def versions(self, dataset: str) -> list[Version]:
        return self.log.versions(dataset) if self._here(dataset) else [self._about(dataset)[2]]

    def datasets(self) -> list[str]:
        here = self.log.datasets()
        return here or sorted(self._everything())

    def verify(self, dataset: str) -> int:
        rows = self.log.verify(dataset) if self._here(dataset) else self._about(dataset)[2].rows
        found = self.read(dataset)
        if self._here(dataset) and not found.equals(self.log.read(dataset)):
            raise DamagedSeries(
                f"{self.server.url} does not hold of {dataset} what was delivered",
                hint=f"remove {self._position(dataset)}: the next write delivers everything again",
            )
        if found.num_rows != rows:
            raise DamagedSeries(f"{self.server.url} holds {found.num_rows} rows of {dataset}, not {rows}")
        return rows

    def stats(self, dataset: str) -> Stats:
        """Return what is kept; the log's part is what the server does not have yet."""
        if not self._here(dataset):
            shape, _, version = self._about(dataset)
            return Stats(
                dataset, shape.key, version.rows, version.id, version.id, version.first, version.last, 0, 0, 0, 0
            )
        stats = self.log.stats(dataset)
        waiting = len(self.log.since(dataset, self._delivered(dataset)[0]))
        return replace(stats, log_records=waiting, log_bytes=stats.log_bytes if waiting else 0)

    def flush(self) -> None:
        """Deliver all that the log holds; raise `BackendUnavailable` if the server does not take it."""
        for dataset in self.log.datasets():
            with self._delivering(dataset):
                self._deliver(dataset)

    def close(self) -> None:
        """Deliver what can be delivered now, and let go; the rest stays in the log for the next who opens."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            with suppress(PtolemyError):  # what is not delivered is durable here, and said by `stats`
                self.flush()
        self._stop.clear()
        self.log.close()
        self.server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Delivery

    def _deliver_later(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = Thread(target=self._keep_delivering, name="influxdb-delivery", daemon=True)
                self._thread.start()
        self._wake.set()

    def _keep_delivering(self) -> None:
        pause = 0.1
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._stop.is_set():
                return
            try:
                self.flush()
                pause = 0.1
            except PtolemyError as exc:
                self._stop.wait(max(pause, exc.after if isinstance(exc, Busy) else 0))
                pause = min(2 * pause, 30.0)
                self._wake.set()

    @contextmanager
    def _delivering(self, dataset: str) -> Iterator[None]:
        """Let one thread of one process deliver a data set, and nobody read it meanwhile."""
        folder = self.log.folder / ".delivered"
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / f"{dataset}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            give_up = time.monotonic() + self.server.timeout
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > give_up:
                        raise BackendUnavailable(
                            f"{dataset} is still being delivered to {self.server.url}", hint="try again later"
                        ) from None
                    time.sleep(0.002)
            yield
        finally:
            os.close(descriptor)

    def _deliver(self, dataset: str) -> None:
        done, shape = self._delivered(dataset)
        waiting = self.log.since(dataset, done)
        newest = self.log.versions(dataset)[-1]
        if newest.id == done and shape is not None:
            return
        if shape is None or not waiting or waiting[0].version.id != done + 1:
            self._deliver_all(dataset, shape, newest)
            return
        for record in waiting:
            self._deliver_record(shape, record)
        self._settle(shape, waiting[-1].version)

    def _deliver_all(self, dataset: str, shape: Shape | None, newest: Version) -> None:
        """Deliver the newest state, whatever the server had before."""
        table = self.log.read(dataset, as_of=newest.id)
        key = self.log.stats(dataset).key
        if shape is not None or self.server.dialect == "v1":
            self.server.remove((shape or shape_of(dataset, table, key)).kind, dataset, {}, None, None)
        shape = shape or shape_of(dataset, table, key)
        self._write(shape, table)
        self._settle(shape, newest)

    def _deliver_record(self, shape: Shape, record: Record) -> None:
        if record.deleted is not None:
            gone = record.deleted
            # The rows that there were say which series they are of.
            rows = self.log.read(
                shape.dataset, codes=gone.codes, start=gone.start, end=gone.end, as_of=record.version.id - 1
            )
            self._remove(shape, rows)
        if record.table is not None:
            if record.version.id > 1:
                self._remove(shape, self._losing(shape, record))
            self._write(shape, record.table)

    def _losing(self, shape: Shape, record: Record) -> pa.Table:
        """Return the rows that have a value which the new row lacks: the server would keep it."""
        assert record.table is not None
        news = record.table
        ends = pc.min_max(news[shape.key[-1]]).as_py()
        codes = pc.unique(news[shape.key[0]]).to_pylist()
        held = self.log.read(
            shape.dataset,
            codes=codes if len(codes) <= _CODES else None,
            start=ends["min"],
            end=ends["max"],
            as_of=record.version.id - 1,
        )
        fields = [name for name in held.column_names if name not in shape.key and held[name].null_count < len(held)]
        lacking = [name for name in fields if name not in news.column_names or news[name].null_count]
        if not held.num_rows or not lacking:
            return news.slice(0, 0)
        for name in lacking:
            if name not in news.column_names:
                news = news.append_column(name, pa.nulls(len(news), held.schema.field(name).type))
        both = held.join(news, list(shape.key), join_type="inner", right_suffix="__new__", use_threads=False)
        lost: Any = pa.array(np.zeros(both.num_rows, np.bool_))
        for name in lacking:
            lost = pc.or_(lost, pc.and_(pc.is_valid(both[name]), pc.is_null(both[f"{name}__new__"])))
        return both.filter(lost)

    def _remove(self, shape: Shape, rows: pa.Table) -> None:
        """Remove the points of `rows`, each series by the spans of time in which it has no other point left."""
        if not rows.num_rows:
            return
        for row in rows.select(list(shape.key)).to_pylist():
            stamp = nanoseconds(row[shape.key[-1]]) if shape.timed else 0
            self.server.remove(shape.kind, shape.dataset, {name: row[name] for name in shape.tags}, stamp, stamp)

    def _write(self, shape: Shape, table: pa.Table) -> None:
        for at in range(0, table.num_rows, _BATCH):
            self.server.write(shape.kind, lines(shape, table.slice(at, _BATCH)))

    def _settle(self, shape: Shape, version: Version) -> None:
        """Remember, here and there, what was delivered."""
        schema = self.log.read(shape.dataset, codes=[], as_of=version.id).schema
        about = {
            "shape": asdict(shape),
            "columns": [(field.name, str(field.type)) for field in schema],
            "version": asdict(version),
        }
        table = pa.table({"dataset": [shape.dataset], "about": [json.dumps(about)]})
        self.server.write("daily", lines(Shape(_ABOUT, ("dataset",), "daily", timed=False), table))
        position = {"version": version.id, "shape": asdict(shape)}
        write_durably(self._position(shape.dataset), json.dumps(position).encode())

    def _position(self, dataset: str) -> Path:
        return self.log.folder / ".delivered" / f"{dataset}.json"

    def _delivered(self, dataset: str) -> tuple[int, Shape | None]:
        try:
            position = json.loads(self._position(dataset).read_bytes())
            return int(position["version"]), _shape(position["shape"])
        except FileNotFoundError:
            return 0, None

    def _shape(self, dataset: str) -> Shape:
        shape = self._delivered(dataset)[1]
        assert shape is not None
        return shape

    # Reading

    def _here(self, dataset: str) -> bool:
        try:
            return bool(self.log.versions(dataset))
        except NothingCollected:
            return False

    def _asked(
        self, shape: Shape, schema: pa.Schema, codes: Sequence[str] | None, start: str | None, end: str | None
    ) -> pa.Table:
        where = []
        if codes is not None and not codes:
            self.server.query("SHOW MEASUREMENTS LIMIT 1")  # a server that is away is noticed all the same
            return schema.empty_table()
        if codes is not None and len(codes) <= _CODES:
            where.append("(" + " OR ".join(f"{named(shape.key[0])} = {text(code)}" for code in codes) + ")")
        if shape.timed:
            where += [f"time >= {nanoseconds(start)}"] if start is not None else []
            where += [f"time <= {nanoseconds(end)}"] if end is not None else []
        # All fields: a point is left out of the answer if it has none of those asked for.
        statement = f"SELECT * FROM {named(shape.kind)}.{named(shape.dataset)}"
        data = self.server.query(statement + (f" WHERE {' AND '.join(where)}" if where else ""))
        table = parsed(data, shape, schema)
        return within(table, shape.key, codes, start, end)

    def _elsewhere(
        self,
        dataset: str,
        codes: Sequence[str] | None,
        start: str | None,
        end: str | None,
        columns: Sequence[str] | None,
        as_of: int | None,
    ) -> pa.Table:
        shape, schema, version = self._about(dataset)
        if as_of is not None and as_of != version.id:
            raise NotFound(
                f"{dataset} can be read here at version {version.id} only: the others are in the log of its writer"
            )
        table = self._asked(shape, schema, codes, start, end)
        return table if columns is None else table.select([name for name in columns if name in table.column_names])

    def _about(self, dataset: str) -> tuple[Shape, pa.Schema, Version]:
        found = self._everything().get(dataset)
        if found is None:
            raise NothingCollected(dataset)
        about = json.loads(found)
        return _shape(about["shape"]), schema_of(about["columns"]), Version(**about["version"])

    def _everything(self) -> dict[str, str]:
        data = self.server.query(f'SELECT "about", "dataset"::tag FROM "daily".{named(_ABOUT)}')
        table = parsed(
            data,
            Shape(_ABOUT, ("dataset",), "daily", timed=False),
            pa.schema([("dataset", pa.string()), ("about", pa.string())]),
        )
        return {str(row["dataset"]): str(row["about"]) for row in table.to_pylist()}


def _shape(document: dict[str, Any]) -> Shape:
    return Shape(document["dataset"], tuple(document["key"]), document["kind"], document["timed"])


if TYPE_CHECKING:
    _fits: type[Series] = InfluxSeries
