"""supervisord's event listener: it takes an event, says so at once, and does everything else in another thread.

supervisord throws events away when a listener is slow, and a listener that does more than to take them is.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

from ptolemy.services import checks
from ptolemy.services.port import Fresh
from ptolemy.services.rpc import Rpc

EVENTS = "events.jsonl"
_SIZE = 5_000_000


def listen(taken: BinaryIO, told: BinaryIO, queue: SimpleQueue[tuple[str, dict[str, str]]]) -> None:
    """Take events until supervisord ends."""
    while True:
        told.write(b"READY\n")
        told.flush()
        header = _words(taken.readline())
        if not header:
            return
        body = taken.read(int(header["len"])).decode("utf-8", "replace")
        queue.put((header["eventname"], _words(body.encode())))
        told.write(b"RESULT 2\nOK")
        told.flush()


def work(folder: Path, rpc: Rpc, queue: SimpleQueue[tuple[str, dict[str, str]]]) -> None:
    """Write events down, kill what a program left behind, and start again what is stale."""
    while True:
        name, facts = queue.get()
        try:
            if name.startswith("TICK"):
                _freshen(folder, rpc)
                continue
            state = name.removeprefix("PROCESS_STATE_")
            component = facts.get("processname", "")
            if state == "EXITED" and (pid := facts.get("pid", "")).isdecimal():
                with suppress(OSError):
                    os.killpg(int(pid), signal.SIGKILL)
            was = facts.get("from_state", "").lower()
            _write(folder, {"at": time.time(), "component": component, "state": state.lower(), "was": was})
        except Exception as exc:  # whatever it is, the next event is taken
            print(f"{name}: {type(exc).__name__}: {exc}", file=sys.stderr, flush=True)


def begun(folder: Path, name: str) -> Mapping[str, Any]:
    """Return what `launch` wrote down of the last start of a component; empty if there is nothing."""
    try:
        found: dict[str, Any] = json.loads((folder / "begun" / f"{name}.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def _freshen(folder: Path, rpc: Rpc) -> None:
    for path in (folder / "components").glob("*.json"):
        facts = json.loads(path.read_bytes())
        if not facts["fresh"] or not facts["fresh"]["restart"] or facts["fresh"]["http"]:
            continue
        fresh = Fresh(**facts["fresh"])
        start = begun(folder, path.stem)
        last = checks.last_sign(fresh, folder / "logs" / f"{path.stem}.log") or 0.0
        if start and time.time() - max(last, start["at"]) > fresh.max_age:
            full = f"{facts['group'] or path.stem}:{path.stem}"
            if rpc.call("getProcessInfo", full)["statename"] == "RUNNING":
                rpc.call("stopProcess", full)
                rpc.call("startProcess", full, False)


def _write(folder: Path, facts: dict[str, Any]) -> None:
    path = folder / EVENTS
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(facts, ensure_ascii=False) + "\n")
        long = file.tell() > _SIZE
    if long:
        path.replace(path.with_name(f"{EVENTS}.1"))


def _words(line: bytes) -> dict[str, str]:
    pairs = (word.partition(":") for word in line.decode("utf-8", "replace").split())
    return {key: value for key, colon, value in pairs if colon}


if __name__ == "__main__":
    events: SimpleQueue[tuple[str, dict[str, str]]] = SimpleQueue()
    arguments = (Path(sys.argv[1]), Rpc(sys.argv[2]), events)
    threading.Thread(target=work, args=arguments, daemon=True).start()
    listen(sys.stdin.buffer, sys.stdout.buffer, events)
