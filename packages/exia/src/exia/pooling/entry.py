"""An entry is an object's place in its pool; a lease is one borrowing of it."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from exia.errors import LeaseReturned
from exia.methods import MethodTable, call_method, methods_of

if TYPE_CHECKING:
    from exia.pooling.borrowers import Mark
    from exia.pooling.places import Places
    from exia.pooling.pool import Pool
    from exia.pooling.version import Line

T = TypeVar("T")
EMPTY: Final[Any] = object()  #: What an entry holds from its reservation until `make` has returned.


class Entry(Generic[T]):
    """An object's place in its pool: what ``with pool.lease() as obj`` enters and leaves.

    It carries the object's own counters, so that whoever holds it writes them without a lock. It
    is for one ``with`` statement; to keep a lease, or to pass it on, take ``pool.acquire()``.
    """

    __slots__ = ("_by", "_held", "_left", "_line", "_next", "_pool", "expires", "object", "since")

    def __init__(self, pool: Places[T], line: Line[T], period: int) -> None:
        self.object: T = EMPTY
        self.expires = 0.0  #: Monotonic second at which it is too old; 0 is never.
        self.since = 0.0  #: Monotonic second of the last return the long way.
        self._pool = cast("Pool[T]", pool)
        self._line = line
        self._held: Line[T] | None = None  # the line that it was leased in, while it is
        self._by: Mark | None = None  # who borrowed it, where that was noted
        self._left = period  # leases until the next count; going down to 0 is the cheapest test
        self._next = period  # what `uses` will be then

    @property
    def uses(self) -> int:
        """Leases that have ended."""
        return self._next - self._left

    def __enter__(self) -> T:
        if self._held is None:
            raise _returned(self._pool)
        return self.object

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pool = self._pool
        if error is None and self._held is pool._gate:
            self._held = None
            self._left -= 1
            if not self._left:
                self._count(pool)
            put = pool._put
            put(self)
            # Push first, look for waiters second: a waiter registers first and looks at the idle
            # objects second, so one of the two sees the other.
            if pool._waiters:
                pool._serve()
        elif self._held is None:
            raise _returned(pool)
        else:
            held, self._held = self._held, None
            self._left -= 1
            if not self._left:
                self._count(pool)
            pool._give(self, error, held)

    def _count(self, pool: Pool[T]) -> None:
        """Count on; where a look at the object is due, let its next lease take the long way."""
        uses, sample = self._next, pool._sample
        self._rearm(pool._period)
        if sample and uses // sample != (uses - pool._period) // sample:
            self._line = self._line.twin

    def _rearm(self, period: int) -> None:
        self._next += period - self._left
        self._left = period


class Lease(Generic[T]):
    """One borrowing of one object, given back once.

    ``with pool.acquire() as lease`` gives it back at the end; a lease that is dropped without
    `release` is found and its object destroyed the next time that the pool runs short.
    """

    __slots__ = ("_held", "_object", "_pool", "_version")

    def __init__(self, entry: Entry[T]) -> None:
        # A list, because its pop() is atomic: of two threads that release at once, one is refused.
        self._held = [entry]
        self._object = entry.object
        self._pool = entry._pool
        self._version = entry._line.version

    @property
    def pool(self) -> Pool[T]:
        """The pool that it was leased from."""
        return self._pool

    @property
    def version(self) -> str:
        """The version of the object, such as ``momentum@1.2.0``."""
        return self._version.label

    @property
    def object(self) -> T:
        """The object; raise `LeaseReturned` once the lease has ended."""
        if not self._held:
            raise _returned(self._pool)
        return self._object

    def release(self, error: BaseException | None = None) -> None:
        """Give the object back.

        Parameters
        ----------
        error
            What went wrong while it was out, if something did; the factory's ``on_error`` judges it.

        Raises
        ------
        LeaseReturned
            If it was given back before; nothing changes.
        """
        try:
            entry = self._held.pop()
        except IndexError:
            raise _returned(self._pool) from None
        entry._by = None
        entry.__exit__(None, error, None)

    def methods(self) -> MethodTable:
        """Return the object's public methods: name to ``{"signature": ..., "summary": ...}``."""
        table = self._version.methods
        return methods_of(self.object) if table is None else table

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call the method `name`.

        Raises
        ------
        MethodNotFound
            If there is none; the hint names the nearest.
        WrongArguments
            If it does not take these arguments; the message shows its signature.
        """
        return call_method(self.object, self.methods(), name, *args, **kwargs)

    def __enter__(self) -> Lease[T]:
        if not self._held:
            raise _returned(self._pool)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release(error)


def _returned(pool: Pool[Any]) -> LeaseReturned:
    return LeaseReturned(
        f"this lease of pool {pool.name!r} was given back before", hint="lease again: with pool.lease() as obj"
    )
