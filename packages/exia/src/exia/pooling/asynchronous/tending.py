# Written by scripts/async-pool from pooling/tending.py; change that, and run it.
"""What a pool does between two leases: grow, shrink, ask idle objects, look for leaks, end swaps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from exia.errors import ExiaError, FactoryError
from exia.pooling.asynchronous.care import Failures
from exia.pooling.asynchronous.entry import EMPTY, Entry
from exia.pooling.asynchronous.lending import Lending
from exia.pooling.asynchronous.version import Version
from exia.pooling.borrowers import shown, thread_of
from exia.pooling.limits import Limits

T = TypeVar("T")
_log = logging.getLogger("exia")


class Tending(Lending[T]):
    """`_work` calls factory verbs and runs in the pool's own keeper; `_watch` calls none and runs in the watchdog."""

    __slots__ = ("_back", "_leaked", "_trouble", "_window")

    def __init__(self, version: Version[T], failures: Failures, limits: Limits, name: str, params: object) -> None:
        super().__init__(version, failures, limits, name, params)
        self._window = monotonic()  # when the eviction rule last had an answer
        self._leaked = self._back = 0
        self._trouble: ExiaError | None = None  # why the last object could not be made

    async def _work(self, stopped: Callable[[], bool]) -> float:
        """Do all that is due; return in how many seconds something is due again."""
        await self._tend()
        await self._clear_out()
        swap = self._swap
        if swap is not None:
            await swap._step()
        await self._clear_out()
        while not stopped() and await self._top_up():
            pass
        await self._ask_idle()
        await self._shrink()
        swap = self._swap
        return swap._until - monotonic() if swap is not None and swap.state == "watching" else float("inf")

    async def _clear_out(self) -> None:
        """Destroy what was taken out of service, and what a race left idle of an older version."""
        with self._lock:
            strays = [e for e in self._idle if e._line.real.version is not self._line.version]
            for entry in strays:
                try:
                    self._idle.remove(entry)
                except ValueError:  # lent a moment ago; its borrower finds out
                    continue
                self._leaving.append((entry, "swap"))
            del strays
        while self._leaving:
            try:
                entry, cause = self._leaving.popleft()
            except IndexError:
                return
            await self._destroy(entry, cause)

    def _settle_swap(self, but: object = None) -> None:
        """Close the way back of the swap before, if one is open."""
        with self._lock:
            swap = self._swap
            if swap is not None and swap is not but and swap.state == "watching":
                swap._settle()
            else:
                return
        self._tell("settled", old=swap.old, new=swap.new)

    async def _top_up(self) -> bool:
        """Make one object if the growth rule wants more; tell whether it made one."""
        with self._lock:
            limits = self._limits
            if self._closed:
                return False
            wanted = limits.growing.wanted(len(self._idle), self._line.version.size, len(self._waiters))
            entry = self._reserve(self._line, limits.max_size) if wanted > 0 else None
        if entry is None:
            return False
        try:
            await self._fill(entry)
        except ExiaError as exc:
            self._trouble = exc
            raise
        self._trouble = None
        with self._lock:
            self._shelve(entry)
            self._match()
        await self._serve()
        return True

    async def _ask_idle(self) -> None:
        """Ask idle objects whether they are still good, if the validation rule says so."""
        now, asking = monotonic(), self._limits.asking
        with self._lock:
            due = [e for e in self._idle if asking.due("idle", now - e.since if e.since else float("inf"))]
        for entry in due:
            with self._lock:
                try:
                    self._idle.remove(entry)
                except ValueError:
                    continue
            cause = self._stale(entry) or await self._care(entry).invalid(entry.object)
            if cause is not None:
                await self._destroy(entry, cause)
                continue
            with self._lock:
                # Where it came from in a LIFO pool: at the cold end.
                self._idle.appendleft(entry)
                self._match()

    async def _shrink(self) -> None:
        """Destroy idle objects that are too old, or that the eviction rule finds superfluous."""
        now = monotonic()
        leaving: list[tuple[Entry[T], str]] = []
        with self._lock:
            limits = self._limits
            for entry in [e for e in self._idle if e.expires and now >= e.expires]:
                try:
                    self._idle.remove(entry)
                except ValueError:
                    continue
                leaving.append((entry, "lifetime"))
            rule = limits.eviction
            if rule is not None:
                self._low = min(self._low, len(self._idle))
                surplus = min(rule.surplus(self._low, now - self._window), len(self._idle) - limits.min_idle)
                if surplus > 0:
                    leaving += [(entry, "evicted") for entry in self._coldest(surplus)]
                if surplus > 0 or now - self._window > _longest(rule):
                    self._window, self._low = now, len(self._idle)
        for entry, cause in leaving:
            await self._destroy(entry, cause)

    def _coldest(self, n: int) -> list[Entry[T]]:
        found: list[Entry[T]] = []
        while len(found) < n:
            try:
                found.append(self._idle.popleft())
            except IndexError:
                break
        return found

    def _watch(self, now: float) -> None:
        """Look for leases that are out for too long; the keeper is started again if it has died."""
        rule = self._limits.leak
        if self._closed or rule is None or self._limits.track == "off":
            self._seen.clear()
            return
        with self._lock:
            entries = list(self._entries)
        seen: dict[int, tuple[int, float]] = {}
        for entry in entries:
            if entry._held is None or entry.object is EMPTY:
                continue
            uses, first = self._seen.get(id(entry), (-1, now))
            if uses != entry.uses:
                uses, first = entry.uses, now
            seen[id(entry)] = (uses, first)
            if self._leaks.get(id(entry), (-1, 0.0))[0] != uses and rule.leaked(now - first):
                self._report(entry, uses, first, now)
        self._seen = seen
        self._leaks = {key: value for key, value in self._leaks.items() if key in seen}

    def _report(self, entry: Entry[T], uses: int, first: float, now: float) -> None:
        held = entry._held
        if held is None or entry.uses != uses:
            return
        self._leaks[id(entry)] = (uses, first)
        entry.since = 0.0
        entry._held = held.twin  # its return takes the long way, and says that it is back
        self._leaked += 1
        by = entry._by if entry._by is not None and entry._by[0] == uses else None
        stack = [] if by is None else shown(by)
        thread = None if by is None else thread_of(by)
        who = f"borrowed at {stack[0]}" if stack else "by a borrower who was not noted (track='full' notes all)"
        _log.warning(
            "pool %r: a lease is out for %.0f s, %s%s%s", self.name, now - first, who,
            f", thread {thread}" if thread else "", "".join(f"\n    {line}" for line in stack[1:]),
        )  # fmt: skip
        self._tell("leaked", held=now - first, stack=stack, thread=thread)

    def _came_back(self, held: float) -> None:
        self._back += 1
        _log.warning("pool %r: a lease that was reported as leaked has come back after %.0f s", self.name, held)
        self._tell("returned", held=held)

    def _note_trouble(self, exc: Exception) -> None:
        if isinstance(exc, FactoryError):
            self._trouble = exc


def _longest(rule: object) -> float:
    window = getattr(rule, "window", None)
    return float(window) if isinstance(window, int | float) else float("inf")
