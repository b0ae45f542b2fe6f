"""What Linux tells about processes: who runs, since when, and what it uses."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Variable by which a program is known as ours, even if whoever started it was killed before it could write that down.
MARK = "PTOLEMY_COMPONENT"
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """One process; `started` is its clock tick since the boot, so that a pid used again is another process."""

    pid: int
    started: int
    session: int
    group: int = 0
    ticks: int = 0
    rss: int = 0
    threads: int = 0


@dataclass(frozen=True)
class Usage:
    """What a program and its children use: seconds of processor since their start, bytes, threads."""

    cpu_seconds: float = 0.0
    rss: int = 0
    threads: int = 0


def look(pid: int) -> Process | None:
    """Return a process that runs, or None; a zombie does not."""
    try:
        # The name in parentheses may hold anything, parentheses too.
        words = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    if words[0] in (b"Z", b"X"):
        return None
    return Process(
        pid,
        int(words[19]),
        int(words[3]),
        int(words[2]),
        int(words[11]) + int(words[12]),
        int(words[21]) * _PAGE,
        int(words[17]),
    )


def marked(mark: str, *, by_group: bool = False) -> dict[str, Process]:
    """Return the programs that bear ``mark/NAME/DIGEST``, by what follows `mark`; their children are left out.

    Parameters
    ----------
    by_group
        Whether a program leads a process group and not a session.
    """
    begin = f"\0{MARK}={mark}/".encode()
    found: dict[str, Process] = {}
    for pid in _own():
        with suppress(OSError):
            environ = b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
            _, there, rest = environ.partition(begin)
            # Each program leads a session of its own; what it starts bears the mark too, but does not lead.
            if there and (process := look(pid)) and (process.group if by_group else process.session) == pid:
                text = rest.partition(b"\0")[0].decode(errors="replace")
                # A daemon that the program started leads too, and began later.
                if text not in found or process.started < found[text].started:
                    found[text] = process
    return found


def usage(leaders: Iterable[int]) -> dict[int, Usage]:
    """Return what each session or process group uses, by its leader's pid."""
    sums = {leader: Usage() for leader in leaders}
    for pid in _own():
        if (process := look(pid)) is None:
            continue
        leader = process.session if process.session in sums else process.group
        if was := sums.get(leader):
            sums[leader] = Usage(
                was.cpu_seconds + process.ticks / _TICK, was.rss + process.rss, was.threads + process.threads
            )
    return sums


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_rest(session: int) -> None:
    """Kill what a program that has ended left behind, for it may hold a port or a file."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(session, signal.SIGKILL)
    for pid in _own():
        process = look(pid)
        if process and process.session == session and pid != session:
            send(pid, signal.SIGKILL)


def umask() -> int:
    """Return what this process takes from the mode of a file that it makes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Umask:")).split()[1], 8)


def _own() -> list[int]:
    user = os.getuid()
    found = []
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdecimal():
                with suppress(OSError):
                    if entry.stat().st_uid == user:
                        found.append(int(entry.name))
    return found
