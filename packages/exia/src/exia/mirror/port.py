"""The port ``mirror``: a place that runs are copied to, and never read from."""

from __future__ import annotations

from typing import Protocol

from exia.runs.port import RunSink


class Mirror(RunSink, Protocol):
    """Takes what a store of runs takes, and the bytes of artifacts."""

    def attach(self, run_id: str, name: str, data: bytes) -> None:
        """Keep the bytes of an artifact with its run; to repeat it changes nothing. Raises `RunNotFound`."""
