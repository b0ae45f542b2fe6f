from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.faults.figures import Faults
from tests.faults.tools import kill
from tests.faults.tools.kill import Point

pytestmark = pytest.mark.skipif(kill.available() is not None, reason=str(kill.available()))

#: Counts up in a file and says each number when it is durable; `{sync}` decides whether it is.
CAREFUL = """
import os, sys
from pathlib import Path
path = Path(sys.argv[1])
for n in range(5):
    new = path.with_suffix(".new")
    with open(new, "wb", buffering=0) as file:
        file.write(b"%d:" % n)
        file.write(b"x" * 100)
        os.fsync(file.fileno())
    new.replace(path)
    print(n, flush=True)
"""
#: The same, in place: a kill between its two writes leaves half a record.
CARELESS = CAREFUL.replace('new = path.with_suffix(".new")', "new = path").replace("new.replace(path)", "pass")


def whole(path: Path) -> bool:
    if not path.exists():
        return True
    head, _, body = path.read_bytes().partition(b":")
    return head.isdigit() and body == b"x" * 100


def test_points_name_each_call_in_the_order_of_the_run(tmp_path: Path):
    found = kill.points([sys.executable, "-c", CAREFUL, str(tmp_path / "n")], calls=("fsync", "rename"))

    assert found == [Point(call, n) for n in range(1, 6) for call in ("fsync", "rename")]


def test_a_process_is_killed_as_it_enters_the_call(tmp_path: Path):
    path = tmp_path / "n"

    run = kill.kill_at(Point("rename", 3), [sys.executable, "-c", CAREFUL, str(path)])

    assert run.killed
    assert run.acknowledged == ["0", "1"]
    assert path.read_bytes().startswith(b"1:")


def test_a_point_past_the_end_lets_the_process_finish(tmp_path: Path):
    run = kill.kill_at(Point("rename", 99), [sys.executable, "-c", CAREFUL, str(tmp_path / "n")])

    assert (run.killed, run.exit_code, len(run.acknowledged)) == (False, 0, 5)


def test_a_call_can_fail_instead(tmp_path: Path):
    run = kill.fail_at(Point("fsync", 2), "ENOSPC", [sys.executable, "-c", CAREFUL, str(tmp_path / "n")])

    assert run.acknowledged == ["0"]
    assert "No space left on device" in run.stderr


def test_it_bites_what_is_written_in_place_and_not_what_is_replaced(tmp_path: Path, faults: Faults):
    def torn(code: str, name: str) -> list[Point]:
        argv = [sys.executable, "-c", code, str(tmp_path / name)]
        found = []
        for point in kill.points(argv, calls=("write", "fsync"))[: max(4, faults.count(20))]:
            (tmp_path / name).unlink(missing_ok=True)
            assert kill.kill_at(point, argv).killed
            if not whole(tmp_path / name):
                found.append(point)
        return found

    assert torn(CARELESS, "careless")
    assert not torn(CAREFUL, "careful")


def test_a_process_that_fails_by_itself_has_no_points():
    with pytest.raises(RuntimeError, match="ended with 3"):
        kill.points([sys.executable, "-c", "raise SystemExit(3)"])
