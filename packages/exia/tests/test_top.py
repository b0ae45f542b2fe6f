"""``exia top`` on a terminal, and where there is nothing to show."""

from __future__ import annotations

import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path

import pytest

TOP = [sys.executable, "-c", "from exia.cli import main; main()", "top"]
#: Lends and takes back until its stdin is closed.
POOL = """
import sys, threading, exia
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
with exia.pool(dict, name="scores", max_size=3) as pool, pool.lease():
    print("open", flush=True)
    while not stop.wait(0.01):
        with pool.lease():
            pass
"""


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A process of its own with an open pool, which no other test shows beside it."""
    monkeypatch.setenv("EXIA_HOME", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", POOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()


def test_without_a_pool_there_is_a_table_of_none():
    done = subprocess.run([*TOP, "--once", "--interval", "0.2"], capture_output=True, text=True, check=True)

    assert done.stdout.split()[:2] == ["PID", "POOL"]
    assert len(done.stdout.splitlines()) == 1


def test_on_a_terminal_the_table_goes_on_until_ctrl_c_and_leaves_the_screen_as_it_was(serving):
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 160, 0, 0))
    # Not of 160 columns: who it is must be readable on a narrow terminal too.
    plain = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "30"}
    process = subprocess.Popen([*TOP, "--interval", "0.2"], stdin=theirs, stdout=theirs, stderr=theirs, env=plain)
    os.close(theirs)

    seen = _until(ours, lambda text: text.count(str(serving)) >= 3)
    process.send_signal(signal.SIGINT)
    seen += _until(ours, lambda text: False)

    assert process.wait(20) == 130
    os.close(ours)
    assert "exia top" in seen
    assert str(serving) in seen
    assert "\x1b[?1049h" in seen
    assert seen.rindex("\x1b[?1049l") > seen.rindex("scores")
    assert "Traceback" not in seen


def _until(terminal: int, enough) -> str:
    """Return what the terminal shows until that is enough, or its process has ended."""
    text, end = "", time.monotonic() + 30
    while not enough(text) and time.monotonic() < end:
        if not select.select([terminal], [], [], 1.0)[0]:
            continue
        try:
            text += os.read(terminal, 65_536).decode(errors="replace")
        except OSError:  # the process has closed its end
            break
    return text
