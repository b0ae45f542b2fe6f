"""One version of parameters: values with their schema, and who set them, when and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from exia.errors import BadInput, Damaged


@dataclass(frozen=True)
class ParamsVersion:
    """One version of the parameters of one name; it never changes."""

    name: str
    version: int  #: From 1.
    values: dict[str, Any]
    schema: dict[str, Any]
    at: str  #: UTC, ISO 8601.
    who: str
    why: str = ""
    id: str = field(default="", repr=False)  #: UUIDv7, made when it was set.
    parent: str = field(default="", repr=False)  #: Digest of the version before.

    def body(self) -> bytes:
        """Return the bytes that are stored: JSON with sorted keys, so that the same says the same."""
        try:
            text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            return text.encode()
        except (TypeError, ValueError) as exc:
            raise BadInput(f"a value of {self.name} is no JSON: {exc}", hint="numbers, text, lists, objects") from None

    @classmethod
    def parse(cls, body: bytes) -> ParamsVersion:
        """Return what `body` says; raise `Damaged` if it is no version."""
        try:
            made = cls(**json.loads(body))
        except (ValueError, TypeError) as exc:
            raise Damaged(f"a version of parameters cannot be read: {exc}", hint="exia params rollback") from None
        if not isinstance(made.values, dict) or not isinstance(made.schema, dict):
            raise Damaged("a version of parameters cannot be read: it has no values or no schema")
        return made


class Values(dict[str, Any]):
    """Values as a target of `exia.params.follow` gets them: they say whose they are, and which version."""

    def __init__(self, values: Mapping[str, Any], name: str, version: int) -> None:
        super().__init__(values)
        self.name = name
        self.version = version


class Change(NamedTuple):
    """One parameter in which two versions differ; None where it is absent."""

    key: str
    one: Any
    other: Any
