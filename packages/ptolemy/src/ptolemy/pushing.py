"""Rows that are sent as they happen: over HTTP, or at high frequency over a socket of this machine.

A socket takes the name of a data set as one line and then an Arrow IPC stream. Each of its record batches is
looked through, what is wrong is set aside, the rest is written, and only when it is durable the number of rows
taken so far is sent back, as eight bytes, the lowest first. Whoever has not read that number sends them again:
what is there already is not written twice.
"""

from __future__ import annotations

import io
import os
import socket
import struct
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from ptolemy.catalogue import Interface, interface
from ptolemy.collecting import keep
from ptolemy.errors import BackendUnavailable, BadInput, BadParam, ConfigError, Conflict, PtolemyError, nearest
from ptolemy.journal import Journal
from ptolemy.retention import behind
from ptolemy.series import Series
from ptolemy.series.arrow import ArrowSeries
from ptolemy.sources import Batch

ARROW = "application/vnd.apache.arrow.stream"
_END = b"\xff\xff\xff\xff\0\0\0\0"  # what ends an Arrow stream
_ACK = struct.Struct("<q")
_NAME = 256  #: bytes of the line that names the data set


class Intake:
    """Takes rows into one store, from any number of threads; it is the store's writer.

    Parameters
    ----------
    max_body
        Bytes of one message over HTTP.
    retention
        How long the rows of a data set are kept; those of others are kept for ever.
    """

    def __init__(
        self,
        series: Series,
        journal: Journal,
        max_body: int = 64 << 20,
        retention: Mapping[str, timedelta] | None = None,
    ) -> None:
        if retention and not isinstance(series, ArrowSeries):
            raise ConfigError(
                "retention is kept by arrow:// alone",
                hint="set a retention policy in the server, and remove the setting",
            )
        self.series, self.journal, self.max_body, self._retention = series, journal, max_body, retention or {}
        self._writing = threading.Lock()

    def take(self, dataset: str, table: pa.Table, sender: str = "push") -> dict[str, int]:
        """Keep the rows of a table; return ``rows``, ``written`` and ``quarantined``. They are durable then.

        Raises
        ------
        UnknownInterface, BadParam
            If there is no such data set, or the columns are not its own; nothing was written.
        """
        known = interface(dataset)
        if known.computed:
            raise BadParam(f"{dataset} is computed and takes no rows")
        fitted = _fitted(known, table)
        lines = pa.array(range(1, fitted.num_rows + 1), pa.int64())
        with self._writing:
            found = keep(self.series, self.journal, known, [Batch(fitted, sender, lines, "row")], sender)
            kept = self._retention.get(dataset)
            if kept is not None and found.written and isinstance(self.series, ArrowSeries):
                self.series.expire(dataset, behind(known, self.series.stats(dataset).last, kept))
        return {"rows": found.rows, "written": found.written, "quarantined": found.quarantined}

    def take_bytes(self, dataset: str, body: bytes, kind: str) -> dict[str, int]:
        """Keep rows of a message: an Arrow stream, CSV, or JSON (``fields`` and ``items``, or a list of objects)."""
        return self.take(dataset, _read(interface(dataset), body, kind), "push over HTTP")


class PushSocket:
    """A socket of this machine at `path`, which this user alone may open; each connection has a thread."""

    def __init__(self, intake: Intake, path: Path) -> None:
        self._intake, self._path = intake, path
        self._listening = _listen(path)
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, name="ptolemy-push", daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Take no more rows; what was acknowledged is kept."""
        for each in (self._listening, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout=5)
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), name="ptolemy-push", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        taken = 0
        try:
            with connection, connection.makefile("rb") as incoming:
                try:
                    name = incoming.readline(_NAME).decode("utf-8", "replace").strip()
                    interface(name)
                    with pa.ipc.open_stream(incoming) as stream:
                        for batch in stream:
                            taken += self._intake.take(name, pa.Table.from_batches([batch]), "push socket")["rows"]
                            connection.sendall(_ACK.pack(taken))
                except (PtolemyError, pa.ArrowInvalid) as exc:
                    text = f"{exc}".encode()
                    connection.sendall(_ACK.pack(-len(text)) + text)
                    connection.shutdown(socket.SHUT_WR)
                    # What is closed with something unread in it resets the sender, who could not read why.
                    connection.settimeout(5.0)
                    while incoming.read1(1 << 16):
                        pass
        except (OSError, ValueError, pa.ArrowException):
            pass  # the sender has gone; what it has an acknowledgement for is kept
        finally:
            self._open.discard(connection)
            if threading.current_thread() in self._threads:
                self._threads.remove(threading.current_thread())


def push(dataset: str, tables: pa.Table | Iterable[pa.Table], path: str | Path) -> int:
    """Send tables to the socket of ``ptolemy serve --push-socket PATH`` and return the rows that are durable there.

    Each table is acknowledged by itself; while one is written the next is sent.

    Raises
    ------
    BackendUnavailable
        If nobody listens at `path`, or the connection broke; rows without an acknowledgement may be sent again.
    BadInput
        If the service refuses the rows.
    """
    parts = iter([tables] if isinstance(tables, pa.Table) else tables)
    first = next(parts, None)
    if first is None:
        return 0
    taken = 0
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
            connection.sendall(f"{dataset}\n".encode() + first.schema.serialize().to_pybytes())
            sent = _send(connection, first)
            with connection.makefile("rb") as answers:
                for part in parts:
                    sent += _send(connection, part)
                    taken = _acknowledged(answers)
                connection.sendall(_END)
                while taken < sent:
                    taken = _acknowledged(answers)
        except OSError as exc:
            raise BackendUnavailable(
                f"{path}: {exc.strerror or exc}", hint=f"ptolemy serve --push --push-socket {path}"
            ) from exc
    return taken


def _send(connection: socket.socket, table: pa.Table) -> int:
    for batch in table.combine_chunks().to_batches():  # one, so that a table has one acknowledgement
        connection.sendall(batch.serialize().to_pybytes())
    return table.num_rows


def _acknowledged(answers: Any) -> int:
    data = answers.read(_ACK.size)
    if len(data) < _ACK.size:
        raise ConnectionResetError("the service has closed the connection")
    (taken,) = _ACK.unpack(data)
    if taken < 0:
        raise BadInput(answers.read(-taken).decode("utf-8", "replace"))
    return int(taken)


def _fitted(known: Interface, table: pa.Table) -> pa.Table:
    """Return rows in the columns of an interface; what is not sent is missing."""
    for name in table.column_names:
        if name not in known.names:
            raise BadParam(f"{known.name} has no column {name!r}", hint=nearest(name, known.names))
    columns: list[Any] = []
    for field in known.schema():
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        try:
            columns.append(table[field.name].cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
            raise BadParam(f"{known.name}: {field.name} cannot be {table[field.name].type}: {exc}") from None
    return pa.table(columns, schema=known.schema())


def _read(known: Interface, body: bytes, kind: str) -> pa.Table:
    try:
        if kind == ARROW:
            return pa.ipc.open_stream(body).read_all()
        if kind == "text/csv":
            types = {f.name: f.type for f in known.schema()}
            options = pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True)
            return pyarrow.csv.read_csv(io.BytesIO(body), convert_options=options)
        if kind == "application/json":
            return _json(known, body)
    except PtolemyError:
        raise
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError, KeyError, TypeError, OSError) as exc:
        raise BadParam(f"the body cannot be read as {kind}: {str(exc).splitlines()[0]}") from None
    raise BadParam(f"rows cannot be sent as {kind[:60]!r}", hint=f"Content-Type: {ARROW}, text/csv or application/json")


def _json(known: Interface, body: bytes) -> pa.Table:
    import json

    document = json.loads(body)
    if isinstance(document, dict):
        names = [str(name) for name in document["fields"]]
        rows = [dict(zip(names, row, strict=True)) for row in document["items"]]
    else:
        rows = [dict(row) for row in document]
        names = list(dict.fromkeys(str(key) for row in rows for key in row))
    schema = known.schema()
    for name in names:
        known.column(name)
    return pa.Table.from_pylist(rows, schema=pa.schema([schema.field(name) for name in names]))


def _listen(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    try:
        if path.is_socket():
            with socket.socket(socket.AF_UNIX) as other:
                try:
                    other.connect(str(path))
                except OSError:
                    path.unlink()  # left over from a service that was killed
                else:
                    raise Conflict(f"somebody listens at {path} already")
        before = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(before)
        listening.listen(64)
    except OSError as exc:
        listening.close()
        if isinstance(exc, PtolemyError):
            raise
        raise BadInput(f"{path} cannot be listened at: {exc.strerror or exc}") from None
    except BaseException:
        listening.close()
        raise
    return listening
