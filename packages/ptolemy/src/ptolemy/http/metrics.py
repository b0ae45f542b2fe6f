"""What this process has served, as Prometheus reads it."""

from __future__ import annotations

from collections import Counter

_HELP = {
    "requests_total": ("counter", "Calls answered."),
    "request_seconds_total": ("counter", "Seconds from the call to its answer, summed."),
    "rows_total": ("counter", "Rows sent."),
    "bytes_total": ("counter", "Bytes of answers sent."),
}


class Metrics:
    """Counters by face, interface and code."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[tuple[str, str, str]]] = {name: Counter() for name in _HELP}

    def count(self, face: str, interface: str, code: int, seconds: float, rows: int, size: int) -> None:
        """Count one call; `interface` must be a known one or empty, for each makes a line of its own."""
        label = (face, interface, str(code))
        for name, value in zip(_HELP, (1, seconds, rows, size), strict=True):
            self._counts[name][label] += value  # type: ignore[assignment]  # seconds are no whole number

    def text(self) -> str:
        """Return all of them in Prometheus's text format."""
        lines = []
        for name, (kind, help) in _HELP.items():
            lines += [f"# HELP ptolemy_{name} {help}", f"# TYPE ptolemy_{name} {kind}"]
            for (face, interface, code), value in sorted(self._counts[name].items()):
                labels = f'face="{face}",interface="{interface}",code="{code}"'
                lines.append(f"ptolemy_{name}{{{labels}}} {value:.6f}".rstrip("0").rstrip("."))
        return "\n".join(lines) + "\n"
