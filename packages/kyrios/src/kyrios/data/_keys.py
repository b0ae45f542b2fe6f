"""What a key may be: the same on every backend."""

from __future__ import annotations

import re

from kyrios.errors import BadInput

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:+=@-]{0,199}")


def checked(key: str) -> str:
    """Return `key`; raise `BadInput` if it is no relative path of plain names."""
    if not all(_PART.fullmatch(part) for part in key.split("/")):
        raise BadInput(f"{key!r} is not a key", hint="plain names with / between them, none beginning with a dot")
    return key
