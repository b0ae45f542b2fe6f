"""What a pool tells whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Event:
    """One thing that happened to a pool.

    Attributes
    ----------
    kind
        ``created``, ``destroyed``, ``timeout``, ``refused``, ``leaked``, ``returned`` (a
        lease that was reported as leaked), ``changed``, ``drained``, ``params``, ``canary``,
        ``swapped``, ``undone``, ``settled``, ``closed``.
    pool
        The name of the pool.
    facts
        What there is to say, such as ``cause``, ``version``, ``held`` (seconds), ``stack``.
    time
        When, in UTC.
    """

    kind: str
    pool: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))


Listener = Callable[[Event], object]
