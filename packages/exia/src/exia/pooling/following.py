"""Swap a pool to whatever its ref names now: a newer release, or a tag that was moved."""

from __future__ import annotations

import logging
import threading
from inspect import signature
from typing import Any

from exia.errors import BadInput, ExiaError
from exia.pooling.pool import Pool
from exia.pooling.targets import Target, resolved
from exia.pooling.waiting import seconds

_log = logging.getLogger("exia")


def follow(pool: Pool[Any], ref: str, *, every: float = 5.0, **rules: Any) -> Follower:
    """Swap `pool` whenever `ref` names another version: a newer release, or an alias that was moved.

    Parameters
    ----------
    pool, ref, every, rules
        As in `Follower`.

    Raises
    ------
    BadInput
        If `every` is no time, or `Pool.swap` does not take one of the rules.
    RefNotFound
        If nothing is published under the ref now.

    Examples
    --------
    >>> import exia
    >>> ref = "python:statistics:NormalDist"
    >>> with exia.pool(ref) as pool, exia.follow(pool, ref, every=60, canary=0.1) as follower:
    ...     follower.look()
    False
    """
    return Follower(pool, ref, every=every, **rules)


class Follower:
    """Looks at intervals what `ref` names, and swaps `pool` to it; stop it with `stop` or by leaving its ``with``.

    A version that is refused or taken back is not tried again until the ref names another one.

    Parameters
    ----------
    pool
        The pool; it goes on as it is where the ref cannot be resolved.
    ref
        A ref such as ``"momentum@champion"``.
    every
        Seconds between two looks.
    rules
        Those of `Pool.swap`: ``canary``, ``max_errors``, ``watch``, ``probe`` and the others.
    """

    def __init__(self, pool: Pool[Any], ref: str, *, every: float = 5.0, **rules: Any) -> None:
        if seconds(every, "every") == 0:
            raise BadInput("every must be more than 0 seconds", hint="every=5")
        # Refused now, and not at the first swap, which may be days away.
        try:
            signature(pool.swap).bind(ref, **rules)
        except TypeError as exc:
            raise BadInput(
                f"a swap does not take this: {exc}", hint="canary, trial, max_errors, watch, probe"
            ) from None
        self._pool = pool
        self._ref = ref
        self._every = every
        self._rules = rules
        self._tried = self._now()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"exia-follower-{pool.name}")
        self._thread.start()

    def look(self) -> bool:
        """Look now; tell whether the pool was swapped."""
        try:
            now = self._now()
            if now == self._tried:
                return False
            self._tried = now
            self._pool.swap(self._ref, **self._rules)
        except ExiaError as exc:
            _log.warning("pool %r stays at %s: %s", self._pool.name, self._pool.version, exc)
            return False
        return True

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join(self._every)

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _now(self) -> tuple[str, str]:
        found: Target[Any] = resolved(self._ref)
        return found.label, found.digest

    def _run(self) -> None:
        while not self._stop.wait(self._every) and not self._pool.closed:
            self.look()
