"""What a request may hold; closed keys, as in the files of a flow."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kyrios._house.errors import nearest
from kyrios.errors import BadInput

_Name = Annotated[str, Field(max_length=200)]


class Order(BaseModel):
    """The base of all."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Empty(Order):
    """Nothing."""


class RunOrder(Order):
    """Run a flow; `run_id` is the caller's own, so that a request may be sent again."""

    params: dict[str, Any] = Field(default_factory=dict, max_length=1000)
    engine: Annotated[str, Field(max_length=2000)] | None = None
    workers: Annotated[int, Field(ge=1, le=1024)] | None = None
    only: list[_Name] = Field(default_factory=list, max_length=10_000)
    start: _Name | None = None
    earlier: _Name | None = None
    run_id: _Name | None = None
    dry_run: bool = False


class PlanOrder(Order):
    """Show what rendering would change."""

    params: dict[str, Any] = Field(default_factory=dict, max_length=1000)
    engine: Annotated[str, Field(max_length=2000)] | None = None


class RenderOrder(PlanOrder):
    """Write rendered files."""

    force: bool = False


class Login(Order):
    """Open a session of the page."""

    token: Annotated[str, Field(max_length=200)]


def read(kind: type[Order], body: Any) -> Any:
    """Return `body` as an order; raise `BadInput` with the first thing that is wrong with it."""
    if not isinstance(body, dict):
        raise BadInput("the body is no JSON object", hint="send {}")
    try:
        return kind.model_validate(body)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = kind.model_fields
            raise BadInput(
                f"there is no key {where!r}", hint=nearest(where, known) or f"keys: {', '.join(known) or 'none'}"
            ) from None
        raise BadInput(f"{where}: {first['msg']}") from None
