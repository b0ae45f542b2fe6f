"""Every error of exia; the base and the kinds that decide exit codes are drawn in ``_house/errors.py``.

::

    ExiaError
    ├── PoolTimeout            1   no object in time; also TimeoutError
    ├── PoolBusy               1   too many wait already
    ├── FactoryError           1   the factory raised, or made nothing
    ├── LoadError              1   a ref exists but does not load
    ├── SwapRefused            1   a new version failed its check; the old one stays
    ├── WorkerDied             1   the process that an object lives in has ended
    ├── MethodFailed           1   a command called a method, and that raised
    ├── PoolClosed             5   Conflict: the pool is closed, or was opened before a fork
    ├── PoolExists             5   Conflict: the name is taken
    ├── SwapUnderWay           5   Conflict: another swap is not decided yet
    ├── LeaseReturned          5   Conflict: the lease was given back before
    ├── RunClosed              5   Conflict: the run is closed
    ├── ForeignLease           2   BadInput: the lease belongs to another pool
    ├── WrongArguments         2   BadInput, TypeError: a method does not take these
    ├── PoolNotFound           3   NotFound
    ├── RefNotFound            3   NotFound
    ├── MethodNotFound         3   NotFound, AttributeError
    └── RunNotFound            3   NotFound
"""

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
    "ConfigError",
    "Conflict",
    "ExiaError",
    "FactoryError",
    "ForeignLease",
    "LeaseReturned",
    "LoadError",
    "MethodFailed",
    "MethodNotFound",
    "MissingExtra",
    "NotAllowed",
    "NotFound",
    "PoolBusy",
    "PoolClosed",
    "PoolExists",
    "PoolNotFound",
    "PoolTimeout",
    "RefNotFound",
    "RunClosed",
    "RunNotFound",
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
    """A method that a command called raised; what it raised is the ``__cause__``."""


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


class SwapRefused(ExiaError):
    """The new version failed its check; the pool goes on with the old one."""


class SwapUnderWay(Conflict):
    """Another swap of this pool is not decided yet."""


class WorkerDied(ExiaError):
    """The process that a pooled object lives in has ended; the pool makes another."""
