from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from tests.faults.tools.disk import can_mount, file_limit, small_disk


def test_a_small_disk_says_that_it_is_full_and_is_gone_after_the_block(tmp_path: Path):
    if reason := can_mount(tmp_path / "probe"):
        pytest.skip(reason)
    folder = tmp_path / "disk"

    with small_disk(folder, 1 << 20):
        (folder / "fits").write_bytes(bytes(1 << 19))
        with pytest.raises(OSError, match="No space left") as full:
            (folder / "too-big").write_bytes(bytes(1 << 20))

    assert full.value.errno == errno.ENOSPC
    assert not list(folder.iterdir())


def test_a_small_disk_is_unmounted_when_the_block_fails(tmp_path: Path):
    if reason := can_mount(tmp_path / "probe"):
        pytest.skip(reason)

    with pytest.raises(ValueError, match="mine"), small_disk(tmp_path / "disk", 1 << 20):
        raise ValueError("mine")

    assert str(tmp_path / "disk") not in Path("/proc/mounts").read_text()


def test_no_file_grows_past_the_limit_and_after_the_block_all_may(tmp_path: Path):
    with file_limit(1000):
        (tmp_path / "fits").write_bytes(bytes(1000))
        with pytest.raises(OSError, match="File too large") as full:
            (tmp_path / "too-big").write_bytes(bytes(1001))

    assert full.value.errno == errno.EFBIG
    (tmp_path / "too-big").write_bytes(bytes(5000))


def test_the_limit_holds_for_child_processes(tmp_path: Path):
    code = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_bytes(bytes(5000))"

    with file_limit(1000):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "child")], capture_output=True, text=True, check=False
        )

    assert done.returncode == 1
    assert "File too large" in done.stderr
