"""What is said to an InfluxDB over HTTP: 1 (``/write``, ``/query``) and 2 (``/api/v2/write``, ``/query`` as in 1)."""

from __future__ import annotations

import http.client
import json
import socket
import zlib
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Literal
from urllib.parse import urlencode

from ptolemy._house.backends import BackendURL
from ptolemy.errors import BackendUnavailable, BadInput, NotAllowed
from ptolemy.series.lines import Kind

#: Length of a shard by kind of data: the server's default of 7 days makes thousands of them.
SHARDS: dict[Kind, str] = {"daily": "52w", "minutes": "4w", "ticks": "1d"}


class Busy(BackendUnavailable):
    """The server asks to be left alone for `after` seconds."""

    after: float = 1.0


class Influx:
    """One server and one database; used by one thread at a time.

    Parameters
    ----------
    url
        ``influxdb://user:password@host:8086/database``; with ``?dialect=v2&org=...`` the password is
        the token and the database the bucket. ``?timeout=`` is in seconds, ``?tls=true`` for HTTPS.
    """

    def __init__(self, url: BackendURL) -> None:
        self.url = url
        self.database = url.path.strip("/") or "jiyuan"
        if "/" in self.database or '"' in self.database:
            raise BadInput(f"{url}: {self.database!r} cannot be the name of a database")
        dialect = url.query.get("dialect", "v1")
        if dialect not in ("v1", "v2"):
            raise BadInput(f"{url}: dialect is v1 or v2, not {dialect!r}")
        self.dialect: Literal["v1", "v2"] = "v2" if dialect == "v2" else "v1"
        try:
            self.timeout = float(url.query.get("timeout", "10"))
        except ValueError:
            raise BadInput(f"{url}: timeout is a number of seconds") from None
        self._made: set[Kind] = set()
        self._line: http.client.HTTPConnection | None = None
        self._using = Lock()

    def write(self, kind: Kind, data: bytes) -> None:
        """Write lines; they are in the server on return."""
        if self.dialect == "v1":
            self._make(kind)
            place = "/write?" + urlencode({"db": self.database, "rp": kind, "precision": "ns"})
        else:
            query = {"bucket": f"{self.database}/{kind}", "org": self.url.query.get("org", ""), "precision": "ns"}
            place = "/api/v2/write?" + urlencode(query)
        packer = zlib.compressobj(1, wbits=31)
        body = packer.compress(data) + packer.flush()
        self._ask("POST", place, body, {"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8"})

    def query(self, statement: str) -> bytes:
        """Return the CSV of one InfluxQL query, times in nanoseconds."""
        place = "/query?" + urlencode({"db": self.database, "epoch": "ns"})
        form = urlencode({"q": statement}).encode()
        headers = {"Accept": "application/csv", "Content-Type": "application/x-www-form-urlencoded"}
        return self._ask("POST", place, form, headers)

    def remove(self, kind: Kind, measurement: str, tags: dict[str, str], first: int | None, last: int | None) -> None:
        """Remove the points of a series, or of all, between two times in nanoseconds, both included."""
        if self.dialect == "v1":
            self._make(kind)
            where = [f"{named(name)} = {text(value)}" for name, value in tags.items()]
            where += [f"time >= {first}"] if first is not None else []
            where += [f"time <= {last}"] if last is not None else []
            self.command(f"DELETE FROM {named(measurement)}" + (f" WHERE {' AND '.join(where)}" if where else ""))
            return
        predicate = [f'_measurement="{measurement}"', *(f'{name}="{value}"' for name, value in tags.items())]
        body = {
            "start": _iso(first, datetime(1677, 9, 22, tzinfo=UTC)),
            "stop": _iso(last, datetime(2262, 4, 11, tzinfo=UTC)),
            "predicate": " AND ".join(predicate),
        }
        query = {"bucket": f"{self.database}/{kind}", "org": self.url.query.get("org", "")}
        headers = {"Content-Type": "application/json"}
        self._ask("POST", "/api/v2/delete?" + urlencode(query), json.dumps(body).encode(), headers)

    def command(self, statement: str) -> None:
        """Run an InfluxQL statement that gives no rows."""
        place = "/query?" + urlencode({"db": self.database})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = json.loads(self._ask("POST", place, urlencode({"q": statement}).encode(), headers) or b"{}")
        for result in answer.get("results", []):
            if "error" in result:
                raise BackendUnavailable(f"{self.url} refuses {statement.split(' ')[0]}: {result['error']}")

    def close(self) -> None:
        """Let go of the connection."""
        with self._using:
            if self._line is not None:
                self._line.close()
                self._line = None

    def _make(self, kind: Kind) -> None:
        """Make the database and the retention policy of a kind, with shards of its length, if they are not there."""
        if kind in self._made:
            return
        database, policy = named(self.database), named(kind)
        self.command(f"CREATE DATABASE {database}")
        default = " DEFAULT" if kind == "daily" else ""
        self.command(
            f"CREATE RETENTION POLICY {policy} ON {database} DURATION INF REPLICATION 1"
            f" SHARD DURATION {SHARDS[kind]}{default}"
        )
        self._made.add(kind)

    def _ask(self, method: str, place: str, body: bytes, headers: dict[str, str]) -> bytes:
        with self._using:
            for again in (True, False):
                fresh = self._line is None
                try:
                    answer, data = self._say(method, place, body, headers | self._who())
                    break
                except (OSError, http.client.HTTPException) as exc:
                    if self._line is not None:
                        self._line.close()
                    self._line = None
                    # A connection that was kept may have ended meanwhile; a new one gets no second try.
                    if fresh or not again or isinstance(exc, TimeoutError):
                        why = "no answer in time" if isinstance(exc, TimeoutError) else str(exc) or type(exc).__name__
                        raise BackendUnavailable(
                            f"{self.url} does not answer: {why}", hint="is the server running? ptolemy doctor"
                        ) from exc
        if answer.status < 300:
            return data
        raise self._refused(answer, data)

    def _say(
        self, method: str, place: str, body: bytes, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        if self._line is None:
            maker: Any = (
                http.client.HTTPSConnection if self.url.query.get("tls") == "true" else http.client.HTTPConnection
            )
            line: http.client.HTTPConnection = maker(
                self.url.host or "127.0.0.1", self.url.port or 8086, timeout=self.timeout
            )
            line.connect()
            line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._line = line
        self._line.request(method, place, body, headers)
        answer = self._line.getresponse()
        return answer, answer.read()

    def _who(self) -> dict[str, str]:
        if self.dialect == "v2":
            return {"Authorization": f"Token {self.url.password or self.url.user}"} if self.url.password else {}
        if not self.url.user:
            return {}
        # 1.x takes a token of this form as well, and 2.x on its v1 routes takes nothing else.
        return {"Authorization": f"Token {self.url.user}:{self.url.password}"}

    def _refused(self, answer: http.client.HTTPResponse, data: bytes) -> Exception:
        said = data.decode(errors="replace").strip().splitlines()
        why = said[0][:300] if said else answer.reason
        if answer.status in (401, 403):
            return NotAllowed(
                f"{self.url} refuses: {why}", hint="name a user, or a token, that may read and write there"
            )
        if answer.status in (429, 503):
            busy = Busy(f"{self.url} is busy: {why}", hint="it is tried again")
            busy.after = float(answer.headers.get("Retry-After") or 1)
            return busy
        hint = None
        if answer.status == 404 and self.dialect == "v2":
            hint = "influx bucket create --name DATABASE/daily --shard-group-duration 52w"
        return BackendUnavailable(f"{self.url} answers {answer.status}: {why}", hint=hint)


def named(name: str) -> str:
    """Return a name as InfluxQL writes it."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def text(value: str) -> str:
    """Return a text as InfluxQL writes it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _iso(stamp: int | None, otherwise: datetime) -> str:
    if stamp is None:
        return otherwise.strftime("%Y-%m-%dT%H:%M:%SZ")
    seconds, rest = divmod(stamp, 10**9)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:09d}Z"
