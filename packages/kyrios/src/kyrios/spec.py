"""What ``flow.yaml`` and ``units/<name>.yaml`` may hold; closed keys, and pydantic is the truth."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StringConstraints

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


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


class Info(_Closed):
    """Who and what."""

    version: Annotated[str, StringConstraints(strict=True, pattern=r"^\d+(\.\d+){0,2}$")]
    summary: Text = ""
    owner: Text = ""
    tags: list[Text] = []


class Schedule(_Closed):
    """When a flow starts by itself."""

    cron: Annotated[Text, AfterValidator(_cron)]
    tz: Annotated[Text, AfterValidator(_zone)] = "UTC"


class Use(_Closed):
    """One unit in a flow: what it is, where its inputs come from, its parameters."""

    use: Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z][a-z0-9_]*@\d+(\.\d+){0,2}$")]
    inputs: dict[str, Annotated[str, StringConstraints(strict=True, pattern=r"^\w+\.\w+$")]] = Field({}, alias="in")
    params: dict[str, Any] = Field({}, alias="with")
    after: list[Name] = []


class FlowSpec(_Closed):
    """``flow.yaml``."""

    kyrios: Literal[1]
    flow: Name
    info: Info
    schedule: Schedule | None = None
    params: dict[Name, Any] = {}
    units: Annotated[dict[Name, Use], Field(min_length=1)]
    fuse: Literal["none"] = "none"


class RunSpec(_Closed):
    """How a unit is called."""

    call: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    retries: Annotated[StrictInt, Field(ge=0, le=100)] = 0
    retry_delay: Duration = 1.0
    timeout: Duration | None = None


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


class Interface(_Closed):
    """What a unit takes and gives."""

    params: dict[Name, Param] = {}
    inputs: dict[Name, Port] = {}
    outputs: dict[Name, Port] = {}


class UnitSpec(_Closed):
    """``units/<name>.yaml``."""

    kyrios: Literal[1]
    unit: Name
    info: Info
    run: RunSpec
    interface: Interface = Interface()


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
