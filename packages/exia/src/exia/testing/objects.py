"""The contract of the port ``objects``."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from exia.errors import Conflict, ExiaError, ModelExists, ModelNotFound
from exia.objects import AliasMove, Family, ModelVersion, ObjectStore

_AT = "2026-01-02T03:04:05.000000+00:00"


def version(number: int = 1, name: str = "momentum", **values: Any) -> ModelVersion:
    """Return a version as a client would make it."""
    fields = {"id": f"{name}-{number}", "manifest": b'{"n": %d}' % number, "signature": b"s" * 64, "key": "k1"}
    return ModelVersion(**{"name": name, "number": number, **fields, **values})


def move(to: int | None, previous: int | None = None, alias: str = "champion", **values: Any) -> AliasMove:
    """Return the move of an alias."""
    fields = {"id": f"{alias}:{previous}>{to}", "at": _AT, "who": "desk", "why": "better"}
    return AliasMove(**{"alias": alias, "version": to, "previous": previous, **fields, **values})


class ObjectsContract:
    """Give a fixture ``objects`` that opens an empty catalogue."""

    def test_a_version_comes_back_as_it_was(self, objects: ObjectStore) -> None:
        first = version(manifest="甲".encode() * 3_000)

        objects.add(first)

        assert objects.find("momentum", 1) == first
        assert objects.names() == ["momentum"]

    def test_the_newest_version_is_found_without_a_number(self, objects: ObjectStore) -> None:
        objects.add(version(1))
        objects.add(version(2))

        assert objects.find("momentum").number == 2
        assert objects.family("momentum") == Family("momentum", (1, 2), 2)

    def test_adding_the_same_version_again_changes_nothing(self, objects: ObjectStore) -> None:
        objects.add(version(1))
        objects.add(version(2))
        objects.add(version(1))

        assert objects.family("momentum").numbers == (1, 2)

    def test_a_version_is_never_overwritten_and_its_number_never_given_again(self, objects: ObjectStore) -> None:
        objects.add(version(1))
        objects.add(version(2))
        objects.remove("momentum", 2)

        for number in (1, 2):
            with pytest.raises(ModelExists, match=f"momentum@{number}"):
                objects.add(version(number, id="other"))
        assert objects.family("momentum") == Family("momentum", (1,), 2)

    def test_an_alias_names_a_version_and_every_move_is_kept(self, objects: ObjectStore) -> None:
        objects.add(version(1))
        objects.add(version(2))
        moves = [move(1), move(2, 1), move(None, 2)]

        for one in moves[:2]:
            objects.point("momentum", one)
        named = objects.find("momentum", "champion").number
        objects.point("momentum", moves[2])

        assert named == 2
        assert objects.family("momentum").aliases == {}
        assert objects.family("momentum").moves == tuple(moves)

    def test_a_move_that_is_repeated_happens_once(self, objects: ObjectStore) -> None:
        objects.add(version(1))
        objects.point("momentum", move(1))
        objects.point("momentum", move(1))

        assert len(objects.family("momentum").moves) == 1

    def test_an_alias_that_somebody_else_moved_stays_where_it_is(self, objects: ObjectStore) -> None:
        objects.add(version(1))
        objects.add(version(2))
        objects.point("momentum", move(1))

        with pytest.raises(Conflict, match="names version 1, not None"):
            objects.point("momentum", move(2))
        assert objects.family("momentum").aliases == {"champion": 1}

    def test_what_an_alias_names_is_not_removed(self, objects: ObjectStore) -> None:
        objects.add(version(1))
        objects.point("momentum", move(1))

        with pytest.raises(Conflict, match="champion names it"):
            objects.remove("momentum", 1)
        assert objects.find("momentum", 1)

    @pytest.mark.parametrize(
        ("name", "which", "says"),
        [("momentun", None, "no model"), ("momentum", 9, "no version 9"), ("momentum", "live", "no alias")],
    )
    def test_what_is_not_there_is_not_found(
        self, objects: ObjectStore, name: str, which: int | str | None, says: str
    ) -> None:
        objects.add(version(1))

        with pytest.raises(ModelNotFound, match=says):
            objects.find(name, which)
        with pytest.raises(ModelNotFound):
            objects.point(name, move(9))
        with pytest.raises(ModelNotFound):
            objects.remove(name, 9)
        assert objects.family("ghost") == Family("ghost")

    def test_writers_at_the_same_time_lose_nothing(self, objects: ObjectStore) -> None:
        def write(writer: int) -> None:
            for number in range(1, 4):
                objects.add(version(number, name=f"model-{writer}"))

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert objects.names() == [f"model-{n}" for n in range(4)]
        assert all(objects.family(name).numbers == (1, 2, 3) for name in objects.names())

    def test_of_two_writers_of_one_number_one_wins_and_the_other_is_told(self, objects: ObjectStore) -> None:
        told: list[ExiaError | None] = []

        def write(writer: int) -> None:
            try:
                objects.add(version(1, id=f"writer-{writer}"))
                told.append(None)
            except ModelExists as exc:
                told.append(exc)

        threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert told.count(None) == 1
        assert len(told) == 3

    def test_packing_keeps_what_is_there(self, objects: ObjectStore) -> None:
        for number in range(1, 6):
            objects.add(version(number))
        objects.point("momentum", move(5))
        objects.remove("momentum", 1)

        objects.pack()

        assert objects.family("momentum") == Family("momentum", (2, 3, 4, 5), 5, {"champion": 5}, (move(5),))
        assert objects.find("momentum", "champion") == version(5)

    def test_it_says_that_it_answers(self, objects: ObjectStore) -> None:
        assert objects.ping()
