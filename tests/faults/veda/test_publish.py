"""Pack, register, push and pull, killed, without power or on a full disk: what was acknowledged is there, whole."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.faults.figures import Faults
from tests.faults.tools import disk, kill, power

pytestmark = pytest.mark.skipif(kill.available() is not None, reason=str(kill.available()))

VERSIONS = ("0.1.0", "0.2.0")
KILLS = 120
LOSSES = 300
ERRORS = 100

#: Brings each version from its workspace to another machine, and says each step that is done.
PUBLISH = """
import sys
from pathlib import Path
import veda
place = Path(sys.argv[1])
for workspace in sys.argv[2:]:
    package = veda.pack(workspace, place / f"{Path(workspace).name}.vedapkg")
    print("packed", package.version, package.digest, flush=True)
    veda.register(package, home=place / "home")
    print("registered", package.version, package.digest, flush=True)
    veda.push(package, f"file:{place}/store")
    print("pushed", package.version, package.digest, flush=True)
    veda.pull(f"momo@{package.version}", f"file:{place}/store", home=place / "other")
    print("pulled", package.version, package.digest, flush=True)
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything lie in the user's home, where no signature is asked for."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="module")
def workspaces(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Give one workspace of the package for each version."""
    folder = tmp_path_factory.mktemp("workspaces")
    return [workspace(folder / version, version) for version in VERSIONS]


def workspace(folder: Path, version: str) -> Path:
    code = folder / "src" / "momo"
    code.mkdir(parents=True)
    (code / "__init__.py").write_text("class Momo:\n    def signal(self):\n        return 1\n")
    (code / "table.csv").write_text("".join(f"{n},{version}\n" for n in range(20_000)))
    (folder / "veda.toml").write_text(
        f'[package]\nname = "momo"\nversion = "{version}"\nsummary = "A mean"\nlicense = "MIT"\n'
        'requires = []\nrequires-python = ">=3.11"\n\n[entry-points]\ndefault = "momo:Momo"\n'
    )
    return folder


def argv(place: Path, workspaces: Sequence[Path]) -> list[str]:
    return [sys.executable, "-c", PUBLISH, str(place), *map(str, workspaces)]


def empty(place: Path) -> None:
    """Take away what an earlier try has left in `place`; installed trees are read-only."""
    for folder in [place, *(p for p in place.rglob("*") if p.is_dir())]:
        folder.chmod(0o755)
    for old in place.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()


def harm(place: Path, acknowledged: Sequence[str], at: object) -> str | None:
    """Return what the fault did to what was acknowledged, None if nothing."""
    import veda
    from veda.installed import verify_tree

    try:
        for line in acknowledged:
            step, version, digest = line.split()
            if step == "packed":
                found = veda.verify(place / f"{version}.vedapkg").digest
            elif step == "registered":
                with veda.open_registry(home=place / "home") as registry:
                    found = registry.get("momo", version).digest
            elif step == "pushed":
                fresh = place / "fresh"
                found = veda.pull(f"momo@{version}", f"file:{place}/store", home=fresh).digest
                verify_tree(found, home=fresh)
            else:
                found = verify_tree(digest, home=place / "other").digest
            if found != digest:
                return f"{at}: {step} {version} is {found[:19]}, acknowledged {digest[:19]}"
    except veda.VedaError as exc:
        return f"{at}: after {acknowledged[-1]}: {exc}"
    return None


def went_on(place: Path, workspaces: Sequence[Path]) -> str | None:
    """Run the same steps again, and return what is wrong with what they leave."""
    import veda
    from veda.installed import verify_tree

    try:
        for folder in workspaces:
            package = veda.pack(folder, place / f"{folder.name}.vedapkg")
            veda.register(package, home=place / "home")
            veda.push(package, f"file:{place}/store")
            pulled = veda.pull(f"momo@{package.version}", f"file:{place}/store", home=place / "other")
            verify_tree(pulled.digest, home=place / "other")
    except veda.VedaError as exc:
        return f"the next try fails: {exc}"
    with veda.open_registry(home=place / "home") as registry:
        versions = [release.version for release in registry.releases("momo")]
    return None if versions == list(VERSIONS) else f"after the next try the registry has {versions}"


def test_publishing_that_is_killed_keeps_what_it_acknowledged_and_goes_on(
    tmp_path: Path, workspaces: list[Path], faults: Faults
):
    figure = faults.figure("publish-kill", "veda", "kill -9 of pack, register, push or pull")
    place = tmp_path / "place"
    place.mkdir()

    for point in kill.spread(kill.points(argv(place, workspaces)), faults.count(KILLS)):
        empty(place)
        run = kill.kill_at(point, argv(place, workspaces))
        figure.survives(harm(place, run.acknowledged, point) or went_on(place, workspaces))

    assert figure.lost == 0, figure.harms


def test_publishing_that_loses_power_keeps_what_it_acknowledged(tmp_path: Path, workspaces: list[Path], faults: Faults):
    figure = faults.figure("publish-power", "veda", "power loss during pack, register, push or pull")
    place = tmp_path / "place"
    for folder in ("home", "other/trees", "store"):  # what a new home loses is another test
        (place / folder).mkdir(parents=True)
    recording = power.record(argv(place, workspaces), place)

    for loss in recording.losses(faults.count(LOSSES)):
        empty(place)
        loss.restore()
        figure.survives(harm(place, loss.acknowledged, loss.at))

    assert figure.lost == 0, figure.harms


def test_a_call_that_fails_takes_nothing_that_was_acknowledged_and_the_next_try_ends_it(
    tmp_path: Path, workspaces: list[Path], faults: Faults
):
    figure = faults.figure("publish-error", "veda", "ENOSPC or EIO in pack, register, push or pull")
    place = tmp_path / "place"
    place.mkdir()
    command = argv(place, workspaces)
    calls = ("pwrite64", "fsync", "fdatasync", "rename", "link", "mkdir", "ftruncate")

    for number, point in enumerate(kill.spread(kill.points(command, calls=calls), faults.count(ERRORS))):
        empty(place)
        error = ("ENOSPC", "EIO")[number % 2]
        run = kill.fail_at(point, error, command)
        assert run.exit_code or len(run.acknowledged) == 4 * len(workspaces), run.stderr
        figure.survives(harm(place, run.acknowledged, f"{error} at {point}") or went_on(place, workspaces))

    assert figure.lost == 0, figure.harms


def test_a_note_that_cannot_be_written_is_an_error_of_veda(tmp_path: Path, workspaces: list[Path]):
    import veda

    package = veda.pack(workspaces[0], tmp_path / "momo.vedapkg")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "archives").write_text("in the way")

    with pytest.raises(veda.VedaError, match="archives"):
        veda.register(package, home=tmp_path / "home")


def test_a_push_to_a_full_disk_says_so_and_leaves_the_store_as_it_was(
    tmp_path: Path, workspaces: list[Path], faults: Faults
):
    if reason := disk.can_mount(tmp_path / "probe"):
        pytest.skip(reason)
    import veda

    figure = faults.figure("push-disk-full", "veda", "disk full during a push, each time at another size")
    first, second = (veda.pack(folder, tmp_path / f"{folder.name}.vedapkg") for folder in workspaces)
    refused = 0
    sizes = range(24, 24 + 4 * faults.count(20), 4)
    for size in sizes:
        with disk.small_disk(tmp_path / "disk", size * 1024):
            store = f"file:{tmp_path / 'disk' / 'store'}"
            said: list[str] = []
            stored: list[veda.Package] = []
            for package in (first, second):
                try:
                    veda.push(package, store)
                    stored.append(package)
                except veda.BackendUnavailable as exc:
                    said.append(str(exc))
            clear = all("No space left on device" in text and str(tmp_path / "disk") in text for text in said)
            whole = [
                veda.pull(f"momo@{p.version}", store, home=tmp_path / "home").digest == p.digest for p in stored
            ]  # fmt: skip
        refused += len(said)
        figure.survives(None if clear and all(whole) else f"{size} KiB: {said}, {whole}")

    assert refused
    assert figure.lost == 0, figure.harms
