"""The pool under load: versions are swapped, verbs fail, callers give up; every call is accounted for."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from tests.faults.figures import Faults

import exia
from exia.errors import FactoryError, PoolTimeout, SwapRefused

THREADS = 8
SECONDS = 40  #: of load under swaps
LEASES = 2_000_000


class Version:
    """One version of an algorithm; knows when two call it at once."""

    number = 0

    def __init__(self) -> None:
        self.taken = threading.Lock()

    def signal(self, call: int) -> tuple[int, int]:
        return self.number, call


def version(number: int) -> type[Version]:
    return type(f"Version{number}", (Version,), {"number": number})


class BrokenInside(Version):
    """Is made and checked without complaint; a probe that calls it finds out."""

    number = -1

    def signal(self, call: int) -> tuple[int, int]:
        raise ValueError("broken")


def unmakeable() -> Version:
    raise OSError("broken")


@pytest.fixture(autouse=True)
def fast_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-3)
    yield
    sys.setswitchinterval(before)


def loaded(work: Callable[[int], None]) -> None:
    """Run `work` in each thread to its end; a thread that hangs fails."""
    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS * 10)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"


def test_no_call_is_lost_while_versions_are_swapped(faults: Faults):
    figure = faults.figure("pool-swap", "exia", "calls by 8 threads while the version is swapped")
    seconds = max(2.0, SECONDS * faults.share)
    end = time.monotonic() + seconds
    answered: list[dict[int, int]] = [{} for _ in range(THREADS)]
    asked = [0] * THREADS
    harms: list[str] = []
    swaps = refused = undone = 0

    with exia.pool(version(0), max_size=4, max_idle=4) as pool:

        def work(i: int) -> None:
            while time.monotonic() < end:
                for _ in range(50):
                    call = asked[i] = asked[i] + 1
                    try:
                        with pool.lease() as algorithm:
                            if not algorithm.taken.acquire(blocking=False):
                                harms.append(f"call {i}:{call}: its object was out twice")
                                continue
                            try:
                                number, same = algorithm.signal(call)
                            finally:
                                algorithm.taken.release()
                    except Exception as exc:
                        harms.append(f"call {i}:{call}: {type(exc).__name__}: {exc}")
                    else:
                        answered[i][same] = number

        def change() -> None:
            nonlocal swaps, refused, undone
            number = 0
            pause = min(0.5, seconds / 30)
            while time.monotonic() < end - 2 * pause:
                number += 1
                broken = (unmakeable, BrokenInside, None, None)[number % 4]
                try:
                    swap = pool.swap(
                        broken or version(number),
                        canary=0.2 if number % 3 == 0 else 0.0,
                        trial=200,
                        probe=lambda algorithm: algorithm.signal(0),
                    )
                except SwapRefused:
                    refused += 1
                    continue
                swaps += 1
                if swap.wait(pause) == "canary":
                    swap.promote()
                if number % 7 == 0 and swap.state == "watching":
                    swap.undo()
                    undone += 1

        changer = threading.Thread(target=change, daemon=True)
        changer.start()
        loaded(work)
        changer.join(60)
        stats = pool.stats()

    for i in range(THREADS):
        missing = set(range(1, asked[i] + 1)) - set(answered[i])
        harms += [f"call {i}:{call} has no answer" for call in sorted(missing)[:3]]
    seen = {number for one in answered for number in one.values()}
    if stats.in_use or stats.waiting:
        harms.append(f"{stats.in_use} in use and {stats.waiting} waiting at the end")
    for harm in harms:
        figure.survives(harm)
    figure.tried += sum(asked)
    figure.survived += sum(asked) - len(harms)
    print(f"{sum(asked)} calls, {swaps} swaps, {refused} refused, {undone} undone, {len(seen)} versions seen")

    assert figure.lost == 0, figure.harms[:5]
    assert swaps >= min(20, seconds)
    assert refused >= 1
    assert len(seen) >= 3


def test_a_version_that_fails_only_in_calls_is_taken_back_and_the_damage_is_bounded(faults: Faults):
    figure = faults.figure("pool-way-back", "exia", "a version whose every call fails is swapped in under load")
    for n in range(faults.count(100)):
        failed, stop = [0] * THREADS, threading.Event()
        with exia.pool(version(1), max_size=4) as pool:

            def work(i: int, pool: exia.Pool[Version] = pool, failed: list[int] = failed, stop: threading.Event = stop):
                while not stop.is_set():
                    try:
                        with pool.lease() as algorithm:
                            algorithm.signal(0)
                    except ValueError:
                        failed[i] += 1

            threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(THREADS)]
            for thread in threads:
                thread.start()
            swap = pool.swap(BrokenInside, canary=0.1 if n % 2 else 0.0)
            state = swap.wait(30)
            stop.set()
            for thread in threads:
                thread.join(30)
            # Those that ran on it when it was taken back fail too: at most one per object.
            bound = 2 + 2 * 4
            harm = None if state == "undone" and sum(failed) <= bound else f"{state}, {sum(failed)} failed"
            figure.survives(harm)

    assert figure.lost == 0, figure.harms


class Moody:
    """A factory whose verbs all fail now and then."""

    def __init__(self) -> None:
        self.alive = 0
        self.count = threading.Lock()
        self.random = random.Random(5)

    def _maybe(self) -> None:
        if self.random.random() < 0.001:
            raise ValueError("mood")

    def make(self) -> Version:
        self._maybe()
        with self.count:
            self.alive += 1
        return Version()

    def activate(self, obj: Version) -> None:
        self._maybe()

    def passivate(self, obj: Version) -> None:
        self._maybe()

    def validate(self, obj: Version) -> bool:
        self._maybe()
        return self.random.random() > 0.001

    def destroy(self, obj: Version) -> None:
        with self.count:
            self.alive -= 1
        self._maybe()

    def on_error(self, exc: BaseException) -> str:
        self._maybe()
        return self.random.choice(("keep", "reset", "destroy"))


@pytest.mark.parametrize("moody", [False, True], ids=["plain", "moody"])
def test_no_object_is_lost_or_lent_twice(faults: Faults, caplog: pytest.LogCaptureFixture, moody: bool):
    caplog.set_level("CRITICAL", "exia")
    name = "pool-chaos-verbs" if moody else "pool-chaos"
    what = "every factory verb failing now and then" if moody else "random time-outs and failing blocks"
    figure = faults.figure(name, "exia", f"leases with {what}, 8 threads on 4 objects")
    share = faults.count(LEASES // 5 if moody else LEASES - LEASES // 5) // THREADS
    factory = Moody()
    done, harms = [0] * THREADS, []

    with exia.pool(
        factory if moody else Version, max_size=4, validate_after=0, max_uses=1000 if moody else None
    ) as pool:

        def work(i: int) -> None:
            rng = random.Random(i)
            for _ in range(share):
                try:
                    with pool.lease(rng.choice((None, None, 0, 1e-4))) as obj:
                        if not obj.taken.acquire(blocking=False):
                            harms.append("an object was out twice")
                            continue
                        try:
                            if rng.random() < 0.001:
                                _ = 1 / 0
                        finally:
                            obj.taken.release()
                except (PoolTimeout, FactoryError, ZeroDivisionError):
                    pass
                done[i] += 1

        loaded(work)
        stats = pool.stats()
        if stats.in_use or stats.waiting or stats.idle != stats.size or stats.size > 4:
            harms.append(f"at the end: {stats}")
        if stats.created - sum(stats.destroyed.values()) != stats.size:
            harms.append(f"created and destroyed do not tally: {stats}")
    if moody and factory.alive:
        harms.append(f"{factory.alive} objects were never destroyed")
    for harm in harms:
        figure.survives(harm)
    figure.tried += sum(done)
    figure.survived += sum(done)

    assert figure.lost == 0, figure.harms[:5]
