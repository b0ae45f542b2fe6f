"""The pool for asyncio keeps the promises of the other one."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

import exia
from exia import strategies
from exia.errors import (
    BadInput,
    FactoryError,
    ForeignLease,
    LeaseReturned,
    PoolBusy,
    PoolClosed,
    PoolTimeout,
    SwapRefused,
)

ROOT = Path(__file__).resolve().parents[3]


def aio(test):
    """Let pytest run a coroutine function."""

    def run(**fixtures):
        asyncio.run(test(**fixtures))

    run.__name__ = test.__name__
    return run


class Engine:
    alive = 0

    def __init__(self):
        self.out = False

    def run(self, load):
        """Return the load."""
        return load


class Slow:
    """A factory whose verbs are coroutine functions, which may fail."""

    def __init__(self, rate=0.0):
        self.rate = rate
        self.alive = 0

    async def _step(self):
        await asyncio.sleep(0)
        if random.random() < self.rate:
            raise ValueError("mood")

    async def make(self):
        await self._step()
        self.alive += 1
        return Engine()

    async def activate(self, obj):
        await self._step()

    async def passivate(self, obj):
        await self._step()

    async def validate(self, obj):
        await self._step()
        return True

    async def destroy(self, obj):
        self.alive -= 1
        await self._step()


def test_the_async_pool_is_up_to_date_with_the_source_that_it_is_written_from():
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "async-pool"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@aio
async def test_a_lease_gives_the_object_and_takes_it_back():
    async with exia.async_pool(Engine, max_size=2) as pool:
        async with pool.lease() as engine:
            assert isinstance(engine, Engine)
            assert pool.stats().in_use == 1
        async with pool.lease() as again:
            assert again is engine
        assert (pool.stats().idle, pool.stats().leases, pool.stats().created) == (1, 2, 1)


@aio
async def test_an_explicit_lease_is_given_back_once_and_to_its_own_pool():
    async with exia.async_pool(Engine) as pool, exia.async_pool(Engine) as other:
        lease = await pool.acquire()
        assert lease.call("run", 3) == 3
        with pytest.raises(ForeignLease):
            await other.release(lease)
        await lease.release()
        with pytest.raises(LeaseReturned):
            await lease.release()
        async with await pool.acquire() as held:
            assert held.object.run(1) == 1


@aio
async def test_what_comes_back_goes_to_the_caller_who_waited_longest():
    async with exia.async_pool(Engine, max_size=1) as pool:
        lease = await pool.acquire()
        order = []

        async def borrow(i):
            async with pool.lease():
                order.append(i)

        tasks = [asyncio.create_task(borrow(i)) for i in range(5)]
        await asyncio.sleep(0)
        assert pool.stats().waiting == 5
        await lease.release()
        await asyncio.gather(*tasks)

        assert order == [0, 1, 2, 3, 4]


@aio
async def test_a_pool_at_its_limits_gives_up_or_turns_away():
    async with exia.async_pool(Engine, max_size=1, timeout=0.01, max_waiting=1) as pool, pool.lease():
        with pytest.raises(PoolTimeout, match="1 of 1 leased"):
            await pool.acquire()
        waiting = asyncio.create_task(pool.acquire(timeout=30))
        await asyncio.sleep(0)
        with pytest.raises(PoolBusy):
            await pool.acquire()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert pool.stats().waiting == 0


@aio
async def test_verbs_may_be_coroutine_functions():
    factory = Slow()
    async with exia.async_pool(factory, max_size=2, validate_after=0, min_idle=1) as pool:
        assert factory.alive == 1
        for _ in range(3):
            async with pool.lease() as engine:
                assert isinstance(engine, Engine)
        await pool.clear()
    assert factory.alive == 0


@aio
async def test_a_factory_that_fails_reaches_the_borrower():
    async def make():
        raise OSError("no licence")

    async with exia.async_pool(make) as pool:
        with pytest.raises(FactoryError, match="no licence"):
            await pool.acquire()
        assert pool.stats().size == 0


@aio
async def test_cancelled_callers_lose_no_object():
    """Cancel callers at random moments: waiting, being served, in a verb, holding, giving back."""
    rng = random.Random(3)
    twice = []
    factory = Slow(0.01)
    async with exia.async_pool(factory, max_size=3, validate_after=0) as pool:

        async def work():
            for _ in range(40):
                try:
                    async with pool.lease(rng.choice((None, 0.001, 0))) as engine:
                        if engine.out:
                            twice.append(engine)
                        engine.out = True
                        try:
                            await asyncio.sleep(0)
                        finally:
                            engine.out = False
                except (PoolTimeout, FactoryError):
                    pass

        for _ in range(30):
            tasks = [asyncio.create_task(work()) for _ in range(8)]
            for _ in range(20):
                for _ in range(rng.randrange(8)):
                    await asyncio.sleep(0)
                rng.choice(tasks).cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        stats = pool.stats()
        assert twice == []
        assert stats.waiting == 0
        factory.rate = 0.0
        held = [await pool.acquire(timeout=10) for _ in range(3)]
        assert len({id(lease.object) for lease in held}) == 3
        for lease in held:
            await lease.release()
    assert factory.alive == 0


@aio
async def test_versions_are_swapped_and_taken_back():
    class Two(Engine):
        def run(self, load):
            return -load

    class Bad(Engine):
        def run(self, load):
            raise ValueError("broken")

    async def probe(engine):
        await asyncio.sleep(0)
        return engine.run(1)

    async with exia.async_pool(Engine, max_size=2) as pool:
        lease = await pool.acquire()
        swap = await pool.swap(Two, probe=probe)
        assert (lease.call("run", 1), swap.state, pool.version) == (1, "watching", "Two")
        await lease.release()
        async with pool.lease() as engine:
            assert engine.run(1) == -1

        with pytest.raises(SwapRefused):
            await pool.swap(Bad, probe=probe)

        swap = await pool.swap(Bad, canary=0.5)
        failed = 0
        for _ in range(20):
            try:
                async with pool.lease() as engine:
                    engine.run(1)
            except ValueError:
                failed += 1
        assert (await swap.wait(10), failed, pool.version) == ("undone", 2, "Two")

        swap = await pool.swap(Engine, canary=0.5, trial=3, watch=0.01)
        for _ in range(10):
            async with pool.lease() as engine:
                engine.run(1)
        assert await swap.wait(10) == "done"


@aio
async def test_settings_parameters_and_generations_change_live():
    class Live:
        window = 1

        def apply_params(self, snapshot):
            self.window = snapshot["window"]

    async with exia.async_pool(Live) as pool:
        async with pool.lease():
            pass
        pool.set_params({"window": 9})
        async with pool.lease() as obj:
            assert obj.window == 9
        await pool.drain()
        assert pool.stats().destroyed == {"drain": 1}
        await pool.configure(max_size=3, min_idle=2, track="full", leak=strategies.HeldFor(0))
        await pool.wait(10)
        heard = []
        pool.listen(lambda event: heard.append(event.kind))
        async with pool.lease():
            await pool.check()
            await pool.check()
        assert "leaked" in heard
        assert "returned" in heard


@aio
async def test_trying_never_waits():
    async with exia.async_pool(Engine, max_size=1) as pool:
        assert await pool.try_acquire() is None
        while not pool.stats().idle:
            await asyncio.sleep(0)
        lease = await pool.try_acquire()
        assert lease is not None
        assert await pool.try_acquire() is None
        await lease.release()


@aio
async def test_a_closed_pool_fails_those_who_wait():
    pool = exia.async_pool(Engine, max_size=1)
    lease = await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)

    assert await pool.close(timeout=0) == 1

    with pytest.raises(PoolClosed):
        await waiting
    await lease.release()
    assert await pool.close() == 0
    with pytest.raises(PoolClosed):
        async with pool.lease():
            pass


def test_settings_that_do_not_exist_are_refused():
    with pytest.raises(BadInput, match="no setting 'max_sise'"):
        exia.async_pool(Engine, max_sise=3)
