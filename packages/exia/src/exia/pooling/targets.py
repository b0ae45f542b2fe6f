"""From a ref, a class, a callable or a factory to what a version of a pool needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from exia.methods import MethodTable
from exia.pooling.elsewhere import Where, factory_of
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


def resolved(target: str | Callable[..., T] | Factory[T], *, where: Where = "here") -> Target[T]:
    """Return what `target` names, for objects that live `where`.

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
        pinned = _pinned(target, loaded.name, loaded.version)
        verbs: Verbs[Any] = Verbs(loaded.factory if where == "here" else factory_of(where, pinned))
        return Target(verbs, loaded.name, f"{loaded.name}@{loaded.version}", loaded.methods, loaded.digest)
    name = name_of(target)
    return Target(Verbs(target if where == "here" else factory_of(where, cast(Any, target))), name, name)


def _pinned(ref: str, name: str, version: str) -> str:
    """Return `ref` as what it was resolved to: a tag may move before the next process loads it."""
    if ref.startswith("python:"):
        return ref
    head, colon, _ = ref.partition("@")[0].rpartition(":")
    return f"{head}{colon}{name}@{version}"
