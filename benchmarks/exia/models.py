"""What it costs to publish and to load a model, and how soon a change of parameters is in a lease.

Wall time, because disks and networks are in it. Ours and the peer's rounds take turns. The peer keeps
the same megabyte as a blob of RelStorage on PostgreSQL, and runs in an environment of its own.

A change is made by another process, and counts from the moment in which ``set`` has returned there: it
is durable then. The same from the call of ``set`` on, with the disk in it, is a figure without a bar.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import exia
from exia.models import open_models
from exia.params import follow, open_params

_ROUNDS = 25
_CHANGES = 100
_MEGABYTE = 1_000_000

#: Keeps what it is told to on one line of stdin, and says on stdout how many seconds it took.
_PEER = """
import sys, time, logging, tempfile
logging.disable(logging.CRITICAL)
import transaction
from importlib.metadata import version
from relstorage.adapters.postgresql import PostgreSQLAdapter
from relstorage.options import Options
from relstorage.storage import RelStorage
from ZODB import DB
from ZODB.blob import Blob
folder = tempfile.mkdtemp()
options = Options(keep_history=False, blob_dir=folder, shared_blob_dir=False, blob_cache_size=1)
db = DB(RelStorage(PostgreSQLAdapter(dsn=sys.argv[1], options=options), options=options))
print("RelStorage " + version("RelStorage"), flush=True)
data = bytes(1_000_000)
for n, line in enumerate(sys.stdin):
    began = time.perf_counter()
    if line.strip() == "save":
        connection = db.open()
        blob = Blob()
        with blob.open("w") as file:
            file.write(data)
        connection.root()["model"] = blob
        transaction.commit()
        connection.close()
    else:
        import glob, os
        for path in glob.glob(folder + "/**/*.blob", recursive=True):
            os.unlink(path)
        began = time.perf_counter()
        connection = db.open()
        connection.cacheMinimize()
        with connection.root()["model"].open("r") as file:
            file.read()
        connection.close()
    print(time.perf_counter() - began, flush=True)
"""

#: Sets the parameters again and again and says when it began.
_SET = """
import sys, time
from exia.params import open_params
with open_params(sys.argv[1]) as params:
    for n in range(1, int(sys.argv[2]) + 1):
        time.sleep(0.03)
        began = time.monotonic_ns()
        params.set("bench", {"window": n})
        print(n, began, time.monotonic_ns(), flush=True)
"""


class Windowed:
    def __init__(self, window: int = 0) -> None:
        self.window = window

    def apply_params(self, snapshot: Any) -> None:
        self.window = snapshot["window"]


def figures() -> list[dict[str, Any]]:
    """Measure and return one dict per figure; the harness adds date, cpu and commit."""
    from tests.services.running import Running

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="exia-bench-")))
        stack.enter_context(_home(folder / "home"))
        services = Running()
        stack.callback(services.close)
        found = _models(services)
        found.extend(_params("file", f"file://{folder}/params"))
        if find_spec("consul") is None:
            print("params-consul: py-consul is not installed: scripts/install servers", file=sys.stderr)
        else:
            services.start("consul")
            found.extend(_params("consul", services.server("consul").url("EXIA_TEST_CONSUL_URL")))
    return found


def _models(services: Any) -> list[dict[str, Any]]:
    import numpy as np

    model = {"weights": np.random.default_rng(1).random(_MEGABYTE // 8)}
    ours: dict[str, list[float]] = {"save": [], "load": []}
    theirs: dict[str, list[float]] = {"save": [], "load": []}
    services.start("postgresql")
    url = services.server("postgresql").url("EXIA_TEST_POSTGRESQL_URL")
    with open_models() as models, _peer(url) as (name, ask):
        for n in range(_ROUNDS):
            model["weights"][0] = n  # else the bytes would be there already
            began = time.perf_counter()
            models.save("bench", model)
            ours["save"].append(time.perf_counter() - began)
            theirs["save"].append(ask("save"))
        models.load("bench")  # the catalogue has just changed, and a model is loaded more often than saved
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            models.load("bench")
            ours["load"].append(time.perf_counter() - began)
            theirs["load"].append(ask("load"))
    what = {
        "save": ("publish 1 MB durably, file store", 20.0),
        "load": ("resolve, verify and load 1 MB, file store", 2.0),
    }
    return [
        _figure(
            f"models-{verb}",
            text,
            1000 * statistics.median(ours[verb]),
            bar,
            peer=name,
            peer_value=1000 * statistics.median(theirs[verb]),
            rounds=_ROUNDS,
        )
        for verb, (text, bar) in what.items()
    ]


def _params(word: str, url: str) -> list[dict[str, Any]]:
    """Return how soon a lease has a change: the 99th percentiles."""
    with open_params(url) as params:
        params.define("bench", Windowed)
    seen: dict[int, int] = {}
    with (
        exia.pool(Windowed, max_size=1, name=f"bench-{word}") as pool,
        follow("bench", pool, url=url),
        subprocess.Popen([sys.executable, "-c", _SET, url, str(_CHANGES)], stdout=subprocess.PIPE, text=True) as setter,
    ):
        last, end = 0, time.monotonic() + 120
        while last < _CHANGES and time.monotonic() < end:
            with pool.lease() as one:
                now = one.window
            if now != last:
                at = time.monotonic_ns()
                seen.update((n, at) for n in range(last + 1, now + 1))  # one that was overtaken had its effect too
                last = now
            time.sleep(0.0005)
        assert setter.stdout is not None
        set_at = {n: (began, done) for n, began, done in (map(int, line.split()) for line in setter.stdout)}
    since = {
        "": (1, "parameter change to the next lease, p99", 50.0),
        "-set": (0, "the same with the time that setting it durably takes, p99", None),
    }
    found = []
    for suffix, (which, text, bar) in since.items():
        # One that is in a lease before its setter has gone on took no time.
        delays = sorted(max(0, seen[n] - at[which]) for n, at in set_at.items())
        p99 = delays[round(0.99 * (len(delays) - 1))] / 1e6
        found.append(_figure(f"params-{word}{suffix}", f"{text}, {word}", p99, bar, rounds=len(delays)))
    return found


@contextmanager
def _peer(url: str) -> Iterator[tuple[str, Any]]:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    dsn = f"host={parts.hostname} port={parts.port} user={parts.username} dbname={parts.path.strip('/')}"
    uv = Path(__file__).resolve().parents[2] / "scripts" / "uv"
    needs = ["--with", "RelStorage>=4.1", "--with", "psycopg2-binary"]
    command = [str(uv), "run", "--quiet", "--no-project", "--python", sys.executable, *needs]
    with subprocess.Popen(
        [*command, "python", "-c", _PEER, dsn], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        if not name:
            raise SystemExit("error: the peer (RelStorage) did not start; its reason is above")

        def ask(what: str) -> float:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{what}\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        yield f"{name} blob on PostgreSQL, history-free", ask
        process.stdin.close()


@contextmanager
def _home(folder: Path) -> Iterator[None]:
    before = os.environ.get("EXIA_HOME")
    os.environ["EXIA_HOME"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["EXIA_HOME"]
        else:
            os.environ["EXIA_HOME"] = before


def _figure(
    name: str,
    what: str,
    value: float,
    bar: float | None,
    *,
    peer: str | None = None,
    peer_value: float | None = None,
    rounds: int,
) -> dict[str, Any]:
    return {
        "id": name,
        "library": "exia",
        "figure": what,
        "value": round(value, 3),
        "unit": "ms",
        "bar": bar,
        "better": "low",
        "peer": peer,
        "peer_value": None if peer_value is None else round(peer_value, 3),
        "rounds": rounds,
    }


if __name__ == "__main__":
    for row in figures():
        print(f"{row['id']:16} {row['value']:>9} ms, bar {row['bar']}, peer {row['peer_value']}  {row['figure']}")
