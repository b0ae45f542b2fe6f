"""One figure, in the form that the harness takes."""

from __future__ import annotations

from typing import Any


def figure(
    group: str,
    name: str,
    what: str,
    value: float,
    unit: str,
    bar: float | None,
    *,
    rounds: int,
    better: str = "low",
    peer: str | None = None,
    peer_value: float | None = None,
) -> dict[str, Any]:
    """Return one figure; `group` is its library, or begins with it and a dash; the harness adds the rest."""
    return {
        "id": f"{group}-{name}",
        "library": group.partition("-")[0],
        "figure": what,
        "value": round(value, 4),
        "unit": unit,
        "bar": bar,
        "better": better,
        "peer": peer,
        "peer_value": None if peer_value is None else round(peer_value, 4),
        "rounds": rounds,
    }
