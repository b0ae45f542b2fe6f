"""Every error of exia; the base and the kinds that decide exit codes are drawn in ``_house/errors.py``.

::

    ExiaError
    ├── PoolTimeout            1   no object in time; also TimeoutError
    ├── PoolBusy               1   too many wait already
    ├── FactoryError           1   the factory raised, or made nothing
    ├── LoadError              1   a ref exists but does not load
    ├── SwapRefused            1   a new version failed its check; the old one stays
    ├── WorkerDied             1   the process that an object lives in has ended
    ├── MethodFailed           1   a method raised that a command called, or an isolated model's did
    ├── Damaged                1   stored bytes are not those that were stored
    ├── PoolClosed             5   Conflict: the pool is closed, or was opened before a fork
    ├── PoolExists             5   Conflict: the name is taken
    ├── SwapUnderWay           5   Conflict: another swap is not decided yet
    ├── LeaseReturned          5   Conflict: the lease was given back before
    ├── RunClosed              5   Conflict: the run is closed
    ├── ModelExists            5   Conflict: another model has this version
    ├── ParamsChanged          5   Conflict: somebody else changed the parameters first
    ├── NotTrusted             4   NotAllowed: no trusted key has signed the model
    ├── InvalidParams          2   BadInput: a value breaks its schema
    ├── SchemaMismatch         2   BadInput: a model is not what its schema says
    ├── ForeignLease           2   BadInput: the lease belongs to another pool
    ├── WrongArguments         2   BadInput, TypeError: a method does not take these
    ├── PoolNotFound           3   NotFound
    ├── RefNotFound            3   NotFound
    ├── MethodNotFound         3   NotFound, AttributeError
    ├── ModelNotFound          3   NotFound
    ├── BlobNotFound           3   NotFound
    ├── ParamsNotFound         3   NotFound
    └── RunNotFound            3   NotFound
"""

from collections.abc import Mapping, Sequence

from exia._house.errors import (
    BackendUnavailable,
    BadInput,
    ConfigError,
    Conflict,
    MissingExtra,
    NotAllowed,
    NotFound,
    UnknownBackend,
)
from exia._house.errors import LibraryError as ExiaError

__all__ = [
    "BackendUnavailable",
    "BadInput",
    "BlobNotFound",
    "ConfigError",
    "Conflict",
    "Damaged",
    "ExiaError",
    "FactoryError",
    "ForeignLease",
    "InvalidParams",
    "LeaseReturned",
    "LoadError",
    "MethodFailed",
    "MethodNotFound",
    "MissingExtra",
    "ModelExists",
    "ModelNotFound",
    "NotAllowed",
    "NotFound",
    "NotTrusted",
    "ParamsChanged",
    "ParamsNotFound",
    "PoolBusy",
    "PoolClosed",
    "PoolExists",
    "PoolNotFound",
    "PoolTimeout",
    "RefNotFound",
    "RunClosed",
    "RunNotFound",
    "SchemaMismatch",
    "SwapRefused",
    "SwapUnderWay",
    "UnknownBackend",
    "WorkerDied",
    "WrongArguments",
]


class PoolTimeout(ExiaError, TimeoutError):
    """No object came free within the time-out."""


class PoolBusy(ExiaError):
    """``max_waiting`` callers wait already; this one was turned away at once."""


class FactoryError(ExiaError):
    """A verb of the pool's factory failed; what it raised is the ``__cause__``."""


class LoadError(ExiaError):
    """A ref is known, but what it names does not load."""


class MethodFailed(ExiaError):
    """A method raised: one that a command called (the ``__cause__``), or an isolated model's (in a note)."""


class PoolClosed(Conflict):
    """The pool gives no more objects."""


class PoolExists(Conflict):
    """An open pool has this name already."""


class LeaseReturned(Conflict):
    """The lease was given back before; its object may be somebody else's now."""


class RunClosed(Conflict):
    """The run is closed; nothing more can be logged to it."""


class ForeignLease(BadInput):
    """What was given back was not leased from this pool."""


class WrongArguments(BadInput, TypeError):
    """The method exists, but does not take these arguments."""


class PoolNotFound(NotFound):
    """No open pool has this name."""


class RefNotFound(NotFound):
    """Nothing is published under this ref."""


class MethodNotFound(NotFound, AttributeError):
    """The object has no public method of this name."""


class RunNotFound(NotFound):
    """No run has this id."""


class ModelNotFound(NotFound):
    """No model has this name, version or alias."""


class BlobNotFound(NotFound):
    """The store has no bytes of this digest."""


class ParamsNotFound(NotFound):
    """No parameters have this name, or no version of them this number."""


class ModelExists(Conflict):
    """Another model has this version already; versions never change."""


class ParamsChanged(Conflict):
    """Somebody else published a version in the meantime; nothing was written."""


class NotTrusted(NotAllowed):
    """No key that this machine trusts has signed the model; none of its bytes was parsed."""


class Damaged(ExiaError):
    """Stored bytes are not those that were stored."""


class InvalidParams(BadInput):
    """A value breaks the schema of the parameters; nothing was written.

    Attributes
    ----------
    problems
        One per broken rule: ``{"field": "window", "rule": "minimum 1", "value": 0}``.
    """

    def __init__(self, message: str, *, problems: Sequence[Mapping[str, object]] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.problems = [dict(p) for p in problems]


class SchemaMismatch(BadInput):
    """The model is not what its schema says."""


class SwapRefused(ExiaError):
    """The new version failed its check; the pool goes on with the old one."""


class SwapUnderWay(Conflict):
    """Another swap of this pool is not decided yet."""


class WorkerDied(ExiaError):
    """The process that a pooled object lives in has ended; the pool makes another."""
