"""What a lease and its return cost, and how evenly a short pool serves.

CPU time of one thread (`time.thread_time_ns`), rounds interleaved with their floor, so that a noisy
machine moves both alike; the figure is the median of the paired ratios.

The floor is the least that any pool in Python must do: pop and append on a deque in one method. The
``for`` loop is in both (some 15 ns).
"""

from __future__ import annotations

import gc
import statistics
import sys
import threading
import time
import tracemalloc
from collections import deque
from importlib.metadata import version
from typing import Any

import exia

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
    with_ratio, with_ns = _paired(_leases, 0)
    explicit_ratio, _ = _paired(_acquires, 0)
    sampled_ratio, _ = _paired(_leases, 100)
    jain, throughput = _fairness()
    peer, peer_ratio = _psycopg_pool()
    return [
        _figure(
            "pool-lease-with",
            "lease and return with `with`, defaults, against the floor",
            with_ratio,
            "x",
            5.5,
            peer=peer,
            peer_value=peer_ratio,
        ),
        _figure("pool-lease-with-ns", "lease and return with `with`, defaults, CPU time", with_ns, "ns", None),
        _figure(
            "pool-lease-explicit", "acquire() and release(), defaults, against the floor", explicit_ratio, "x", None
        ),
        _figure(
            "pool-lease-sampled", "with `with`, one lease in 100 timed, against the floor", sampled_ratio, "x", None
        ),
        _figure("pool-jain", "8 threads on 4 objects, 1 ms hold: Jain index", jain, "", 0.98, better="high", rounds=5),
        _figure("pool-throughput", "the same: leases per second", throughput, "1/s", None, better="high", rounds=5),
        _figure("pool-idle-memory", "memory per idle object above the bare object", _idle_memory(), "B", 128, rounds=5),
    ]


def _figure(
    name: str,
    what: str,
    value: float,
    unit: str,
    bar: float | None,
    *,
    better: str = "low",
    rounds: int = _ROUNDS,
    peer: str | None = None,
    peer_value: float | None = None,
) -> dict[str, Any]:
    return {
        "id": f"exia-{name}",
        "library": "exia",
        "figure": what,
        "value": round(value, 4),
        "unit": unit,
        "bar": bar,
        "better": better,
        "peer": peer,
        "peer_value": None if peer_value is None else round(peer_value, 4),
        "rounds": rounds,
    }


def _paired(measure: Any, sample: int) -> tuple[float, float]:
    """Return the median ratio of `measure` to the floor around it, and its median in ns."""
    floor = Floor()
    ratios, costs = [], []
    with exia.pool(Thing, max_size=4, sample=sample) as pool:
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


def _fairness(rounds: int = 5, seconds: float = 0.5) -> tuple[float, float]:
    """Return the medians of Jain's index and of leases per second, 8 threads on 4 objects, 1 ms hold."""
    indices, rates = [], []
    for _ in range(rounds):
        with exia.pool(Thing, max_size=4) as pool:
            _fill(pool)
            shares = [0] * 8
            start, stop = threading.Barrier(9), threading.Event()

            def work(i: int, pool: Any = pool, shares: Any = shares, start: Any = start, stop: Any = stop) -> None:
                start.wait()
                while not stop.is_set():
                    with pool.lease():
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
        indices.append(sum(shares) ** 2 / (8 * sum(s * s for s in shares)))
        rates.append(sum(shares) / seconds)
    return statistics.median(indices), statistics.median(rates)


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


def _psycopg_pool() -> tuple[str | None, float | None]:
    """Return what psycopg_pool costs against the floor, on stand-in connections; nothing where it is not installed."""
    try:
        from psycopg.pq import TransactionStatus
        from psycopg_pool import ConnectionPool
    except ImportError:
        return None, None

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
    floor, ratios, n = Floor(), [], _LOOPS // 10
    try:
        theirs.wait()
        for _ in range(_ROUNDS):
            before = _turns(floor)
            began = time.thread_time_ns()
            for _ in range(n):
                theirs.putconn(theirs.getconn())
            cost = (time.thread_time_ns() - began) / n
            ratios.append(2 * cost / (before + _turns(floor)))
    finally:
        theirs.close()
    return f"psycopg_pool {version('psycopg-pool')}, defaults, 4 stand-in connections", statistics.median(ratios)


if __name__ == "__main__":
    for row in figures():
        print(
            f"{row['id']:28} {row['value']:>12} {row['unit']:4} bar {row['bar']}  {row['figure']}",
            row["peer_value"] or "",
        )
