"""`files.replacing`: after a kill or a power loss a file is the old one or the new one, never a mixture."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.faults.figures import Faults
from tests.faults.tools import disk, kill, power

pytestmark = pytest.mark.skipif(kill.available() is not None, reason=str(kill.available()))

#: Replaces one file eight times, each time in several writes, and says each number once it is durable.
REPLACE = """
import sys
from pathlib import Path
from veda._house.files import replacing
for n in range(1, 9):
    with replacing(Path(sys.argv[1]) / "value") as file:
        for part in range(3):
            file.write(b"%d" % n * 3000)
            file.flush()
    print(n, flush=True)
"""
POINTS = 100
LOSSES = 300


def value(folder: Path) -> int:
    """Return the number that the file holds, 0 without a file, -1 if it is torn."""
    file = folder / "value"
    if not file.exists():
        return 0
    body = file.read_bytes()
    return int(body[:1]) if body[:1].isdigit() and body == body[:1] * 9000 else -1


def harm(folder: Path, acknowledged: list[str], at: object) -> str | None:
    """Return what happened to the number that was acknowledged last, None if it is there or its successor is."""
    said = int(acknowledged[-1]) if acknowledged else 0
    found = value(folder)
    if found in (said, said + 1):
        return None
    return f"{at}: torn after {said}" if found < 0 else f"{at}: {found} after {said}"


def test_a_replaced_file_is_never_torn_by_a_kill(tmp_path: Path, faults: Faults):
    figure = faults.figure("replacing-kill", "house", "kill -9 at a write, fsync or rename of a file's replacement")
    argv = [sys.executable, "-c", REPLACE, str(tmp_path)]

    for point in kill.spread(kill.points(argv), faults.count(POINTS)):
        for old in tmp_path.iterdir():
            old.unlink()
        run = kill.kill_at(point, argv)
        assert run.killed, point
        figure.survives(harm(tmp_path, run.acknowledged, point))

    assert figure.lost == 0


def test_a_replaced_file_survives_a_power_loss(tmp_path: Path, faults: Faults):
    figure = faults.figure("replacing-power", "house", "power loss while a file is replaced")
    recording = power.record([sys.executable, "-c", REPLACE, str(tmp_path)], tmp_path)

    for loss in recording.losses(faults.count(LOSSES)):
        loss.restore()
        figure.survives(harm(tmp_path, loss.acknowledged, loss.at))

    assert figure.lost == 0


def test_a_new_folder_is_as_durable_as_the_file_in_it(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from veda._house.files import write_durably;"
        "write_durably(Path(sys.argv[1]) / 'a' / 'b' / 'value', b'new'); print('done', flush=True)"
    )
    recording = power.record([sys.executable, "-c", code, str(tmp_path)], tmp_path)

    last = [loss for loss in recording.losses(100) if loss.acknowledged]

    assert last
    assert {loss.files.get(str(tmp_path / "a" / "b" / "value")) for loss in last} == {b"new"}


def test_a_full_disk_leaves_the_old_file_and_no_half_of_the_new(tmp_path: Path):
    from veda._house.files import write_durably

    write_durably(tmp_path / "value", b"old")

    with disk.file_limit(1000), pytest.raises(OSError, match="File too large"):
        write_durably(tmp_path / "value", b"new" * 1000)

    assert (tmp_path / "value").read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["value"]
