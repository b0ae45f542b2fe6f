"""The limits of a pool, checked once and changed as a whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from exia.errors import BadInput
from exia.pooling.waiting import seconds, whole


@dataclass(frozen=True)
class Limits:
    """What `exia.pool` takes as numbers; see there."""

    max_size: int = 8
    min_idle: int = 0
    max_idle: int | None = None
    max_waiting: int | None = None
    timeout: float = 30.0
    max_uses: int | None = None
    max_lifetime: float | None = None
    validate_after: float = 0.5
    sample: int = 0

    def __post_init__(self) -> None:
        whole(self.max_size, "max_size", 1)
        whole(self.min_idle, "min_idle", 0)
        whole(self.sample, "sample", 0)
        for name, least in (("max_idle", 0), ("max_waiting", 0), ("max_uses", 1)):
            if getattr(self, name) is not None:
                whole(getattr(self, name), name, least)
        seconds(self.timeout, "timeout")
        seconds(self.validate_after, "validate_after")
        if self.max_lifetime is not None and seconds(self.max_lifetime, "max_lifetime") == 0:
            raise BadInput("max_lifetime must be more than 0 seconds")
        most = self.max_size if self.max_idle is None else min(self.max_idle, self.max_size)
        if self.min_idle > most:
            raise BadInput(
                f"min_idle is {self.min_idle}, but at most {most} objects may be idle",
                hint="lower min_idle, or raise max_idle and max_size",
            )

    @property
    def plain(self) -> bool:
        """Whether a return needs none of the checks: all limits but those on number and time of waiting are off."""
        free = self.max_idle is None or self.max_idle >= self.max_size
        return free and self.max_uses is None and self.max_lifetime is None and not self.sample

    def changed(self, **values: Any) -> Limits:
        """Return these limits with `values` in their place."""
        return replace(self, **values)
