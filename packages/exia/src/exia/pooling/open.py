"""`exia.pool`: from a ref, a class, a callable or a factory to an open pool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, overload

from exia.errors import BadInput, WrongArguments
from exia.pooling.factory import Factory, Verbs, name_of
from exia.pooling.limits import Limits
from exia.pooling.pool import ForkPolicy, Pool

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
    order: Literal["lifo", "fifo"] = ...,
    validate_after: float = ...,
    sample: int = ...,
    fork: ForkPolicy = ...,
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
    order: Literal["lifo", "fifo"] = ...,
    validate_after: float = ...,
    sample: int = ...,
    fork: ForkPolicy = ...,
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
    order: Literal["lifo", "fifo"] = "lifo",
    validate_after: float = 0.5,
    sample: int = 0,
    fork: ForkPolicy = "rebuild",
) -> Pool[Any]:
    """Open a pool of objects.

    Parameters
    ----------
    target
        A ref such as ``"momentum@~=1.2"`` or ``"python:statistics:NormalDist"``, a class or
        callable, or a `Factory`.
    params
        What each object is made with: keyword arguments of the class or callable.
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
        ``"lifo"`` lends the object that came back last, ``"fifo"`` the one that is idle longest.
    validate_after
        Seconds of rest after which the factory's ``validate`` is asked before a lease.
    sample
        Time one in so many leases (wait and hold, in `Pool.stats`); 0 times none.
    fork
        What becomes of the pool in a forked child: ``"rebuild"`` starts it empty, ``"forbid"`` closes it.

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
    FactoryError
        If one of the `min_idle` objects cannot be made.

    Examples
    --------
    >>> import exia
    >>> with exia.pool(dict, max_size=2) as dicts, dicts.lease() as one:
    ...     one["a"] = 1
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
    )
    if name is not None and (not isinstance(name, str) or not name.strip() or not name.isprintable()):
        raise BadInput(f"a pool cannot be called {name!r}")
    methods = None
    if isinstance(target, str):
        from exia.loading import load

        loaded = load(target)
        target, methods = loaded.factory, loaded.methods
        default = loaded.name
    else:
        default = name_of(target)
    if params:
        target = _made_with(target, params)
    return Pool(
        Verbs(target), limits, name=name or default, chosen=name is not None, order=order, fork=fork, methods=methods
    )


def _made_with(target: Any, params: Mapping[str, Any]) -> Callable[[], Any]:
    """Return `target` with its keyword arguments; they are checked now, not at the first lease."""
    import inspect
    from functools import partial

    if not callable(target):
        raise BadInput("params are for a class or callable", hint="give the factory its values when you make it")
    try:
        signature = inspect.signature(target)
    except ValueError:  # a builtin without a signature
        return partial(target, **params)
    try:
        signature.bind(**params)
    except TypeError as exc:
        name = name_of(target)
        raise WrongArguments(f"{name} cannot be made with these params: {exc}", hint=f"{name}{signature}") from None
    return partial(target, **params)
