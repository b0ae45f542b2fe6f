from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from veda._house.files import replacing, write_durably


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "a" / "b" / "note"

    write_durably(path, b"old")
    write_durably(path, b"new")

    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_half_way_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "note"
    path.write_bytes(b"old")

    def write_half():
        with replacing(path) as file:
            file.write(b"ne")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_half()

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "note"
    path.write_bytes(b"old")
    writer = f"""
import os, pathlib, signal
from veda._house.files import replacing
with replacing(pathlib.Path({str(path)!r})) as file:
    file.write(b"n" * 100_000)
    os.kill(os.getpid(), signal.SIGKILL)
"""

    assert subprocess.run([sys.executable, "-c", writer]).returncode == -signal.SIGKILL

    assert path.read_bytes() == b"old"


def test_new_folders_are_synced_first_then_the_data_then_its_name(tmp_path, monkeypatch):
    order = []
    sync, replace = os.fsync, os.replace

    def noted_sync(descriptor):
        order.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()).removeprefix(str(tmp_path)))
        sync(descriptor)

    def noted_replace(*places):
        order.append("renamed")
        replace(*places)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)

    write_durably(tmp_path / "a" / "b" / "note", b"data")

    assert order[:2] == ["", "/a"]
    assert order[2].startswith("/a/b/.note.")
    assert order[3:] == ["renamed", "/a/b"]


def test_two_writers_at_once_leave_one_whole_file(tmp_path):
    path = tmp_path / "note"

    with replacing(path) as first, replacing(path) as second:
        first.write(b"first")
        second.write(b"second")

    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]
