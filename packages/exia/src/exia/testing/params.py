"""The contract of the port ``params``."""

from __future__ import annotations

import threading
import time

import pytest

from exia.errors import BadInput, ParamsChanged, ParamsNotFound
from exia.params import Head, ParamStore
from exia.params.port import digest_of


class ParamsContract:
    """Give a fixture ``store`` that opens an empty store."""

    def test_a_version_comes_back_as_it_was(self, store: ParamStore) -> None:
        store.publish("momentum", 1, '{"窗": 20}'.encode())
        store.publish("momentum", 2, b"\x00\xff")

        assert store.body("momentum", 1) == '{"窗": 20}'.encode()
        assert store.head("momentum") == Head(2, digest_of(b"\x00\xff"))
        assert store.names() == ["momentum"]

    @pytest.mark.parametrize("size", [100_000, 300_000, 600_000, 3_000_000])
    def test_a_large_version_comes_back_whole(self, store: ParamStore, size: int) -> None:
        body = bytes(n * 7 % 251 for n in range(1000)) * (size // 1000)

        store.publish("momentum", 1, body)

        assert store.body("momentum", 1) == body

    def test_publishing_the_same_again_changes_nothing(self, store: ParamStore) -> None:
        store.publish("momentum", 1, b"a")
        store.publish("momentum", 1, b"a")

        assert store.head("momentum") == Head(1, digest_of(b"a"))

    @pytest.mark.parametrize("version", [1, 3, 0])
    def test_a_version_out_of_turn_is_refused_and_nothing_moves(self, store: ParamStore, version: int) -> None:
        store.publish("momentum", 1, b"a")

        with pytest.raises(ParamsChanged, match="at version 1"):
            store.publish("momentum", version, b"b")
        assert store.head("momentum") == Head(1, digest_of(b"a"))
        assert store.body("momentum", 1) == b"a"

    def test_of_many_writers_one_wins_each_version(self, store: ParamStore) -> None:
        won: list[int] = []

        def write(writer: int) -> None:
            for version in range(1, 6):
                try:
                    store.publish("momentum", version, f"{writer}/{version}".encode())
                    won.append(version)
                except ParamsChanged:
                    pass

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        head = store.head("momentum")
        assert head is not None
        assert sorted(won) == list(range(1, head.version + 1))

    def test_who_waits_is_told_of_the_next_version(self, store: ParamStore) -> None:
        store.publish("momentum", 1, b"a")
        seen = store.head("momentum")
        told: list[Head | None] = []
        ready = threading.Event()

        def wait() -> None:
            assert store.wait("momentum", None, 5, threading.Event()) == seen
            ready.set()
            told.append(store.wait("momentum", seen, 20, threading.Event()))

        thread = threading.Thread(target=wait)
        thread.start()
        ready.wait()
        store.publish("momentum", 2, b"b")
        thread.join()

        assert told == [Head(2, digest_of(b"b"))]

    def test_who_waits_for_what_is_not_there_yet_is_told_of_the_first_version(self, store: ParamStore) -> None:
        told: list[Head | None] = []
        thread = threading.Thread(target=lambda: told.append(store.wait("momentum", None, 20, threading.Event())))
        thread.start()
        store.publish("momentum", 1, b"a")
        thread.join()

        assert told == [Head(1, digest_of(b"a"))]

    def test_a_wait_ends_with_its_time(self, store: ParamStore) -> None:
        store.publish("momentum", 1, b"a")
        head = store.head("momentum")
        began = time.monotonic()

        assert store.wait("momentum", head, 0.05, threading.Event()) == head
        assert store.wait("momentum", head, 0.05, threading.Event()) == head
        assert time.monotonic() - began < 10

    def test_what_is_not_there_is_not_found(self, store: ParamStore) -> None:
        store.publish("momentum", 1, b"a")

        assert store.head("ghost") is None
        for name, version in [("ghost", 1), ("momentum", 2)]:
            with pytest.raises(ParamsNotFound):
                store.body(name, version)

    @pytest.mark.parametrize("name", ["", "../evil", "a/b", "a..b", "a b", "x" * 101, "a\n"])
    def test_a_name_never_becomes_a_path(self, store: ParamStore, name: str) -> None:
        with pytest.raises(BadInput, match="cannot be called"):
            store.publish(name, 1, b"a")
        assert store.names() == []

    def test_it_says_that_it_answers(self, store: ParamStore) -> None:
        assert store.ping()
