"""A disk that is full."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Mount a disk of `size` bytes at `folder` (tmpfs) for as long as the block lasts; needs root.

    A write past its end fails with ENOSPC, as on a real disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "faults", str(folder)], check=True)
    try:
        yield folder
    finally:
        # Lazy: a reader that is still open must not leave the mount behind.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def can_mount(folder: Path) -> str | None:
    """Return None, or why `small_disk` does not work here."""
    if os.geteuid() != 0:
        return "a small disk needs root; file_limit does not"
    try:
        with small_disk(folder, 65536):
            return None
    except (OSError, subprocess.CalledProcessError) as exc:
        return f"a small disk cannot be mounted here: {exc}"


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Let no file of this process and its children grow past `size` bytes; needs no root.

    A write past the end fails with EFBIG; SQLite calls that ``disk I/O error``.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # CPython ignores the signal already; a child that does not would die of it instead of failing.
    before = signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
