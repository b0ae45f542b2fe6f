"""The embedded registry loses power: every release and tag that was acknowledged is there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.faults.figures import Faults
from tests.faults.tools import kill, power

pytestmark = pytest.mark.skipif(kill.available() is not None, reason=str(kill.available()))

LOSSES = 300

PUBLISH = """
import sys
from veda import Release, open_registry
from veda.outbox import Outbox
folder, journal = sys.argv[1:]
with open_registry(f"sqlite:{folder}/registry.db?journal={journal}") as registry, Outbox(folder) as outbox:
    for n in range(25):
        registry.publish(Release("momo", f"1.{n}.0", "sha256:" + f"{n:064x}", {"summary": "x" * 500}))
        print("release", n, flush=True)
        outbox.due(registry.get("momo", f"1.{n}.0"), "")
        print("due", n, flush=True)
        registry.tag("momo", "champion", f"1.{n}.0")
        print("tag", n, flush=True)
"""


def argv(folder: Path, journal: str = "wal") -> list[str]:
    return [sys.executable, "-c", PUBLISH, str(folder), journal]


def harm(folder: Path, acknowledged: Sequence[str], at: object, journal: str = "wal") -> str | None:
    """Return what the loss did to what was acknowledged, None if nothing."""
    from veda import VedaError, open_registry
    from veda.outbox import Outbox

    try:
        with open_registry(f"sqlite:{folder}/registry.db?journal={journal}") as registry:
            releases = [int(release.digest.removeprefix("sha256:"), 16) for release in registry.releases("momo")]
            said = sum(line.startswith("release") for line in acknowledged)
            if releases != list(range(len(releases))) or not said <= len(releases) <= said + 1:
                return f"{at}: releases {releases[-3:]} after {said}"
            tagged = registry.tags("momo").get("champion", "1.-1.0").split(".")[1]
            said = sum(line.startswith("tag") for line in acknowledged)
            if not said - 1 <= int(tagged) <= said:
                return f"{at}: tag at {tagged} after {said} moves"
        with Outbox(folder) as outbox:
            due = len(outbox.waiting())
            said = sum(line.startswith("due") for line in acknowledged)
            if not said <= due <= said + 1:
                return f"{at}: {due} announcements wait after {said}"
    except VedaError as exc:
        return f"{at}: {exc}"
    return None


@pytest.mark.parametrize("journal", ["wal", "delete", "truncate", "persist"])
def test_the_registry_and_the_outbox_survive_a_power_loss(tmp_path: Path, journal: str, faults: Faults):
    name = f"registry-power-{journal}" if journal != "wal" else "registry-power"
    figure = faults.figure(name, "veda", f"power loss of registry and outbox (sqlite, {journal.upper()})")
    recording = power.record(argv(tmp_path, journal), tmp_path)

    for loss in recording.losses(faults.count(LOSSES)):
        loss.restore()
        figure.survives(harm(tmp_path, loss.acknowledged, loss.at, journal))

    assert figure.lost == 0, figure.harms


def test_a_new_home_survives_a_power_loss_with_the_registry_in_it(tmp_path: Path, faults: Faults):
    figure = faults.figure("registry-power-new-home", "veda", "power loss of the registry in a new home (sqlite, WAL)")
    home = tmp_path / "data" / "veda"
    recording = power.record(argv(home), tmp_path)

    for loss in recording.losses(faults.count(LOSSES)):
        loss.restore()
        figure.survives(harm(home, loss.acknowledged, loss.at))

    assert figure.lost == 0, figure.harms


def test_a_new_home_survives_where_an_fsync_settles_older_names_as_on_ext4_and_xfs(tmp_path: Path, faults: Faults):
    home = tmp_path / "data" / "new"
    recording = power.record(argv(home), tmp_path)

    harms = []
    for loss in recording.losses(faults.count(LOSSES), names="journalled"):
        loss.restore()
        harms.append(harm(home, loss.acknowledged, loss.at))

    assert not any(harms)
