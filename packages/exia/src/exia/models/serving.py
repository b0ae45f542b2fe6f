"""Refs that begin with ``model:``, such as ``model:ranker@champion``: saved models, for pools and commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from exia.errors import ModelNotFound, RefNotFound
from exia.methods import MethodInfo, methods_of


@dataclass(frozen=True)
class ServedModel:
    """What a ``model:`` ref loads; each pooled object is the same version, loaded and verified anew."""

    factory: Callable[..., Any]
    name: str
    version: str
    digest: str
    methods: Mapping[str, MethodInfo]


def load_model(ref: str) -> ServedModel:
    """Load ``NAME``, ``NAME@3``, ``NAME@champion`` or ``NAME@sha256:...`` from the configured stores.

    Raises
    ------
    RefNotFound
        If there is no such model.
    NotTrusted
        If no trusted key has signed it.
    NotAllowed
        If the configuration does not let its format load.
    """
    from exia import models

    try:
        info = models.info(ref)
    except ModelNotFound as exc:
        raise RefNotFound(str(exc), hint=exc.hint) from None
    load: Any = partial(models.load, info.ref)
    if info.format == "isolated":
        from exia.models.isolation.apart import IsolatedFactory

        load = IsolatedFactory(load)
    return ServedModel(load, info.name, str(info.version), info.digest, _methods(info.ref, info.digest))


@lru_cache(maxsize=256)
def _methods(ref: str, digest: str) -> Mapping[str, MethodInfo]:
    """Return the methods of a model; it is loaded once to learn them, and never changes."""
    from exia import models
    from exia.models.isolation.apart import Isolated

    model = models.load(ref)
    table = methods_of(model)
    if isinstance(model, Isolated):
        model._end()
    return table
