"""From a ref, a class, a callable or a factory to what a version of a pool needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from exia.methods import MethodTable
from exia.pooling.factory import Factory, Verbs, name_of

T = TypeVar("T")


@dataclass(frozen=True)
class Target(Generic[T]):
    """What is pooled: how its objects are made, and what it is called."""

    verbs: Verbs[T]
    name: str
    label: str
    methods: MethodTable | None = None
    digest: str = ""


def resolved(target: str | Callable[..., T] | Factory[T]) -> Target[T]:
    """Return what `target` names.

    Raises
    ------
    RefNotFound
        If nothing is published under the ref.
    BadInput
        If it cannot be pooled.
    """
    if isinstance(target, str):
        from exia.loading import load

        loaded = load(target)
        verbs: Verbs[Any] = Verbs(loaded.factory)
        return Target(verbs, loaded.name, f"{loaded.name}@{loaded.version}", loaded.methods, loaded.digest)
    verbs = Verbs(target)
    name = name_of(target)
    return Target(verbs, name, name)
