"""Who of this process and its children listens, and where."""

from __future__ import annotations

import os
from pathlib import Path


def listeners() -> set[str]:
    """Return the addresses, as the kernel writes them, on which processes of this test's tree listen."""
    ours = tree(os.getpid())
    inodes = set()
    for pid in ours:
        try:
            for link in Path(f"/proc/{pid}/fd").iterdir():
                name = str(link.readlink())
                if name.startswith("socket:["):
                    inodes.add(name[8:-1])
        except OSError:
            continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                found.add(words[1])
    return found


def is_loopback(address: str) -> bool:
    """Tell whether `address`, from /proc/net/tcp or tcp6, is of this machine alone."""
    host = address.partition(":")[0]
    return (
        host.endswith("7F") if len(host) == 8 else host in ("0" * 24 + "01000000", "0000000000000000FFFF00000100007F")
    )


def tree(root: int) -> set[int]:
    """Return `root` and all its descendants."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found
