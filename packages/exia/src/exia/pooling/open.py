"""`exia.pool`: from a ref, a class, a callable or a factory to an open pool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from exia.errors import BadInput
from exia.pooling.elsewhere import Where
from exia.pooling.factory import Factory
from exia.pooling.limits import ForkPolicy, Limits, Track
from exia.pooling.named import dismiss
from exia.pooling.pool import Pool
from exia.pooling.strategies import Eviction, Growth, HeldFor, Leak, Order, Validation
from exia.pooling.targets import Target, resolved

if TYPE_CHECKING:
    from exia.pooling.asynchronous.pool import AsyncPool

T = TypeVar("T")


@overload
def pool(
    target: str,
    *,
    params: Mapping[str, Any] | None = ...,
    max_size: int = ...,
    min_idle: int = ...,
    max_idle: int | None = ...,
    max_waiting: int | None = ...,
    timeout: float = ...,
    max_uses: int | None = ...,
    max_lifetime: float | None = ...,
    name: str | None = ...,
    order: Literal["lifo", "fifo"] | Order = ...,
    validate_after: float = ...,
    validation: Validation | None = ...,
    eviction: Eviction | None = ...,
    growth: Growth | None = ...,
    leak: Leak | None = ...,
    track: Track = ...,
    sample: int = ...,
    fork: ForkPolicy = ...,
    background: bool = ...,
    process: bool = ...,
    ray: bool = ...,
    record: bool = ...,
) -> Pool[Any]: ...


@overload
def pool(
    target: type[T] | Callable[..., T] | Factory[T],
    *,
    params: Mapping[str, Any] | None = ...,
    max_size: int = ...,
    min_idle: int = ...,
    max_idle: int | None = ...,
    max_waiting: int | None = ...,
    timeout: float = ...,
    max_uses: int | None = ...,
    max_lifetime: float | None = ...,
    name: str | None = ...,
    order: Literal["lifo", "fifo"] | Order = ...,
    validate_after: float = ...,
    validation: Validation | None = ...,
    eviction: Eviction | None = ...,
    growth: Growth | None = ...,
    leak: Leak | None = ...,
    track: Track = ...,
    sample: int = ...,
    fork: ForkPolicy = ...,
    background: bool = ...,
    process: bool = ...,
    ray: bool = ...,
    record: bool = ...,
) -> Pool[T]: ...


def pool(
    target: Any,
    *,
    params: Mapping[str, Any] | None = None,
    max_size: int = 8,
    min_idle: int = 0,
    max_idle: int | None = None,
    max_waiting: int | None = None,
    timeout: float = 30.0,
    max_uses: int | None = None,
    max_lifetime: float | None = None,
    name: str | None = None,
    order: Literal["lifo", "fifo"] | Order = "lifo",
    validate_after: float = 0.5,
    validation: Validation | None = None,
    eviction: Eviction | None = None,
    growth: Growth | None = None,
    leak: Leak | None = HeldFor(),  # noqa: B008 - frozen
    track: Track = "sampled",
    sample: int = 1024,
    fork: ForkPolicy = "rebuild",
    background: bool = False,
    process: bool = False,
    ray: bool = False,
    record: bool = False,
) -> Pool[Any]:
    """Open a pool of objects.

    Parameters
    ----------
    target
        A ref such as ``"momentum@~=1.2"`` or ``"python:statistics:NormalDist"``, a class or
        callable, or a `Factory`.
    params
        What each object is made with: keyword arguments of the class or callable, or the first
        snapshot for the factory's ``apply_params``.
    max_size
        The most objects that exist at once.
    min_idle, max_idle
        Objects that are kept ready, made now and topped up in the background; and the most that
        may lie idle. ``max_idle=0`` is the empty pool: nothing is kept, all limits hold.
    max_waiting
        Callers that may wait; one more is refused with `PoolBusy`. None sets no limit.
    timeout
        Seconds that a caller waits for an object; ``math.inf`` waits for ever.
    max_uses, max_lifetime
        Leases, and seconds, after which an object is replaced (the seconds less up to 5 %, so that
        objects made together do not leave together).
    name
        What `get_pool` finds it by; by default the name of the target, if no open pool has it.
    order
        ``"lifo"`` lends the object that came back last, ``"fifo"`` the one that is idle longest, and
        an `Order` as it says.
    validate_after
        Seconds of rest after which the factory's ``validate`` is asked before a lease.
    validation, eviction, growth, leak
        Rules of your own, or those of `exia.strategies` with other values: when to ask ``validate``
        (by default `Rested`), how many idle objects go (by default none), how many are made ahead
        (by default `KeepIdle`), which leases are reported as leaked (by default those out for 120 s; None
        reports none).
    track
        What is known of borrowers: ``"sampled"`` notes where each kept lease was acquired, and the
        whole stack of one lease in `sample`; ``"full"`` notes the stack of every lease; ``"off"`` none.
    sample
        Look closely at one in so many leases of each object (wait and hold in `Pool.stats`, the
        borrower's stack); 0 at none.
    fork
        What becomes of the pool in a forked child: ``"rebuild"`` starts it empty, ``"keep"`` leaves it
        the idle objects, ``"forbid"`` closes it.
    background
        Make the first `min_idle` objects in the background; `Pool.wait` waits for them.
    process
        Let each object live in a process of its own: what is leased stands for it, and its methods
        are called there. Arguments and results are pickled; arrays above 64 KB go through shared memory.
    ray
        Let each object live in a Ray actor of its own, called like one in a process; Ray starts on this
        machine, on loopback and with a token, or is the one that this process speaks to already.
    record
        Record the pool's life as a run of its name: each version that it lends with its digest, each
        version of its parameters, and how many leases they had.

    Raises
    ------
    BadInput
        If a limit makes no sense or `target` cannot be pooled.
    PoolExists
        If an open pool has this `name`.
    RefNotFound
        If nothing is published under the ref.
    WrongArguments
        If the target does not take `params`.
    MissingExtra
        If Ray is asked for and not installed.
    FactoryError
        If one of the `min_idle` objects cannot be made.
    BackendUnavailable
        If it shall record itself, and the log of runs cannot be written.

    Examples
    --------
    >>> import exia
    >>> with exia.pool(dict, max_size=2) as dicts, dicts.lease() as one:
    ...     one["a"] = 1

    Examples
    --------
    >>> import exia
    >>> with exia.pool("python:statistics:NormalDist", max_size=2) as pool, pool.lease() as normal:
    ...     round(normal.cdf(0.0), 3)
    0.5
    """
    limits = Limits(
        max_size=max_size,
        min_idle=min_idle,
        max_idle=max_idle,
        max_waiting=max_waiting,
        timeout=timeout,
        max_uses=max_uses,
        max_lifetime=max_lifetime,
        validate_after=validate_after,
        sample=sample,
        track=track,
        fork=fork,
        order=order,
        validation=validation,
        eviction=eviction,
        growth=growth,
        leak=leak,
    )
    _check_name(name)
    if process and ray:
        raise BadInput("an object lives in a process of its own or in a Ray actor, not in both", hint="leave one out")
    where: Where = "process" if process else "ray" if ray else "here"
    found = resolved(target, where=where)
    opened = Pool(
        found,
        limits,
        name=name or found.name,
        chosen=name is not None,
        params=dict(params) if params else None,
        background=background,
        where=where,
    )
    if record:
        _record(opened)
    return opened


def async_pool(
    target: str | Callable[..., T] | Factory[Any],
    *,
    params: Mapping[str, Any] | None = None,
    name: str | None = None,
    background: bool = False,
    record: bool = False,
    **settings: Any,
) -> AsyncPool[Any]:
    """Open a pool for asyncio: what `pool` does, with ``async with`` and ``await``.

    The verbs of its factory may be coroutine functions; others run in the event loop. The pool
    belongs to one loop. The first `min_idle` objects are made when it is entered.

    Parameters
    ----------
    target, params, name, background, record
        As in `pool`.
    settings
        The others of `pool`, but `process` and `ray`.

    Examples
    --------
    >>> import asyncio, exia
    >>> async def main():
    ...     async with exia.async_pool(dict, max_size=2) as dicts:
    ...         async with dicts.lease() as one:
    ...             one["a"] = 1
    >>> asyncio.run(main())
    """
    from exia.pooling.asynchronous.pool import AsyncPool

    limits = Limits().changed(**settings)
    _check_name(name)
    found: Target[Any] = resolved(target)
    opened: AsyncPool[Any] = AsyncPool(
        found,
        limits,
        name=name or found.name,
        chosen=name is not None,
        params=dict(params) if params else None,
        background=background,
    )
    if record:
        _record(opened)
    return opened


def _record(opened: Any) -> None:
    try:
        # By name: pools and runs know of one another here alone, and a pool that is not recorded loads none of it.
        import_module("exia.session").record_session(opened)
    except BaseException:
        dismiss(opened)
        raise


def _check_name(name: str | None) -> None:
    if name is not None and (not isinstance(name, str) or not name.strip() or not name.isprintable()):
        raise BadInput(f"a pool cannot be called {name!r}", hint="one line of text that can be printed")
