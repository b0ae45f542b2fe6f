"""References to a flow's parameters, ``${params.<name>}``, inside the values of its units."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

#: A reference to a parameter of the flow inside a text.
REFERENCE = re.compile(r"\$\{([^}]*)\}")


def references(value: Any) -> list[str]:
    """Return what the texts in `value` refer to, in order."""
    if isinstance(value, str):
        return REFERENCE.findall(value)
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [found for item in items for found in references(item)]


def fill(value: Any, params: Mapping[str, Any]) -> Any:
    """Put the flow's parameters into `value`; a text that is one reference takes the parameter's own type."""
    if isinstance(value, str):
        whole = REFERENCE.fullmatch(value)
        if whole:
            return params[whole[1].removeprefix("params.")]
        return REFERENCE.sub(lambda m: _plain_text(params[m[1].removeprefix("params.")]), value)
    if isinstance(value, Mapping):
        return {key: fill(item, params) for key, item in value.items()}
    return [fill(item, params) for item in value] if isinstance(value, list) else value


def _plain_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
