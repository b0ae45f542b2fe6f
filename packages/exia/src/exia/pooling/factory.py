"""What makes, readies and destroys pooled objects; a plain class or callable is a factory too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

from exia.errors import BadInput

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: What becomes of an object whose borrower failed. ``reset``: passivate, activate and validate it;
#: it is destroyed if one of them fails.
Verdict = Literal["keep", "reset", "destroy"]


@runtime_checkable
class Factory(Protocol[T_co]):
    """Makes pooled objects; only `make` is needed.

    A factory may also have any of these verbs:

    ``activate(obj)``
        Ready it for a borrower; called at each lease.
    ``passivate(obj)``
        Tidy it up; called at each return.
    ``validate(obj) -> bool``
        Tell whether it is still good; called at a lease if it lay idle for ``validate_after`` seconds.
    ``destroy(obj)``
        Free what it holds; called once, when it leaves the pool.
    ``on_error(exc) -> "keep" | "reset" | "destroy"``
        Decide what becomes of it when the body of its ``with`` raised `exc`. Without this verb an
        object is kept after an `Exception` and destroyed after an interrupt.

    The pool calls every verb outside its lock. An object whose activate, passivate or validate
    fails is destroyed; a failing `make` reaches the borrower as `FactoryError`.
    """

    def make(self) -> T_co:
        """Return a new object, never None."""


class Verbs(Generic[T]):
    """The verbs of one factory, looked up once; an absent one is None."""

    __slots__ = ("activate", "destroy", "make", "on_error", "passivate", "validate")

    def __init__(self, target: Factory[T] | Callable[[], T]) -> None:
        if isinstance(target, Factory) and not isinstance(target, type):
            self.make: Callable[[], T] = target.make
        elif callable(target):
            self.make = target
        else:
            raise BadInput(
                f"cannot pool {type(target).__name__} {target!r}",
                hint="give a ref, a class, a callable without arguments, or a factory with make()",
            )
        own = None if self.make is target else target
        self.activate: Callable[[T], object] | None = getattr(own, "activate", None)
        self.passivate: Callable[[T], object] | None = getattr(own, "passivate", None)
        self.validate: Callable[[T], bool] | None = getattr(own, "validate", None)
        self.destroy: Callable[[T], object] | None = getattr(own, "destroy", None)
        self.on_error: Callable[[BaseException], Verdict] = getattr(own, "on_error", _by_kind)


def _by_kind(exc: BaseException) -> Verdict:
    # An interrupt may have stopped the object half-way through a change; an Exception left on its own terms.
    return "keep" if isinstance(exc, Exception) else "destroy"


def name_of(target: Any) -> str:
    """Return what to call a pool of `target`."""
    own = target if isinstance(target, type) or hasattr(target, "__name__") else type(target)
    return str(own.__name__)
