"""What makes, readies and destroys pooled objects; a plain class or callable is a factory too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

from exia.errors import BadInput, WrongArguments

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
        Tell whether it is still good; called when the pool's validation rule says so, by default at a
        lease if it lay idle for ``validate_after`` seconds.
    ``apply_params(obj, snapshot)``
        Take new parameters (a mapping, never changed afterwards); called at the first lease after
        `Pool.set_params`. Objects of a class without it are made anew with the new parameters.
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

    __slots__ = (
        "activate", "apply_params", "destroy", "direct", "live", "make", "on_error", "passivate", "target", "validate",
    )  # fmt: skip

    def __init__(self, target: Factory[T] | Callable[..., T]) -> None:
        own: Any = None
        if isinstance(target, Factory) and not isinstance(target, type):
            own = target
            self.make: Callable[..., T] = target.make
        elif callable(target):
            self.make = target
        else:
            raise BadInput(
                f"cannot pool {type(target).__name__} {target!r}",
                hint="give a ref, a class, a callable without arguments, or a factory with make()",
            )
        self.target = own  #: The factory, or None for a class or callable.
        #: Whether `make` takes the parameters itself.
        self.direct = own is None or bool(getattr(own, "made_with_params", False))
        #: Whether objects of this class take parameters by a method of their own.
        self.live = isinstance(target, type) and callable(getattr(target, "apply_params", None))
        self.activate: Callable[[T], object] | None = getattr(own, "activate", None)
        self.passivate: Callable[[T], object] | None = getattr(own, "passivate", None)
        self.validate: Callable[[T], bool] | None = getattr(own, "validate", None)
        self.destroy: Callable[[T], object] | None = getattr(own, "destroy", None)
        self.apply_params: Callable[[T, Mapping[str, Any]], object] | None = getattr(own, "apply_params", None)
        self.on_error: Callable[[BaseException], Verdict] = getattr(own, "on_error", _by_kind)

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Raise if objects cannot be made with `params`."""
        import inspect

        if self.target is not None:
            if self.apply_params is None and params:
                raise BadInput(
                    "params are for a class or callable, or a factory with apply_params()",
                    hint="give the factory its values when you make it",
                )
            return
        try:
            signature = inspect.signature(self.make)
        except (TypeError, ValueError):  # a builtin without a signature
            return
        try:
            signature.bind(**params)
        except TypeError as exc:
            if not self.live:
                name = name_of(self.make)
                hint = f"{name}{signature}"
                raise WrongArguments(f"{name} cannot be made with these params: {exc}", hint=hint) from None

    def at_make(self, params: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Return what `make` is called with; the rest comes by ``apply_params``."""
        if params is None or not self.direct:
            return {}
        if self.live:
            import inspect

            try:
                inspect.signature(self.make).bind(**params)
            except (TypeError, ValueError):
                return {}
        return params


def _by_kind(exc: BaseException) -> Verdict:
    # An interrupt may have stopped the object half-way through a change; an Exception left on its own terms.
    return "keep" if isinstance(exc, Exception) else "destroy"


def name_of(target: Any) -> str:
    """Return what to call a pool of `target`."""
    own = target if isinstance(target, type) or hasattr(target, "__name__") else type(target)
    return str(own.__name__)
