"""Environments made, switched and rolled out while the process is killed: the same command completes it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.faults.figures import Faults
from tests.faults.tools import kill
from tests.faults.veda.test_publish import empty, workspace

pytestmark = pytest.mark.skipif(kill.available() is not None, reason=str(kill.available()))

KILLS = 80

#: Rolls two locks out to this machine, one after the other, and says what is done.
ROLL = """
import sys
from pathlib import Path
import veda
place = Path(sys.argv[1])
for path in sys.argv[2:]:
    lock = veda.Lock.read(path)
    done = veda.deploy_environment("research", lock, deploy=f"local:{place}/host", store=f"file:{place.parent}/store")
    assert done.ok, done
    print(lock.digest, flush=True)
"""


@pytest.fixture(scope="module")
def locks(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Give two locks whose packages are in a store, and a home that has them registered."""
    import veda

    folder = tmp_path_factory.mktemp("locks")
    home, found = folder / "home", []
    for version in ("0.1.0", "0.2.0"):
        package = veda.pack(workspace(folder / version, version), folder / f"{version}.vedapkg")
        veda.register(package, home=home)
        veda.push(package, f"file:{folder}/store", home=home)
        lock = veda.lock([f"momo@{version}"], home=home)
        lock.write(folder / f"{version}.lock")
        found.append(folder / f"{version}.lock")
    return found


def test_a_roll_out_that_is_killed_leaves_whole_generations_and_is_completed(
    locks: list[Path], tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = locks[0].parent / "place"
    home = locks[0].parent / "home"
    pristine = tmp_path / "registry.db"
    shutil.copy(home / "registry.db", pristine)
    monkeypatch.setenv("VEDA_HOME", str(home))
    argv = [sys.executable, "-c", ROLL, str(place), *map(str, locks)]

    def prepare() -> None:
        place.mkdir(exist_ok=True)
        empty(place)
        for name in ("registry.db", "registry.db-wal", "registry.db-shm"):
            (home / name).unlink(missing_ok=True)
        shutil.copy(pristine, home / "registry.db")

    figure = faults.figure("roll-out-kill", "veda", "kill -9 of a roll-out: create, switch, record")
    prepare()
    for point in kill.spread(kill.points(argv), faults.count(KILLS)):
        prepare()
        run = kill.kill_at(point, argv)
        figure.survives(_harm(place, run.acknowledged, argv))

    assert figure.lost == 0, figure.harms


def _harm(place: Path, acknowledged: list[str], argv: list[str]) -> str | None:
    import veda
    from veda.deploy.host import perform
    from veda.deploy.port import Order

    rows = perform(Order("status", verify=True), home=place / "host")["environments"]
    if any(row["damaged"] for row in rows):
        return f"damaged: {rows}"
    if (acknowledged and not rows) or (len(acknowledged) == 2 and rows[0]["lock"] != acknowledged[1]):
        return f"{rows} after {acknowledged}"
    again = subprocess.run(argv, capture_output=True, text=True, env=dict(os.environ), check=False)
    if again.returncode:
        return f"not completed: {again.stderr[-300:]}"
    now = perform(Order("status", verify=True), home=place / "host")["environments"][0]
    fleet = {row.lock for row in veda.fleet()}
    left = [str(p) for p in (place / "host" / "envs" / "research").glob(".*.tmp")]
    said = json.dumps([now["lock"], sorted(fleet), now["damaged"], left])
    wanted = [again.stdout.split()[-1], [again.stdout.split()[-1]], [], []]
    return None if json.loads(said) == wanted else f"{said} is not {wanted}"
