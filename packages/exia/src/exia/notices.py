"""What happens anywhere in this process, told to whoever watches all of it, such as the monitor."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

#: Called with the part of Exia that tells (``pool``, ``params``), what happened, and the facts.
Watcher = Callable[[str, str, Mapping[str, Any]], object]

watchers: list[Watcher] = []  #: Those who are told; empty where nobody is, so that asking costs nothing.
_log = logging.getLogger("exia")


def watch(watcher: Watcher) -> Callable[[], None]:
    """Call `watcher` with each notice, in the thread it comes from; return what ends that."""
    watchers.append(watcher)

    def end() -> None:
        if watcher in watchers:
            watchers.remove(watcher)

    return end


def tell(part: str, kind: str, facts: Mapping[str, Any]) -> None:
    """Tell the watchers; what one of them raises is logged, and goes no further."""
    for watcher in tuple(watchers):
        try:
            watcher(part, kind, facts)
        except Exception as exc:
            _log.warning("a watcher of %s raised %s: %s", part, type(exc).__name__, exc)
