"""The version of the installed distribution, found in a millisecond; ``importlib.metadata`` alone takes 20 ms."""

from __future__ import annotations

import os
import sys

from .errors import DISTRIBUTION, LIBRARY


def installed_version() -> str:
    """Return the version of this library's distribution."""
    start = DISTRIBUTION.replace("-", "_") + "-"
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208 - pathlib takes 10 ms to import
        except OSError:  # a zip file, or a folder that is no more
            continue
        found = [n for n in names if n.startswith(start) and n.endswith(".dist-info")]
        if len(found) == 1:
            return found[0][len(start) : -len(".dist-info")]
    from importlib.metadata import version

    return version(DISTRIBUTION)


def say_version() -> bool:
    """Answer ``--version`` where it is all that was asked, before anything heavy is imported; tell whether it was."""
    if sys.argv[1:] != ["--version"]:
        return False
    try:
        print(f"{LIBRARY}, version {installed_version()}", flush=True)
    except BrokenPipeError:  # the reader has gone, and Python must not flush once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True
