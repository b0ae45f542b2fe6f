"""Progress of long work: the library counts, the command draws (``_house.command.progress``)."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]  #: Called with what is done and what there is in all.


def no_progress(done: int, total: int) -> None:
    """Say nothing; the default of every long function."""
