"""How the page writes times, durations, sizes and ids."""

from __future__ import annotations

from datetime import UTC, datetime


def tile_id(name: str) -> str:
    """Return the id of a component's tile; two names never share one."""
    return "tile-" + "".join(c if c.isalnum() or c in "-_" else f"-{ord(c):x}-" for c in name)


def when(at: float | None) -> str:
    """Return a time in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S") if at else "-"


def seconds(value: float | None) -> str:
    """Return a duration in its largest fitting unit."""
    if value is None:
        return "-"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if value >= length * 2:
            return f"{value / length:.0f} {unit}"
    return f"{value:.0f} s"


def size(value: int) -> str:
    """Return bytes in MiB or GiB."""
    return f"{value / 2**30:.1f} GiB" if value >= 2**30 else f"{value / 2**20:.1f} MiB" if value else "-"
