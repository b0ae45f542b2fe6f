"""Channels: the contract on every adapter, and what a name, a type or a server that is gone gives."""

from __future__ import annotations

import os

import pytest

from kyrios import open_channel
from kyrios._house.ids import uuid7
from kyrios.errors import BackendUnavailable, BadInput
from kyrios.testing import ChannelContract
from kyrios.testing.channel import numbers

PLACES = [
    "memory",
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("ray", marks=pytest.mark.ray),
]


@pytest.fixture(params=PLACES)
def open_again(request):
    """Give what opens one channel again and again, in a place that no other test has used."""
    name = uuid7()
    url = {"memory": "memory:", "ray": "ray:", "redis": os.environ.get("KYRIOS_TEST_REDIS_URL")}[request.param]
    opened = []

    def opens():
        opened.append(open_channel(name, {"n": "int64"}, capacity=3, url=url))
        return opened[-1]

    yield opens
    for one in opened:
        one.close()


class TestChannel(ChannelContract):
    """All of `ChannelContract`, once per adapter."""


@pytest.mark.parametrize(
    ("name", "columns", "capacity", "text"),
    [
        ("a b", None, 1, "cannot be called"),
        ("prices", {"n": "int46"}, 1, "did you mean 'int64'?"),
        ("prices", None, 0, "whole number from 1"),
    ],
)
def test_what_makes_no_sense_is_refused(name, columns, capacity, text):
    with pytest.raises(BadInput) as caught:
        open_channel(name, columns, capacity=capacity)
    assert text in f"{caught.value} {caught.value.hint}"


def test_a_database_of_redis_is_a_number():
    pytest.importorskip("redis", reason="needs the extra redis: scripts/install servers")
    with pytest.raises(BadInput, match="names no database"):
        open_channel("prices", url="redis://127.0.0.1/prices")


def test_places_in_memory_are_apart():
    open_channel("prices", url="memory:one").send(numbers(1))

    assert open_channel("prices", url="memory:two").reader("r").receive(timeout=0) is None


def test_a_redis_that_is_down_is_named():
    pytest.importorskip("redis", reason="needs the extra redis: scripts/install servers")
    with pytest.raises(BackendUnavailable, match=r"redis://127\.0\.0\.1:1"):
        open_channel("prices", url="redis://127.0.0.1:1/0").reader("r")
