# Written by scripts/async-pool from pooling/changing.py; change that, and run it.
"""What changes a pool while it lends: its settings, its parameters, its version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from exia.errors import SwapUnderWay
from exia.pooling.asynchronous.care import Care, Failures
from exia.pooling.asynchronous.entry import Entry
from exia.pooling.asynchronous.living import Living
from exia.pooling.asynchronous.swapping import AsyncSwap, SwapRules
from exia.pooling.asynchronous.version import Line, Version
from exia.pooling.elsewhere import Where
from exia.pooling.factory import Factory
from exia.pooling.limits import Limits
from exia.pooling.targets import Target, resolved
from exia.pooling.waiting import whole

if TYPE_CHECKING:
    from exia.pooling.asynchronous.pool import AsyncPool

T = TypeVar("T")


class Changing(Living[T]):
    """Each change begins a new generation; a lease keeps to its end what it began with."""

    __slots__ = ("_where",)

    def __init__(
        self, target: Target[T], limits: Limits, name: str, params: Mapping[str, Any] | None, where: Where
    ) -> None:
        failures = Failures()
        care = Care(target.verbs, name, failures)
        if params is not None:
            care.check_params(params)
        super().__init__(Version(care, target.label, target.methods, target.digest), failures, limits, name, params)
        self._where = where

    async def configure(self, **settings: Any) -> None:
        """Change settings of `exia.async_pool` while the pool runs: all together, or none.

        All but `name`, `params` and `background` can be changed. Surplus objects go now if idle, else
        when they return.

        Raises
        ------
        BadInput
            If there is no such setting, or the values make no sense together.
        """
        await self._change(self._limits.changed(**settings))

    async def resize(self, max_size: int) -> None:
        """Change how many objects may exist; surplus ones go now if idle, else when they return."""
        await self._change(self._limits.changed(max_size=whole(max_size, "max_size", 1)))

    async def set_max_idle(self, max_idle: int | None) -> None:
        """Change how many objects may be idle: 0 makes it an empty pool, None sets no limit."""
        await self._change(self._limits.changed(max_idle=max_idle))

    async def drain(self) -> int:
        """Replace every object: idle ones now, leased ones when they return; return the new generation."""
        line = self._aged(lambda old: Line(old.version, next(self._numbers), old.params, old.epoch + 1))
        with self._lock:
            trial = self._trial
            for idle in (self._idle, *([] if trial is None else [trial.idle])):
                while idle:
                    try:
                        self._leaving.append((idle.popleft(), "drain"))
                    except IndexError:
                        break
        await self._clear_out()
        self._tell("drained", generation=line.generation)
        self._wake()
        return line.generation

    def set_params(self, params: Mapping[str, Any]) -> int:
        """Give every object new parameters at its next lease, and none during one.

        The factory's ``apply_params(obj, snapshot)`` does it, or the object's own method
        ``apply_params(snapshot)``; objects of a class without it are made anew.

        Parameters
        ----------
        params
            All parameters, not only those that change.

        Returns
        -------
        int
            The generation from which on they hold.

        Raises
        ------
        WrongArguments
            If the class or callable does not take them; nothing changes.
        BadInput
            If the factory has no ``apply_params``; nothing changes.
        """
        snapshot = dict(params)
        self._line.version.care.check_params(snapshot)
        line = self._aged(lambda old: Line(old.version, next(self._numbers), snapshot, old.epoch))
        # What `exia.params.follow` gives says which version it is.
        version = getattr(params, "version", None)
        told = {} if version is None else {"parameters": getattr(params, "name", ""), "parameters_version": version}
        self._tell("params", generation=line.generation, **told)
        return line.generation

    def _in_force(self) -> list[Version[T]]:
        """Return what new leases get: one version, or two while one is on trial."""
        trial = self._trial
        return [self._line.version, *([] if trial is None else [trial.line.version])]

    async def swap(
        self,
        target: str | Callable[..., T] | Factory[T],
        *,
        params: Mapping[str, Any] | None = None,
        canary: float = 0.0,
        trial: int = 100,
        max_errors: float = 0.05,
        watch: float = 30.0,
        probe: Callable[[T], object] | None = None,
    ) -> AsyncSwap[T]:
        """Lend another version from now on; no call is lost, and running ones end on the old one.

        The first new object is made and checked (activate, validate, `probe`, passivate) before
        anything changes, and as many as there are old ones are made before the switch, so that
        nobody waits for them. Until the old ones have returned, up to twice ``max_size`` objects exist.

        Parameters
        ----------
        target
            What `exia.async_pool` takes: a ref such as ``"momentum@1.3.0"``, a class, a callable or a factory.
        params
            Parameters of the new version; by default the pool's own.
        canary
            Share of the leases that gets the new version at first; 0 switches all at once.
        trial
            Leases of the new version after which a canary is promoted.
        max_errors
            Share of its leases (counted as 20 at least) that may end with an exception; with more of
            them the pool goes back to the old version by itself.
        watch
            Seconds after the switch during which the old objects are kept for the way back.
        probe
            Called with the first new object; what raises or returns False stops the swap.

        Returns
        -------
        AsyncSwap
            What became of it so far: its state, its errors, and the ways to end it by hand.

        Raises
        ------
        SwapRefused
            If the new version failed its check; nothing has changed.
        SwapUnderWay
            If another swap is not decided yet.
        RefNotFound
            If nothing is published under the ref.
        """
        rules = SwapRules(canary, trial, max_errors, watch, probe)
        with self._lock:
            self._refuse_if_closed()
            swap = self._swap
            if self._checking or (swap is not None and swap.state in ("canary", "promoting")):
                raise SwapUnderWay(
                    f"pool {self.name!r} is being swapped already", hint="promote() or undo() that swap first"
                )
            self._checking = True
        try:
            found = resolved(target, where=self._where)
            care = Care(found.verbs, self.name, self._failures)
            wanted = self._line.params if params is None else dict(params)
            if wanted is not None:
                care.check_params(wanted)
            version: Version[T] = Version(care, found.label, found.methods, found.digest)
            swap = AsyncSwap(cast("AsyncPool[T]", self), version, None if params is None else dict(params), rules)
            await swap._begin()
            return swap
        finally:
            self._checking = False

    async def _change(self, limits: Limits) -> None:
        with self._lock:
            before, self._limits = self._limits, limits
            self._period, self._sample = limits.period, limits.looked
            self._take = limits.taking.taker(self._idle)
            if (before.looked, before.track) != (limits.looked, limits.track):
                # A new generation: each object is armed anew at its next lease.
                old = self._line
                self._line = Line(old.version, next(self._numbers), old.params, old.epoch)
                self._track(limits)
            self._regate()
            self._match()
            most = limits.max_size if limits.max_idle is None else limits.max_idle
            size = self._line.version.size
            surplus = max(size - limits.max_size, len(self._idle) - most)
            leaving: list[Entry[T]] = []
            while surplus > len(leaving) and self._idle:
                try:
                    leaving.append(self._take())
                except IndexError:
                    break
        for entry in leaving:
            await self._destroy(entry, "resize" if self._line.version.size > limits.max_size else "idle")
        self._keep()
        self._wake()
        self._tell("changed", settings=limits)

    def _track(self, limits: Limits) -> None:
        """Note as many of the borrowers as `limits` say."""
