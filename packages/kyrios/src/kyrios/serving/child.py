"""One run in a process of its own, started by `kyrios.serving.running`: ``python -m kyrios.serving.child``.

What to run comes as JSON by standard input, so that no parameter shows in a list of processes. SIGINT and SIGTERM
cancel it as Ctrl-C does.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Any


class Cancelled(KeyboardInterrupt):
    """Somebody has asked for the end of the run."""


def main() -> int:
    """Run what standard input says; return 0 for success, 1 for a failed unit, 130 where it was cancelled."""

    def cancel(number: int, frame: Any) -> None:
        for one in (signal.SIGINT, signal.SIGTERM):  # what is recorded of the end must not be cut off as well
            signal.signal(one, signal.SIG_IGN)
        raise Cancelled

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, cancel)
    try:
        from kyrios.errors import Conflict, UnitFailed
        from kyrios.flows import load_flow

        order = json.load(sys.stdin)
        digest = order.pop("digest")
        flow = load_flow(order.pop("folder"))
        if flow.digest != digest:
            raise Conflict(f"the flow {flow.name} has changed since it was asked for")
        try:
            flow.run(**order)
        except UnitFailed as exc:
            print(exc, file=sys.stderr)
            return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
