"""Workers of an engine for one test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@pytest.fixture
def celery(tmp_path: Path) -> Iterator[str]:
    """Give the URL of an engine with two worker processes of its own."""
    url = os.environ["KYRIOS_TEST_REDIS_URL"].replace("redis:", "celery:", 1) + f"?queue=faults-{os.getpid()}&lease=1"
    with working(url, tmp_path):
        yield url


@contextmanager
def working(url: str, folder: Path) -> Iterator[None]:
    """Let a worker of two processes wait for the engine's units."""
    words = [sys.executable, "-c", "from kyrios.cli import main; main()", "worker", "--engine", url]
    worker = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(timeout=30)
