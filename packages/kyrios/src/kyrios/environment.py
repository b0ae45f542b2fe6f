"""What a run ran in: Python, the platform and every installed distribution, under one digest."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Any


@cache
def this_environment() -> dict[str, Any]:
    """Return ``digest``, ``python``, ``platform``, ``distributions`` (name to version) and ``cpu`` of this process.

    The digest is of what was installed; ``cpu`` (the features by which libraries choose their code) is beside it.
    """
    from importlib.metadata import distributions

    found: dict[str, str] = {}
    # What a package carries inside of itself and adds to the path when it is imported (Ray does) is no distribution.
    sites = {Path(place) for place in sys.path if Path(place).name in ("site-packages", "dist-packages")}
    path = [place for place in sys.path if not sites & set(Path(place).parents)]
    for one in distributions(path=path):  # of two, the one that stands first on the path is imported
        found.setdefault((one.name or "").lower().replace("_", "-"), one.version)
    facts = {
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "distributions": {name: found[name] for name in sorted(found) if name},
    }
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return {"digest": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}", **facts, "cpu": cpu_features()}


def cpu_features() -> list[str]:
    """Return the vector instructions that the processor has, sorted; none where the system does not say."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            line = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return []
    return sorted(word for word in line.partition(":")[2].split() if word.startswith(_VECTOR))


_VECTOR = ("sse", "ssse", "avx", "fma", "f16c", "amx", "asimd", "sve")
