"""What is known of one version of a model: its manifest, which is what the key signs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from exia.errors import BadInput, Damaged

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MOST = 12_000  # bytes of manifest: the catalogue is made for small records


@dataclass(frozen=True)
class ModelInfo:
    """One version of a model."""

    name: str
    version: int  #: From 1.
    id: str  #: UUIDv7, made when it was saved.
    format: str
    digest: str  #: ``sha256:`` and the digest of its bytes.
    size: int  #: Bytes.
    saved: str  #: UTC, ISO 8601.
    who: str
    why: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    schema: dict[str, Any] | None = None

    @property
    def ref(self) -> str:
        """What names exactly this version: ``momentum@3``."""
        return f"{self.name}@{self.version}"

    def manifest(self) -> bytes:
        """Return the JSON that is signed; raise `BadInput` if it is too long for the catalogue."""
        try:
            text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            data = text.encode()
        except (TypeError, ValueError) as exc:
            raise BadInput(f"tags or schema are no JSON: {exc}", hint="tags={'desk': 'alpha'}") from None
        if len(data) > _MOST:
            raise BadInput(
                f"tags, note and schema take {len(data)} bytes, more than {_MOST}", hint="keep such data in the model"
            )
        return data

    @classmethod
    def parse(cls, manifest: bytes) -> ModelInfo:
        """Return what a manifest says; raise `Damaged` if it is none."""
        try:
            return cls(**json.loads(manifest))
        except (ValueError, TypeError) as exc:
            raise Damaged(f"the manifest of a model cannot be read: {exc}", hint="restore it from a backup") from None


class Difference(NamedTuple):
    """One thing in which two models differ."""

    field: str
    one: Any
    other: Any


class Unused(NamedTuple):
    """What a sweep found, or deleted."""

    blobs: int
    bytes: int
    deleted: bool


def checked_name(name: str, what: str = "model") -> str:
    """Return `name`; raise `BadInput` if it could pass for a path or for a version."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or ".." in name:
        raise BadInput(
            f"a {what} cannot be called {name!r}",
            hint="begin with a letter or digit; then letters, digits and . _ -, at most 100",
        )
    if what == "alias" and (name.isdecimal() or name == "latest"):
        raise BadInput(f"an alias cannot be called {name!r}, which names a version itself", hint="use a word: champion")
    return name


def parsed_ref(ref: str) -> tuple[str, int | str | None]:
    """Split ``name``, ``name@3``, ``name@champion`` or ``name@sha256:...``; None is the newest version."""
    name, at, which = ref.partition("@") if isinstance(ref, str) else (ref, "", "")
    checked_name(name)
    if not at or which == "latest":
        return name, None
    if which.isdecimal() and which.isascii() and int(which):
        return name, int(which)
    if re.fullmatch(r"sha256:[0-9a-f]{6,64}", which):
        return name, which
    try:
        return name, checked_name(which, "alias")
    except BadInput:
        raise BadInput(
            f"{ref!r} names no version", hint=f"{name}, {name}@3, {name}@champion or {name}@sha256:DIGEST"
        ) from None


def checked_tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    """Return `tags`; raise `BadInput` unless each is text."""
    for key, value in (tags or {}).items():
        if not isinstance(key, str) or not isinstance(value, str) or not key.strip():
            raise BadInput(f"tag {key!r} is {value!r}; both must be text", hint="tags={'desk': 'alpha'}")
    return dict(tags or {})
