"""Environments made, switched and rolled out, killed or on a full disk: the same command completes it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.faults.figures import Faults
from tests.faults.tools import disk, kill
from tests.faults.veda.test_publish import empty, workspace

pytestmark = pytest.mark.skipif(kill.available() is not None, reason=str(kill.available()))

KILLS = 80
ERRORS = 80
SIZES = 40

#: Makes an environment of each lock, one generation after the other, and says what is done.
CREATE = """
import sys
import veda
home, store, wheels, *locks = sys.argv[1:]
for path in locks:
    made = veda.create_environment("research", veda.Lock.read(path), store=store, wheels=wheels, home=home)
    print(made.generation.number, made.generation.lock.digest, flush=True)
"""

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


@pytest.fixture(scope="module")
def with_wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """Give a folder with a store and wheels, and two locks of a package and a distribution in them."""
    import veda

    folder = tmp_path_factory.mktemp("wheels")
    (folder / "wheels").mkdir()
    _wheel(folder / "wheels" / "lib_a-1.5-py3-none-any.whl")
    found = []
    for version in ("0.1.0", "0.2.0"):
        root = workspace(folder / version, version)
        (root / "veda.toml").write_text((root / "veda.toml").read_text().replace("[]", '["lib-a"]'))
        package = veda.pack(root, folder / f"{version}.vedapkg")
        veda.register(package, home=folder / "home")
        veda.push(package, f"file:{folder}/store", home=folder / "home")
        lock = veda.lock([f"momo@{version}"], wheels=folder / "wheels", home=folder / "home")
        lock.write(folder / f"{version}.lock")
        found.append(folder / f"{version}.lock")
    return folder, found


def _wheel(path: Path) -> None:
    info = "lib_a-1.5.dist-info"
    files = {
        "lib_a.py": "VERSION = '1.5'\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: lib_a\nVersion: 1.5\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD")))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_wheels: tuple[Path, list[Path]]) -> None:
    """Let everything lie in the user's home, where no signature is asked for."""
    monkeypatch.setenv("HOME", str(tmp_path.parent))


@pytest.mark.usefixtures("own")
def test_an_environment_whose_making_is_killed_is_whole_or_absent_and_is_completed(
    with_wheels: tuple[Path, list[Path]], tmp_path: Path, faults: Faults
) -> None:
    folder, locks = with_wheels
    home = tmp_path / "home"
    argv = [sys.executable, "-c", CREATE, home, f"file:{folder}/store", folder / "wheels", *locks]
    command = list(map(str, argv))
    figure = faults.figure("env-create-kill", "veda", "kill -9 of env create: pull, install, build, switch")
    home.mkdir()

    for point in kill.spread(kill.points(command), faults.count(KILLS)):
        empty(home)
        run = kill.kill_at(point, command)
        figure.survives(_broken(home, run.acknowledged) or _not_completed(home, command))

    assert figure.lost == 0, figure.harms


@pytest.mark.usefixtures("own")
def test_an_environment_whose_making_fails_says_so_and_is_completed(
    with_wheels: tuple[Path, list[Path]], tmp_path: Path, faults: Faults
) -> None:
    folder, locks = with_wheels
    home = tmp_path / "home"
    argv = [sys.executable, "-c", CREATE, home, f"file:{folder}/store", folder / "wheels", *locks]
    command = list(map(str, argv))
    figure = faults.figure("env-create-error", "veda", "ENOSPC or EIO in env create")
    home.mkdir()
    calls = ("pwrite64", "fsync", "fdatasync", "rename", "link", "symlink", "mkdir", "ftruncate")

    for number, point in enumerate(kill.spread(kill.points(command, calls=calls), faults.count(ERRORS))):
        empty(home)
        run = kill.fail_at(point, ("ENOSPC", "EIO")[number % 2], command)
        last = run.stderr.strip().splitlines()[-1] if run.exit_code else "veda."
        ours = None if last.startswith("veda.") else f"{point}: {last}"
        figure.survives(_broken(home, run.acknowledged) or ours or _not_completed(home, command))

    assert figure.lost == 0, figure.harms


@pytest.mark.usefixtures("own")
def test_an_environment_on_a_full_disk_says_so_and_leaves_the_others_whole(
    with_wheels: tuple[Path, list[Path]], tmp_path: Path, faults: Faults
) -> None:
    if reason := disk.can_mount(tmp_path / "probe"):
        pytest.skip(reason)
    folder, locks = with_wheels
    figure = faults.figure("env-create-disk-full", "veda", "disk full during env create, each time at another size")
    refused = 0

    for size in range(64, 1024, 960 // faults.count(SIZES)):
        with disk.small_disk(tmp_path / "disk", size * 1024):
            home = tmp_path / "disk" / "home"
            argv = [sys.executable, "-c", CREATE, home, f"file:{folder}/store", folder / "wheels", *locks]
            command = list(map(str, argv))
            run = subprocess.run(command, capture_output=True, text=True, check=False)
            harm = _broken(home, run.stdout.split("\n")[:-1])
            if run.returncode:
                refused += 1
                said = run.stderr.strip().splitlines()[-1]
                full = "No space left on device" in said or "disk is full" in said
                if not said.startswith("veda.") or not full:
                    harm = harm or f"{size} KiB: {said}"
            options = f"remount,size={1 << 26}"
            subprocess.run(["mount", "-o", options, str(tmp_path / "disk")], check=True)
            figure.survives(harm or _not_completed(home, command))

    assert refused
    assert figure.lost == 0, figure.harms


def _broken(home: Path, acknowledged: list[str]) -> str | None:
    """Return what is not whole of the environments in `home`, or was acknowledged and is not there."""
    import veda
    from veda.environment import generations
    from veda.environment_site import site_path, verify_site
    from veda.installed import verify_tree

    try:
        found = generations("research", home)
    except veda.NotFound:
        return f"nothing is there after {acknowledged}" if acknowledged else None
    for made in found:
        for package in made.lock.packages:
            verify_tree(package.digest, home)
        site = site_path(made.lock, home)
        assert site is not None
        verify_site(site)
        code = "import lib_a, momo; print(momo.Momo().signal(), lib_a.VERSION)"
        run = subprocess.run([made.python, "-c", code], capture_output=True, text=True, check=False)
        if run.stdout.strip() != "1 1.5":
            return f"{made} does not run: {run.stderr[-200:]}"
    said = [f"{made.number} {made.lock.digest}" for made in found]
    return None if said[: len(acknowledged)] == acknowledged else f"{said} after {acknowledged}"


def _not_completed(home: Path, command: list[str]) -> str | None:
    from veda.environment import find_generation

    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"not completed: {done.stderr[-300:]}"
    said = done.stdout.split("\n")[:-1]
    now = find_generation("research", home)
    left = [str(p) for place in ("envs/research", "trees", "sites") for p in (home / place).glob(".*.tmp")]
    right = (len(said), f"{now.number} {now.lock.digest}", left) == (2, said[-1], [])
    return _broken(home, said) if right else f"{now} after {said}, and {left}"


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
