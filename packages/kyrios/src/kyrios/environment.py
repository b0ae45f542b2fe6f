"""What a run ran in: Python, the platform and every installed distribution, under one digest."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from functools import cache
from typing import Any


@cache
def this_environment() -> dict[str, Any]:
    """Return ``digest``, ``python``, ``platform`` and ``distributions`` (name to version) of this process."""
    from importlib.metadata import distributions

    found = {(d.name or "").lower().replace("_", "-"): d.version for d in distributions()}
    facts = {
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "distributions": {name: found[name] for name in sorted(found) if name},
    }
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return {"digest": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}", **facts}
