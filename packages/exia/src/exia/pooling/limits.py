"""The settings of a pool, checked once and changed as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from exia._house.errors import nearest
from exia.errors import BadInput
from exia.pooling.strategies import Eviction, Fifo, Growth, HeldFor, KeepIdle, Leak, Lifo, Order, Rested, Validation
from exia.pooling.waiting import seconds, whole

ForkPolicy = Literal["keep", "rebuild", "forbid"]
Track = Literal["off", "sampled", "full"]
_ORDERS: dict[str, Order] = {"lifo": Lifo(), "fifo": Fifo()}
_RULES = {"order": "taker", "validation": "due", "eviction": "surplus", "growth": "wanted", "leak": "leaked"}
#: The longest period: Python keeps one object for each int up to here, and others cost each entry 32 bytes.
_LONGEST = 256


@dataclass(frozen=True)
class Limits:
    """What `exia.pool` takes as settings; see there."""

    max_size: int = 8
    min_idle: int = 0
    max_idle: int | None = None
    max_waiting: int | None = None
    timeout: float = 30.0
    max_uses: int | None = None
    max_lifetime: float | None = None
    validate_after: float = 0.5
    sample: int = 1024
    track: Track = "sampled"
    fork: ForkPolicy = "rebuild"
    order: Order | Literal["lifo", "fifo"] = "lifo"
    validation: Validation | None = None
    eviction: Eviction | None = None
    growth: Growth | None = None
    leak: Leak | None = field(default_factory=HeldFor)

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
            raise BadInput("max_lifetime must be more than 0 seconds", hint="max_lifetime=3600")
        most = self.max_size if self.max_idle is None else min(self.max_idle, self.max_size)
        if self.min_idle > most:
            raise BadInput(
                f"min_idle is {self.min_idle}, but at most {most} objects may be idle",
                hint="lower min_idle, or raise max_idle and max_size",
            )
        _one_of(self.track, "track", ("off", "sampled", "full"))
        _one_of(self.fork, "fork", ("keep", "rebuild", "forbid"))
        if isinstance(self.order, str):
            _one_of(self.order, "order", ("lifo", "fifo"))
        for name, verb in _RULES.items():
            rule = getattr(self, name)
            known = isinstance(rule, str) and name == "order"
            if rule is not None and not known and not callable(getattr(rule, verb, None)):
                raise BadInput(
                    f"{name} must be an object with a method {verb}(), not {rule!r}", hint="exia.strategies has ours"
                )

    @cached_property
    def plain(self) -> bool:
        """Whether a return needs none of the checks: all limits but those on number and time of waiting are off."""
        free = self.max_idle is None or self.max_idle >= self.max_size
        return free and self.max_uses is None and self.max_lifetime is None

    @cached_property
    def looked(self) -> int:
        """Of how many leases of one object one is looked at closely; 0 is none."""
        return 0 if self.track == "off" else self.sample

    @cached_property
    def period(self) -> int:
        """Leases of one object from one count to the next."""
        return min(self.looked, _LONGEST) or _LONGEST

    @cached_property
    def taking(self) -> Order:
        """The rule of order."""
        return _ORDERS[self.order] if isinstance(self.order, str) else self.order

    @cached_property
    def asking(self) -> Validation:
        """The rule of validation."""
        return Rested(self.validate_after) if self.validation is None else self.validation

    @cached_property
    def growing(self) -> Growth:
        """The rule of growth."""
        return KeepIdle(self.min_idle) if self.growth is None else self.growth

    @cached_property
    def tended(self) -> bool:
        """Whether a thread must look after the objects."""
        idle = any(self.asking.due("idle", rest) for rest in (0.0, float("inf")))
        return self.min_idle > 0 or self.growth is not None or self.eviction is not None or idle

    def changed(self, **values: Any) -> Limits:
        """Return these settings with `values` in their place."""
        for name in values:
            if name not in self.__dataclass_fields__:
                known = list(self.__dataclass_fields__)
                hint = nearest(name, known) or f"it has {', '.join(known)}"
                raise BadInput(f"a pool has no setting {name!r}", hint=hint)
        return replace(self, **values)


def _one_of(value: Any, name: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise BadInput(
            f"{name} must be {', '.join(repr(k) for k in known[:-1])} or {known[-1]!r}, not {value!r}",
            hint=f"{name}={known[0]!r}",
        )
