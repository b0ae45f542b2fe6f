"""How a model becomes bytes, and bytes a model: one module per format.

What loads anywhere holds data alone: ``safetensors``, ``npz`` and ``json``. A ``pickle`` may name
classes, and loads only those that the configuration lists. Any other pickle is ``isolated``: off unless
the configuration says otherwise, and loaded in a process of its own.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, cast

from exia._house.errors import nearest
from exia.errors import BadInput

FORMATS = ("isolated", "json", "npz", "pickle", "safetensors")


class Format(Protocol):
    """A module of this folder."""

    FILE: str  #: What its bytes are called in an export.

    def fits(self, model: Any) -> bool:
        """Tell whether `dump` takes `model`."""

    def dump(self, model: Any) -> bytes:
        """Return `model` as bytes; raise `BadInput` if the format cannot hold it."""

    def load(self, data: bytes) -> Any:
        """Return the model; its arrays are read-only."""


def open_format(name: str) -> Format:
    """Return the format called `name`; raise `BadInput` if there is none."""
    if name not in FORMATS:
        raise BadInput(
            f"no format is called {name!r}; known: {', '.join(FORMATS)}",
            hint=nearest(str(name), FORMATS) or "leave it out to have it chosen",
        )
    return cast(Format, import_module(f"exia.models.formats.{name}"))


def format_for(model: Any) -> str:
    """Return the first format that holds `model` as data alone; raise `BadInput` if none does."""
    for name in ("safetensors", "json"):
        if open_format(name).fits(model):
            return name
    raise BadInput(
        f"{type(model).__name__} is neither a mapping of arrays nor JSON",
        hint="save its arrays as a dict, or name a format: --format npz, or pickle where the configuration allows it",
    )
