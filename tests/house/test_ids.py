from __future__ import annotations

import time
import uuid

from veda._house.ids import uuid7


def test_an_id_is_a_uuid_of_version_7_and_of_the_rfcs_variant():
    found = uuid.UUID(uuid7())

    assert found.version == 7
    assert found.variant == uuid.RFC_4122


def test_its_first_48_bits_are_unix_milliseconds():
    before = time.time_ns() // 1_000_000
    stamp = uuid.UUID(uuid7()).int >> 80
    after = time.time_ns() // 1_000_000

    assert before <= stamp <= after


def test_ids_of_later_milliseconds_sort_later(monkeypatch):
    now = [1_700_000_000_000_000_000]
    monkeypatch.setattr(time, "time_ns", lambda: now[0])
    ids = []
    for _ in range(100):
        ids.append(uuid7())
        now[0] += 1_000_000

    assert ids == sorted(ids)


def test_ten_thousand_ids_of_one_moment_differ(monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)

    assert len({uuid7() for _ in range(10_000)}) == 10_000
