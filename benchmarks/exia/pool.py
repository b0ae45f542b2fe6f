"""What a lease and its return cost, how evenly a short pool serves, and what a swap costs those who call.

CPU time of one thread (`time.thread_time_ns`), rounds interleaved with their floor, so that a noisy
machine moves both alike; the figure is the median of the paired ratios.

The floor is the least that any pool in Python must do: pop and append on a deque in one method. The
``for`` loop is in both (some 15 ns).

All of it runs in an environment that is made for the run and thrown away, with the peers in it and
exia from this checkout; where none can be made, it runs here and says nothing of peers.
"""

from __future__ import annotations

import gc
import json
import queue
import statistics
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.figures import figure

import exia
from exia.errors import Conflict

_ROOT = Path(__file__).resolve().parents[2]
_PEERS = ("psycopg-pool==3.3.3", "psycopg[binary]>=3.2", "pondpond==1.4.1", "SQLAlchemy==2.1.9")
_ROUNDS = 15
_LOOPS = 40_000


class Thing:
    __slots__ = ()


class Floor:
    """Pop and append in one Python method, and nothing else."""

    __slots__ = ("_idle",)

    def __init__(self) -> None:
        self._idle = deque(Thing() for _ in range(4))

    def turn(self) -> None:
        idle = self._idle
        thing = idle.pop()
        idle.append(thing)


def figures() -> list[dict[str, Any]]:
    """Measure and return one dict per figure; the harness adds date, cpu and commit."""
    words = [f"--with={peer}" for peer in _PEERS]
    source = _ROOT / "packages/exia/src"
    command = ["uv", "run", "--quiet", "--no-project", "--isolated", f"--python={sys.executable}", *words]
    program = (
        f"import sys; sys.path[:0] = [{str(_ROOT)!r}, {str(source)!r}]; from benchmarks.exia import pool; pool.tell()"
    )
    try:
        done = subprocess.run([*command, "python", "-c", program], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        print(f"exia/pool: no peers: {getattr(exc, 'stderr', exc)}", file=sys.stderr)
        return measured()
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def tell() -> None:
    """Print the figures as JSON."""
    print(json.dumps(measured()))


def measured() -> list[dict[str, Any]]:
    """Measure here, beside those peers that are installed."""
    with_ratio, with_ns = _paired(_leases)
    full_ratio, _ = _paired(_leases, track="full")
    off_ratio, _ = _paired(_leases, track="off")
    explicit_ratio, _ = _paired(_acquires)
    jain, best, throughput = _fairness()
    added, failed = _swaps()
    rows = [
        _figure("pool-lease-with", "lease and return with `with`, defaults, against the floor", with_ratio, "x", 5.5),
        _figure("pool-lease-with-ns", "lease and return with `with`, defaults, CPU time", with_ns, "ns", None),
        _figure("pool-lease-full", "the same with every borrower noted", full_ratio, "x", 13),
        _figure("pool-lease-off", "the same with no borrower noted", off_ratio, "x", None),
        _figure("pool-lease-explicit", "acquire() and release(), against the floor", explicit_ratio, "x", None),
        _figure(
            "pool-jain", "8 threads on 4 objects, 1 ms hold: Jain index", jain["exia"], "", 0.99, better="high",
            rounds=9, peer=best, peer_value=jain[best],
        ),
        _figure(
            "pool-throughput", "the same: leases per second, against the best unfair pool",
            throughput, "x", 0.92, better="high", rounds=9, peer=best, peer_value=1.0,
        ),
        _figure("pool-idle-memory", "memory per idle object above the bare object", _idle_memory(), "B", 128, rounds=5),
        _figure("pool-swap-failed", "calls lost or failed by 100 swaps under 8 threads", failed, "", 0, rounds=5),
        _figure("pool-swap-p99", "what they add to the 99th percentile of waits", added, "ms", 1, rounds=5),
    ]  # fmt: skip
    for id, name, ratio in _peers():
        what = f"lease and return, defaults, 4 objects: {name}, against the floor"
        rows.append(_figure(f"pool-lease-{id}", what, with_ratio, "x", None, peer=name, peer_value=ratio))
    return rows


_figure = partial(figure, "exia", rounds=_ROUNDS)


def _paired(measure: Any, **settings: Any) -> tuple[float, float]:
    """Return the median ratio of `measure` to the floor around it, and its median in ns."""
    floor = Floor()
    ratios, costs = [], []
    with exia.pool(Thing, max_size=4, **settings) as pool:
        _fill(pool)
        measure(pool, _LOOPS // 4)
        gc.disable()
        try:
            for _ in range(_ROUNDS):
                before = _turns(floor)
                cost = measure(pool, _LOOPS)
                ratios.append(2 * cost / (before + _turns(floor)))
                costs.append(cost)
        finally:
            gc.enable()
    return statistics.median(ratios), statistics.median(costs)


def _fill(pool: exia.Pool[Thing]) -> None:
    for lease in [pool.acquire() for _ in range(4)]:
        lease.release()


def _turns(floor: Floor) -> float:
    turn = floor.turn
    loops = range(_LOOPS)
    began = time.thread_time_ns()
    for _ in loops:
        turn()
    return (time.thread_time_ns() - began) / _LOOPS


def _leases(pool: exia.Pool[Thing], n: int) -> float:
    lease = pool.lease
    began = time.thread_time_ns()
    for _ in range(n):
        with lease():
            pass
    return (time.thread_time_ns() - began) / n


def _acquires(pool: exia.Pool[Thing], n: int) -> float:
    acquire = pool.acquire
    began = time.thread_time_ns()
    for _ in range(n):
        acquire().release()
    return (time.thread_time_ns() - began) / n


Opened = AbstractContextManager[Callable[[], AbstractContextManager[Any]]]


@contextmanager
def _ours() -> Any:
    with exia.pool(Thing, max_size=4) as pool:
        _fill(pool)
        yield pool.lease


@contextmanager
def _lifo_queue() -> Any:
    idle: queue.LifoQueue[Thing] = queue.LifoQueue()
    for _ in range(4):
        idle.put(Thing())

    @contextmanager
    def lease() -> Any:
        thing = idle.get()
        try:
            yield thing
        finally:
            idle.put(thing)

    yield lease


@contextmanager
def _sqlalchemy() -> Any:
    import warnings

    from sqlalchemy.pool import QueuePool

    class Connection:
        def close(self) -> None: ...
        def rollback(self) -> None: ...
        def commit(self) -> None: ...

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs: Any = QueuePool(Connection, pool_size=4, max_overflow=0)

    @contextmanager
    def lease() -> Any:
        one = theirs.connect()
        try:
            yield one
        finally:
            one.close()

    yield lease
    theirs.dispose()


def _fairness(rounds: int = 9, seconds: float = 0.5) -> tuple[dict[str, float], str, float]:
    """Let 8 threads lease 4 objects for 1 ms each.

    Returns
    -------
    tuple
        The median of Jain's index per pool, the fastest of the unfair pools, and the median of the
        paired ratios of our leases per second to its.
    """
    pools: dict[str, Callable[[], Any]] = {"exia": _ours, "queue.LifoQueue": _lifo_queue}
    with suppress(ImportError):
        pools[f"SQLAlchemy {version('SQLAlchemy')} QueuePool"] = _sqlalchemy
    indices: dict[str, list[float]] = {name: [] for name in pools}
    rates: dict[str, list[float]] = {name: [] for name in pools}
    for _ in range(rounds):
        for name, opened in pools.items():
            shares = _shares(opened, seconds)
            indices[name].append(sum(shares) ** 2 / (8 * sum(s * s for s in shares)))
            rates[name].append(sum(shares) / seconds)
    best = max((name for name in rates if name != "exia"), key=lambda name: statistics.median(rates[name]))
    ratio = statistics.median(ours / theirs for ours, theirs in zip(rates["exia"], rates[best], strict=True))
    return {name: statistics.median(values) for name, values in indices.items()}, best, ratio


def _shares(opened: Callable[[], Any], seconds: float) -> list[int]:
    shares = [0] * 8
    start, stop = threading.Barrier(9), threading.Event()
    with opened() as lease:

        def work(i: int) -> None:
            start.wait()
            while not stop.is_set():
                with lease():
                    time.sleep(0.001)
                shares[i] += 1

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        start.wait()
        time.sleep(seconds)
        stop.set()
        for thread in threads:
            thread.join()
    return shares


def _swaps(rounds: int = 5, seconds: float = 1.0) -> tuple[float, float]:
    """Return the ms that 20 swaps a round add to the 99th percentile of waits, and how many calls failed.

    Every other swap puts the new version on trial with a quarter of the leases first.
    """
    added, failed = [], 0
    for _ in range(rounds):
        calm, bad = _waits(0, seconds)
        busy, worse = _waits(20, seconds)
        added.append((busy - calm) * 1e3)
        failed += bad + worse
    return statistics.median(added), float(failed)


def _waits(swaps: int, seconds: float) -> tuple[float, int]:
    waits: list[list[float]] = [[] for _ in range(8)]
    failed = [0] * 8
    stop = threading.Event()
    versions = [type(f"Thing{n}", (Thing,), {"__slots__": ()}) for n in range(2)]
    with exia.pool(Thing, max_size=8) as pool:

        def work(i: int) -> None:
            while not stop.is_set():
                began = time.perf_counter()
                try:
                    with pool.lease():
                        waits[i].append(time.perf_counter() - began)
                        time.sleep(0.001)
                except Exception:
                    failed[i] += 1
                time.sleep(0.001)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for n in range(swaps or 20):
            if swaps:
                swap = pool.swap(versions[n % 2], canary=0.25 * (n // 2 % 2), trial=50)
            time.sleep(seconds / 20)
            if swaps and swap.state == "canary":
                with suppress(Conflict):  # its trial has just ended
                    swap.promote()
        stop.set()
        for thread in threads:
            thread.join()
    return statistics.quantiles([w for one in waits for w in one], n=100)[98], sum(failed)


def _idle_memory(rounds: int = 5, n: int = 2_000) -> float:
    """Return the median of bytes per idle object, without the object's own."""
    costs = []
    for _ in range(rounds):
        with exia.pool(Thing, max_size=n) as pool:
            tracemalloc.start()
            leases = [pool.acquire() for _ in range(n)]
            while leases:
                leases.pop().release()
            del leases
            costs.append(tracemalloc.get_traced_memory()[0] / n - sys.getsizeof(Thing()))
            tracemalloc.stop()
    return statistics.median(costs)


def _peers() -> list[tuple[str, str, float]]:
    """Return what each peer that is installed costs against the floor: id, name with settings, ratio."""
    found = []
    for id, turn in (("psycopg", _psycopg_pool), ("pondpond", _pondpond), ("sqlalchemy", _queue_pool)):
        try:
            name, one, close = turn()
        except ImportError:
            continue
        try:
            found.append((id, name, _against_floor(one)))
        finally:
            close()
    return found


def _against_floor(one: Callable[[], None], n: int = _LOOPS // 10) -> float:
    floor, ratios = Floor(), []
    for _ in range(_ROUNDS):
        before = _turns(floor)
        began = time.thread_time_ns()
        for _ in range(n):
            one()
        cost = (time.thread_time_ns() - began) / n
        ratios.append(2 * cost / (before + _turns(floor)))
    return statistics.median(ratios)


def _psycopg_pool() -> tuple[str, Callable[[], None], Callable[[], None]]:
    from psycopg.pq import TransactionStatus
    from psycopg_pool import ConnectionPool

    class Info:
        transaction_status = TransactionStatus.IDLE

    class Connection:
        info = Info()
        pgconn = Info()
        closed = False
        _pool: Any = None

        @classmethod
        def connect(cls, *args: Any, **kwargs: Any) -> Connection:
            return cls()

        def close(self) -> None:
            self.closed = True

    # Its defaults are its best here: no check, no reset, four connections held open.
    theirs: Any = ConnectionPool("", connection_class=Connection, min_size=4, max_size=4, open=True)
    theirs.wait()
    name = f"psycopg_pool {version('psycopg-pool')}, defaults, stand-in connections"
    return name, lambda: theirs.putconn(theirs.getconn()), theirs.close


def _pondpond() -> tuple[str, Callable[[], None], Callable[[], None]]:
    from pond import Pond, PooledObject, PooledObjectFactory

    class Things(PooledObjectFactory):  # type: ignore[misc]
        def createInstance(self) -> Any:
            return PooledObject(Thing())

        def destroy(self, pooled_object: Any) -> None: ...

        def reset(self, pooled_object: Any, **kwargs: Any) -> Any:
            return pooled_object

        def validate(self, pooled_object: Any) -> bool:
            return True

    # Eviction off is its best; its default costs three times as much.
    theirs: Any = Pond(time_between_eviction_runs=-1)
    theirs.register(Things(pooled_maxsize=4, least_one=False), name="things")
    name = f"pondpond {version('pondpond')}, eviction off"
    return name, lambda: theirs.recycle(theirs.borrow(name="things"), name="things"), lambda: None


def _queue_pool() -> tuple[str, Callable[[], None], Callable[[], None]]:
    opened = _sqlalchemy()
    lease = opened.__enter__()

    def turn() -> None:
        with lease():
            pass

    def close() -> None:
        opened.__exit__(None, None, None)

    return f"SQLAlchemy {version('SQLAlchemy')} QueuePool, defaults", turn, close


if __name__ == "__main__":
    for row in figures():
        print(
            f"{row['id']:28} {row['value']:>12} {row['unit']:4} bar {row['bar']}  {row['figure']}",
            row["peer"] or "",
            row["peer_value"] or "",
        )
