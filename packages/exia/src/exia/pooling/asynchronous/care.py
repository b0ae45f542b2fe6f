# Written by scripts/async-pool from pooling/care.py; change that, and run it.
"""Calling the verbs of a factory; every call runs outside the pool's lock and every failure is counted."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from exia.errors import FactoryError
from exia.pooling.asynchronous.hand import settled
from exia.pooling.factory import Verbs

T = TypeVar("T")
_log = logging.getLogger("exia")


class Failures:
    """How often the verbs of a pool's factories have failed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def count(self, verb: str) -> None:
        """Count one failure of `verb`."""
        with self._lock:
            self._counts[verb] += 1

    def copy(self) -> dict[str, int]:
        """Return the counts so far."""
        with self._lock:
            return dict(self._counts)

    def after_fork(self) -> None:
        """Take a new lock: the old one may be held by a thread that this process does not have."""
        self._lock = threading.Lock()


class Care(Generic[T]):
    """What a pool does with the objects of one version.

    Where a verb says why an object must go, it returns the cause, and None if the object may stay.
    An interrupt (a `BaseException` that is no `Exception`) always passes through.
    """

    def __init__(self, verbs: Verbs[T], name: str, failures: Failures) -> None:
        self._verbs = verbs
        self._name = name
        self._failures = failures

    @property
    def plain(self) -> bool:
        """Whether neither lease nor return calls a verb."""
        return self._verbs.activate is self._verbs.passivate is self._verbs.validate is None

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Raise if objects cannot be made with `params`."""
        self._verbs.check_params(params)

    async def make(self, params: Mapping[str, Any] | None) -> T:
        """Return a new object, made with `params`; raise `FactoryError` if there is none."""
        given = self._verbs.at_make(params)
        try:
            made: T = await settled(self._verbs.make(**given))
        except BaseException as exc:
            self._failures.count("make")
            if isinstance(exc, Exception):
                raise self._error("make", exc) from exc
            raise
        if made is None:
            self._failures.count("make")
            raise FactoryError(
                f"the factory of pool {self._name!r} returned None", hint="make() must return the new object"
            )
        if params and not given and await self.renew(made, params) is not None:
            await self.destroy(made)
            raise FactoryError(f"apply_params of pool {self._name!r} failed on a new object")
        return made

    async def renew(self, obj: T, params: Mapping[str, Any] | None) -> str | None:
        """Give `obj` new parameters."""
        apply = self._verbs.apply_params
        try:
            if apply is not None:
                await settled(apply(obj, params or {}))
            elif callable(getattr(type(obj), "apply_params", None)):
                await settled(obj.apply_params(params or {}))  # type: ignore[attr-defined]
            else:
                return "params"
        except Exception as exc:
            self._failed("apply_params", exc)
            return "params"
        return None

    async def activate(self, obj: T) -> None:
        """Ready `obj`; raise `FactoryError` if that fails."""
        if self._verbs.activate is None:
            return
        try:
            await settled(self._verbs.activate(obj))
        except BaseException as exc:
            self._failures.count("activate")
            if isinstance(exc, Exception):
                raise self._error("activate", exc) from exc
            raise

    async def invalid(self, obj: T) -> str | None:
        """Ask whether `obj` is still good."""
        if self._verbs.validate is None:
            return None
        try:
            return None if await settled(self._verbs.validate(obj)) else "validate"
        except Exception as exc:
            self._failed("validate", exc)
            return "validate"

    async def tidy(self, obj: T) -> str | None:
        """Passivate `obj`."""
        if self._verbs.passivate is None:
            return None
        try:
            await settled(self._verbs.passivate(obj))
        except Exception as exc:
            self._failed("passivate", exc)
            return "passivate"
        return None

    async def judge(self, obj: T, error: BaseException) -> str | None:
        """Ask the factory what becomes of `obj`, whose borrower raised `error`, and do it."""
        try:
            verdict = await settled(self._verbs.on_error(error))
        except Exception as exc:
            self._failed("on_error", exc)
            return "on_error"
        if verdict == "keep":
            return None
        return await self._reset(obj) if verdict == "reset" else "error"

    async def destroy(self, obj: T) -> None:
        """Free what `obj` holds; a failure is counted and logged, for nobody else could act on it."""
        if self._verbs.destroy is None:
            return
        try:
            await settled(self._verbs.destroy(obj))
        except Exception as exc:
            self._failed("destroy", exc)

    async def _reset(self, obj: T) -> str | None:
        if await self.tidy(obj) is not None:
            return "error"
        try:
            await self.activate(obj)
        except FactoryError as exc:
            _log.warning("pool %r: reset: %s", self._name, exc)
            return "error"
        return None if await self.invalid(obj) is None else "error"

    def _failed(self, verb: str, exc: Exception) -> None:
        self._failures.count(verb)
        _log.warning("pool %r: %s raised %s: %s", self._name, verb, type(exc).__name__, exc)

    def _error(self, verb: str, exc: Exception) -> FactoryError:
        return FactoryError(f"{verb} of pool {self._name!r} raised {type(exc).__name__}: {exc}")
