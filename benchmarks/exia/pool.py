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
import statistics
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.exia._peers import INSTALLED, Peer, Pooled, Thing, peers
from benchmarks.figures import figure

import exia
from exia.errors import Conflict

_ROOT = Path(__file__).resolve().parents[2]
_ROUNDS = 15
_LOOPS = 40_000


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
    words = [f"--with={peer}" for peer in INSTALLED]
    source = _ROOT / "packages/exia/src"
    uv = str(_ROOT / "scripts" / "uv")
    command = [uv, "run", "--quiet", "--no-project", "--isolated", f"--python={sys.executable}", *words]
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
    added, failed = _swaps()
    return [
        _figure("pool-lease-with", "lease and return with `with`, defaults, against the floor", with_ratio, "x", 5.5),
        _figure("pool-lease-with-ns", "lease and return with `with`, defaults, CPU time", with_ns, "ns", None),
        _figure("pool-lease-full", "the same with every borrower noted", full_ratio, "x", 13),
        _figure("pool-lease-off", "the same with no borrower noted", off_ratio, "x", None),
        _figure("pool-lease-explicit", "acquire() and release(), against the floor", explicit_ratio, "x", None),
        *_fairness(),
        _memory(),
        _figure("pool-swap-failed", "calls lost or failed by 100 swaps under 8 threads", failed, "", 0, rounds=5),
        _figure("pool-swap-p99", "what they add to the 99th percentile of waits", added, "ms", 1, rounds=5),
        *_peers(with_ratio),
    ]


_figure = partial(figure, "exia", rounds=_ROUNDS)


def _paired(measure: Any, **settings: Any) -> tuple[float, float]:
    """Return the median ratio of `measure` to the floor around it, and its median in ns."""
    floor = Floor()
    ratios, costs = [], []
    with exia.pool(Thing, max_size=4, **settings) as pool:
        _fill(pool, 4)
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


def _fill(pool: exia.Pool[Thing], size: int) -> None:
    for lease in [pool.acquire() for _ in range(size)]:
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


@contextmanager
def _ours(size: int) -> Iterator[Pooled]:
    with exia.pool(Thing, max_size=size, min_idle=size) as pool:
        yield Pooled(pool.acquire, lambda lease: lease.release())


def _fairness(rounds: int = 9, seconds: float = 0.5) -> list[dict[str, Any]]:
    """Let 8 threads lease 4 objects for 1 ms each, in each bounded pool in turn."""
    pools = [Peer("exia", "exia", _ours, fair=True), *(peer for peer in peers() if peer.bounded)]
    indices: dict[str, list[float]] = {pool.id: [] for pool in pools}
    rates: dict[str, list[float]] = {pool.id: [] for pool in pools}
    for _ in range(rounds):
        for pool in pools:
            shares = _shares(pool.opened, seconds)
            indices[pool.id].append(sum(shares) ** 2 / (8 * sum(s * s for s in shares)))
            rates[pool.id].append(sum(shares) / seconds)
    jain = {id: statistics.median(values) for id, values in indices.items()}
    unfair = [pool for pool in pools if not pool.fair]
    fairest = max(pools[1:], key=lambda pool: jain[pool.id])
    fastest = max(unfair, key=lambda pool: statistics.median(rates[pool.id]))
    ratio = statistics.median(a / b for a, b in zip(rates["exia"], rates[fastest.id], strict=True))
    what = "8 threads on 4 objects, 1 ms hold: Jain index"
    rows = [
        _figure(
            "pool-jain", what, jain["exia"], "", 0.99, better="high", rounds=rounds, peer=fairest.name,
            peer_value=jain[fairest.id],
        ),
        _figure(
            "pool-throughput", "the same: leases per second, against the best unfair pool",
            ratio, "x", 0.92, better="high", rounds=rounds, peer=fastest.name, peer_value=1.0,
        ),
    ]  # fmt: skip
    for pool in unfair:
        rows.append(
            _figure(
                f"pool-jain-{pool.id}", f"{what}: {pool.name}", jain["exia"], "", None, better="high", rounds=rounds,
                peer=pool.name, peer_value=jain[pool.id],
            )
        )  # fmt: skip
    return rows


def _shares(opened: Callable[[int], Any], seconds: float) -> list[int]:
    shares = [0] * 8
    start, stop = threading.Barrier(9), threading.Event()
    with opened(4) as (take, give):

        def work(i: int) -> None:
            start.wait()
            while not stop.is_set():
                one = take()
                try:
                    time.sleep(0.001)
                finally:
                    give(one)
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


def _memory(rounds: int = 5) -> dict[str, Any]:
    """Return what an idle object takes above the bare one, here and in the most frugal peer that lends as we do."""
    # A queue knows nothing of its objects: no counts, no age, no borrower.
    measured = {
        peer.name: _idle_memory(peer.opened, rounds) for peer in peers() if peer.id in ("dbutils", "sqlalchemy")
    }
    best = min(measured, key=measured.__getitem__, default=None)
    return _figure(
        "pool-idle-memory", "memory per idle object above the bare object", _idle_memory(_ours, rounds), "B", 128,
        rounds=rounds, peer=best, peer_value=None if best is None else measured[best],
    )  # fmt: skip


def _idle_memory(opened: Callable[[int], Any], rounds: int, n: int = 2_000) -> float:
    """Return the median of bytes per idle object, without the object's own and what any pool takes once."""

    def held(size: int) -> int:
        gc.collect()
        tracemalloc.start()
        with opened(size):
            gc.collect()
            found = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return found

    held(1)  # what is imported and made once
    costs = [(held(n + 1) - held(1)) / n for _ in range(rounds)]
    return statistics.median(costs) - sys.getsizeof(Thing())


def _peers(ours: float) -> list[dict[str, Any]]:
    """Return what each peer costs against the floor."""
    rows = []
    for peer in peers():
        with peer.opened(4) as pooled:
            ratio = _against_floor(pooled)
        what = f"lease and return, defaults, 4 objects: {peer.name}, against the floor"
        rows.append(_figure(f"pool-lease-{peer.id}", what, ours, "x", None, peer=peer.name, peer_value=ratio))
    return rows


def _against_floor(pooled: Pooled, n: int = _LOOPS // 10) -> float:
    floor, ratios = Floor(), []
    take, give = pooled
    for _ in range(_ROUNDS):
        before = _turns(floor)
        began = time.thread_time_ns()
        for _ in range(n):
            give(take())
        cost = (time.thread_time_ns() - began) / n
        ratios.append(2 * cost / (before + _turns(floor)))
    return statistics.median(ratios)


if __name__ == "__main__":
    for row in figures():
        print(
            f"{row['id']:28} {row['value']:>12} {row['unit']:4} bar {row['bar']}  {row['figure']}",
            row["peer"] or "",
            row["peer_value"] or "",
        )
