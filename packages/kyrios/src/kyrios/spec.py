"""What ``flow.yaml`` and ``units/<name>.yaml`` may hold; closed keys, and pydantic is the truth."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    StrictInt,
    StringConstraints,
    model_validator,
)

Name = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Text = Annotated[str, StringConstraints(strict=True)]
Scalar = Literal["string", "integer", "number", "boolean", "array", "object"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _seconds(value: object) -> object:
    """Turn ``250ms``, ``30s``, ``5m``, ``2h`` or ``1d`` into seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value) if isinstance(value, str) else None
    if match is None or not float(match[1]):
        raise ValueError("must be a duration such as 30s, 5m or 2h")
    return float(match[1]) * _UNITS[match[2]]


def _cron(value: str) -> str:
    if value in ("@hourly", "@daily", "@weekly", "@monthly", "@yearly"):
        return value
    if len(value.split()) != 5 or not re.fullmatch(r"[\d*/,\-A-Za-z# ?LW]+", value):
        raise ValueError("must be a cron line of five fields, such as '0 18 * * 1-5'")
    return value


def _zone(value: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(value)
    except Exception:
        raise ValueError("must be a time zone of the IANA list, such as 'Asia/Shanghai'") from None
    return value


Duration = Annotated[float, BeforeValidator(_seconds)]
UseRef = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z][a-z0-9_]*@\d+(\.\d+){0,2}$")]
Source = Annotated[str, StringConstraints(strict=True, pattern=r"^\w+\.\w+$")]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


class Info(_Closed):
    """Who and what."""

    version: Annotated[str, StringConstraints(strict=True, pattern=r"^\d+(\.\d+){0,2}$")]
    summary: Text = ""
    owner: Text = ""
    tags: list[Text] = Field(default_factory=list)
    docs: Text = ""
    deprecated: Text = ""


class Param(_Closed):
    """A parameter of a unit; without a default it must be given."""

    type: Scalar
    default: Any = None
    summary: Text = ""


class Port(_Closed):
    """A table that a unit takes or gives; ``columns`` are names with Arrow types."""

    type: Literal["table"]
    columns: dict[str, Text] | None = None
    summary: Text = ""


class Schedule(_Closed):
    """When a flow starts by itself: at the times of a cron line, or again and again as a service loop."""

    cron: Annotated[Text, AfterValidator(_cron)] | None = None
    tz: Annotated[Text, AfterValidator(_zone)] = "UTC"
    every: Duration | None = None
    overrun: Literal["skip", "queue", "merge"] = "skip"
    watchdog: Duration | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.cron is None) == (self.every is None):
            raise ValueError("must hold either cron or every")
        if self.every is None and self.model_fields_set & {"overrun", "watchdog"}:
            raise ValueError("must hold every where it holds overrun or watchdog")
        if self.every is not None and self.every < 0.001:
            raise ValueError("must tick at most every 1ms")
        return self


class Tries(_Closed):
    """How often a unit is tried, and how long it may take."""

    retries: Annotated[StrictInt, Field(ge=0, le=100)] | None = None
    retry_delay: Duration | None = None
    backoff: Annotated[float, Field(ge=1, le=100)] | None = None
    longest_delay: Duration | None = None
    timeout: Duration | None = None


class Loop(_Closed):
    """Call a unit again with what it gave, until a condition holds."""

    times: Annotated[StrictInt, Field(ge=1, le=1_000_000)]
    until: Text | None = None


class Case(_Closed):
    """Which unit runs for each value of an expression."""

    on: Text
    cases: Annotated[dict[str, UseRef], Field(min_length=1)]
    otherwise: UseRef | None = None


class Use(Tries):
    """One unit in a flow: what it is, where its inputs come from, its parameters, and when it runs.

    It holds exactly one of ``use``, ``branch``, ``select`` and ``gate``.
    """

    use: UseRef | None = None
    branch: Case | None = None
    select: Annotated[list[Source], Field(min_length=1)] | None = None
    gate: Source | None = None
    inputs: dict[str, Source] = Field(default_factory=dict, alias="in")
    params: dict[str, Any] = Field(default_factory=dict, alias="with")
    after: list[Name] = Field(default_factory=list)
    map: dict[Name, Any] = Field(default_factory=dict)
    loop: Loop | None = None
    fallback: list[UseRef] = Field(default_factory=list)
    when: Literal["all_succeeded", "all_done", "any_succeeded", "any_failed"] | None = None
    condition: Text | None = Field(None, alias="if")
    may_fail: StrictBool = False
    group: Name | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        kinds = [k for k in ("use", "branch", "select", "gate") if getattr(self, k) is not None]
        if len(kinds) != 1:
            raise ValueError("must hold exactly one of use, branch, select and gate")
        return self

    @property
    def sources(self) -> list[str]:
        """Every ``unit.output`` that it reads."""
        return [*self.inputs.values(), *(self.select or ()), *([self.gate] if self.gate else ())]


Call = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]


class CeleryOptions(_Closed):
    """What Celery is told of a unit."""

    queue: Name | None = None


class RayOptions(_Closed):
    """What Ray is told of a unit: what it needs of its node; memory in bytes."""

    cpus: Annotated[float, Field(ge=0)] | None = None
    gpus: Annotated[float, Field(ge=0)] | None = None
    memory: Annotated[StrictInt, Field(gt=0)] | None = None
    resources: dict[Text, Annotated[float, Field(gt=0)]] | None = None


class DaskOptions(_Closed):
    """What Dask is told of a unit: what it needs of its worker, and whether it goes before others."""

    resources: dict[Text, Annotated[float, Field(gt=0)]] | None = None
    priority: StrictInt | None = None


class EngineOptions(_Closed):
    """What one engine alone is told."""

    celery: CeleryOptions | None = None
    ray: RayOptions | None = None
    dask: DaskOptions | None = None


class Extension(_Closed):
    """What is called around a unit, and what engines are told of it."""

    before: list[Call] = Field(default_factory=list)
    after: list[Call] = Field(default_factory=list)
    on_error: list[Call] = Field(default_factory=list)
    on_retry: list[Call] = Field(default_factory=list)
    plugins: list[Text] = Field(default_factory=list)
    engines: EngineOptions | None = None


class FlowExtension(Extension):
    """What is called around every unit of a flow, and the templates that its scripts are rendered from."""

    templates: dict[Text, Text] = Field(default_factory=dict)


def _fuse(value: object) -> object:
    if value in ("none", "auto"):
        return value
    names = re.compile(r"[a-z][a-z0-9_]{0,62}")
    if isinstance(value, dict) and value and all(names.fullmatch(name) for name in value):
        groups = value.values()
        if all(isinstance(g, list) and len(g) > 1 and all(isinstance(unit, str) for unit in g) for g in groups):
            return value
    raise ValueError("must be none, auto, or groups such as {small: [first, second]}")


#: Which units share a task: none, those that Kyrios finds, or those of each group.
Fuse = Annotated[Literal["none", "auto"] | dict[str, list[str]], PlainValidator(_fuse)]


class FlowSpec(_Closed):
    """``flow.yaml``."""

    kyrios: Literal[1]
    flow: Name
    info: Info
    schedule: Schedule | None = None
    params: dict[Name, Any] = Field(default_factory=dict)
    inputs: dict[Name, Port] = Field(default_factory=dict)
    outputs: dict[Name, Source] = Field(default_factory=dict)
    tolerance: dict[Source, Annotated[float, Field(gt=0, lt=1)]] = Field(default_factory=dict)
    defaults: Tries = Tries()
    units: Annotated[dict[Name, Use], Field(min_length=1)]
    fuse: Fuse = "none"
    extension: FlowExtension = FlowExtension()


class RunSpec(Tries):
    """How a unit is called: exactly one of ``call``, ``shell``, ``sql`` and ``veda``."""

    call: Call | None = None
    shell: Text | None = None
    sql: Text | None = None
    engine: Literal["sqlite", "duckdb"] | None = None
    veda: Text | None = None
    method: Name | None = None
    env: dict[str, Text] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one(self) -> Self:
        kinds = [k for k in ("call", "shell", "sql", "veda") if getattr(self, k) is not None]
        if len(kinds) != 1:
            raise ValueError("must hold exactly one of call, shell, sql and veda")
        for word, kind in (("engine", "sql"), ("method", "veda")):
            if getattr(self, word) is not None and kinds != [kind]:
                raise ValueError(f"must hold {kind} where it holds {word}")
        if self.veda is not None and "@" not in self.veda:
            raise ValueError(f"must say which version of the package it calls, such as {self.veda}@~=1.2")
        if kinds == ["veda"] and self.method is None:
            raise ValueError("must hold method where it holds veda")
        if self.env and kinds != ["shell"]:
            raise ValueError("must hold shell where it holds env")
        return self


class StateSpec(_Closed):
    """What is kept between runs."""

    cache: StrictBool = False


class Interface(_Closed):
    """What a unit takes and gives."""

    params: dict[Name, Param] = Field(default_factory=dict)
    inputs: dict[Name, Port] = Field(default_factory=dict)
    outputs: dict[Name, Port] = Field(default_factory=dict)


class UnitSpec(_Closed):
    """``units/<name>.yaml``."""

    kyrios: Literal[1]
    unit: Name
    info: Info
    run: RunSpec
    state: StateSpec = StateSpec()
    interface: Interface = Interface()
    extension: Extension = Extension()


#: The test that a value passes to be a parameter of this type; True is not a number.
FITS: dict[str, Any] = {
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}

_WORDS = {"array": "a list", "object": "a mapping", "integer": "a whole number", "string": "a text"}


def in_words(kind: str) -> str:
    """Return the name of a parameter's type as a sentence needs it."""
    return _WORDS.get(kind, f"a {kind}")
