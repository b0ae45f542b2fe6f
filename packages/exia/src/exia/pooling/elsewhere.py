"""Pooled objects that live elsewhere: what is leased stands for them, and its methods are called there."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, TypeVar

from exia._house.errors import nearest
from exia.errors import BadInput, MethodNotFound, MissingExtra, WorkerDied
from exia.methods import MethodTable
from exia.pooling.factory import Verdict

#: Where the objects of a pool live: in this process, each in a process of its own, or each in a Ray actor.
Where = Literal["here", "process", "ray"]


class Elsewhere:
    """Stands for an object that lives elsewhere: its public methods can be called, its attributes not be read."""

    _where = "elsewhere"

    def _take_table(self, table: MethodTable | None) -> None:
        """Keep which methods the new object has."""
        if table is None:
            raise BadInput("the target returned None", hint="it must return the new object")
        self.__exia_methods__ = table

    def _call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call the method `name` there."""
        raise AttributeError(name)

    def _renew(self, params: Mapping[str, Any]) -> None:
        """Give the object new parameters, or make it anew where it lives."""

    def _usable(self) -> bool:
        """Tell whether it lives, as far as that is known here."""
        return True

    def _answers(self) -> bool:
        """Ask whether it lives."""
        return self._usable()

    def _end(self) -> None:
        """End it, and what it lives in."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        table = self.__dict__.get("__exia_methods__") or {}
        if name not in table:
            raise MethodNotFound(
                f"the object in {self._where} has no method {name!r}",
                hint=nearest(name, table) or f"it has: {', '.join(sorted(table)) or 'none'}",
            )

        def method(*args: Any, **kwargs: Any) -> Any:
            return self._call(name, args, kwargs)

        method.__name__ = name
        method.__doc__ = table[name]["summary"]
        return method

    def __repr__(self) -> str:
        return f"<object in {self._where}>"


E = TypeVar("E", bound=Elsewhere)


class ElsewhereFactory(Generic[E]):
    """Makes objects that live elsewhere."""

    #: `make` takes the parameters themselves.
    made_with_params = True

    def __init__(self, target: str | Callable[..., Any]) -> None:
        self._target: str | bytes
        if isinstance(target, str):
            self._target = target
            return
        module = getattr(target, "__module__", None)
        try:
            self._target = pickle.dumps(target)
        except (pickle.PicklingError, AttributeError, TypeError):
            module = None
        if module in (None, "__main__") or not callable(target):
            raise BadInput(
                f"{target!r} cannot be made in another process",
                hint="give a ref, or a class or function at the top of a module that can be imported",
            )

    def apply_params(self, obj: E, snapshot: Mapping[str, Any]) -> None:
        """Give the object new parameters, or make it anew where it lives."""
        obj._renew(snapshot)

    def passivate(self, obj: E) -> None:
        """Refuse to take back what has died."""
        if not obj._usable():
            raise WorkerDied(f"{obj!r} has died")

    def validate(self, obj: E) -> bool:
        """Tell whether the object lives."""
        return obj._answers()

    def destroy(self, obj: E) -> None:
        """End the object."""
        obj._end()

    def on_error(self, exc: BaseException) -> Verdict:
        """Keep the object unless it has died or the call was interrupted."""
        return "keep" if isinstance(exc, Exception) and not isinstance(exc, WorkerDied) else "destroy"


def factory_of(where: Where, target: str | Callable[..., Any]) -> Any:
    """Return the factory that makes the objects of `target` there.

    Raises
    ------
    BadInput
        If they cannot be made in another process.
    MissingExtra
        If `where` is ``"ray"`` and Ray is not installed.
    """
    if where == "process":
        from exia.pooling.processes import ProcessFactory

        return ProcessFactory(target)
    try:
        from exia.pooling.ray import RayFactory
    except ModuleNotFoundError as exc:
        if exc.name != "ray":
            raise
        raise MissingExtra(
            "a pool of Ray actors needs ray, which is not installed", hint="pip install 'jiyuan-exia[ray]'"
        ) from exc
    return RayFactory(target)
