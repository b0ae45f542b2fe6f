"""What this process has served, as Prometheus reads it."""

from __future__ import annotations

_HELP = {
    "requests_total": ("counter", "Calls answered."),
    "request_seconds_total": ("counter", "Seconds from the call to its answer, summed."),
    "rows_total": ("counter", "Rows sent."),
    "bytes_total": ("counter", "Bytes of answers sent."),
}


class Metrics:
    """Counters by face, interface and code."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int], list[float]] = {}

    def count(self, face: str, interface: str, code: int, seconds: float, rows: int, size: int) -> None:
        """Count one call; `interface` must be a known one or empty, for each makes a line of its own."""
        counts = self._counts.get((face, interface, code))
        if counts is None:
            counts = self._counts[face, interface, code] = [0.0] * len(_HELP)
        counts[0] += 1
        counts[1] += seconds
        counts[2] += rows
        counts[3] += size

    def calls(self) -> dict[str, int]:
        """Return how many calls of each interface were answered."""
        found: dict[str, int] = {}
        for (_, interface, _), counts in self._counts.items():
            found[interface] = found.get(interface, 0) + int(counts[0])
        return found

    def text(self) -> str:
        """Return all of them in Prometheus's text format."""
        lines = []
        known = sorted((face, interface, str(code), counts) for (face, interface, code), counts in self._counts.items())
        for i, (name, (kind, help)) in enumerate(_HELP.items()):
            lines += [f"# HELP ptolemy_{name} {help}", f"# TYPE ptolemy_{name} {kind}"]
            for face, interface, code, counts in known:
                labels = f'face="{face}",interface="{interface}",code="{code}"'
                lines.append(f"ptolemy_{name}{{{labels}}} {counts[i]:.6f}".rstrip("0").rstrip("."))
        return "\n".join(lines) + "\n"
