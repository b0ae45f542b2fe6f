from __future__ import annotations

import random

import pytest
from tests.faults.figures import Faults
from tests.faults.tools.sqlite_power import Loss, lose_power


def losses(journal: str, synchronous: str, count: int) -> list[Loss]:
    draw = random.Random(f"{journal}/{synchronous}")
    return [lose_power(seed, journal, synchronous, at=draw.random()) for seed in range(count)]


@pytest.mark.parametrize(("journal", "synchronous"), [("WAL", "FULL"), ("DELETE", "EXTRA")])
def test_what_sqlite_acknowledged_survives_a_power_loss(journal: str, synchronous: str, faults: Faults):
    figure = faults.figure(
        f"sqlite-power-{journal}-{synchronous}".lower(), "house", f"power loss, SQLite {journal} {synchronous}"
    )

    for loss in losses(journal, synchronous, faults.count(300)):
        figure.survives(None if loss.harmless else str(loss))

    assert figure.lost == 0


@pytest.mark.parametrize(("journal", "synchronous"), [("WAL", "NORMAL"), ("WAL", "OFF"), ("DELETE", "OFF")])
def test_the_harness_sees_what_a_weaker_setting_loses(journal: str, synchronous: str):
    found = losses(journal, synchronous, 30)

    assert sum(loss.lost for loss in found) > 0


def test_without_syncs_a_rollback_journal_leaves_corrupt_files():
    assert any(loss.corrupt for loss in losses("DELETE", "OFF", 30))


def test_delete_with_full_can_lose_the_last_row_because_it_does_not_sync_the_removal_of_the_journal():
    found = losses("DELETE", "FULL", 60)

    assert max(loss.lost for loss in found) == 1
    assert not any(loss.corrupt for loss in found)
