"""Who did what on the page, and how it ended: one line of JSON each, durable before the action is taken."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from ptolemy._house.files import make_folder


class Audit:
    """The lines of one file, ``audit.jsonl``."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "audit.jsonl"
        self._lock = threading.Lock()

    def write(self, who: str, action: str, target: str, result: str) -> None:
        """Add a line; raise `OSError` if it cannot be kept, and then nothing may be done."""
        facts = {"at": time.time(), "who": who, "action": action, "target": target, "result": result}
        with self._lock:
            make_folder(self.path.parent)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, json.dumps(facts, ensure_ascii=False).encode() + b"\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def last(self, count: int) -> list[dict[str, Any]]:
        """Return the newest lines, newest first."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.path.stat().st_size - 400 * count))
                lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines[-count:]:
            try:
                found.append(json.loads(line))
            except ValueError:  # the first of them may be cut
                continue
        return found[::-1]
