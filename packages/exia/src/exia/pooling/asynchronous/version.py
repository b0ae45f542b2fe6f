# Written by scripts/async-pool from pooling/version.py; change that, and run it.
"""What a pool lends: versions, and the generations of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from exia.methods import MethodTable
    from exia.pooling.asynchronous.care import Care

T = TypeVar("T")


class Version(Generic[T]):
    """One version of what a pool lends, and the count of its objects."""

    __slots__ = ("care", "digest", "errors", "label", "methods", "retired", "size")

    def __init__(self, care: Care[T], label: str, methods: MethodTable | None, digest: str = "") -> None:
        self.care = care
        self.label = label
        self.methods = methods
        self.digest = digest
        self.size = 0  #: Objects that exist, those being made included.
        self.retired = 0  #: Leases of objects that exist no more.
        self.errors = 0  #: Leases that ended with an exception.


class Line(Generic[T]):
    """One generation of one version; an entry of another line than the pool's own leaves the fast way.

    The `twin` of a line stands for the same generation, but is another object: an entry that
    carries it takes the long way once, and is looked at closely there.
    """

    __slots__ = ("epoch", "generation", "params", "real", "twin", "version")

    def __init__(
        self, version: Version[T], generation: int, params: Mapping[str, Any] | None, epoch: int, *, real: Any = None
    ) -> None:
        self.version = version
        self.generation = generation
        self.params = params
        self.epoch = epoch  #: Counts `AsyncPool.drain`: objects of an older epoch are stale.
        self.real: Line[T] = self if real is None else real
        self.twin: Line[T] = self if real is not None else Line(version, generation, params, epoch, real=self)
