"""What every place for tables must do."""

from __future__ import annotations

import pytest

from kyrios.data import Data
from kyrios.errors import BadInput, NotFound


class DataContract:
    """Give a `data` fixture that opens an empty place."""

    def test_what_was_put_is_what_is_got(self, data: Data) -> None:
        data.put("run/outputs/a.b.arrow", b"bytes")

        assert bytes(data.get("run/outputs/a.b.arrow")) == b"bytes"

    def test_nothing_at_all_can_be_kept_too(self, data: Data) -> None:
        data.put("run/empty", b"")

        assert data.has("run/empty")
        assert bytes(data.get("run/empty")) == b""

    def test_a_second_put_takes_the_place_of_the_first(self, data: Data) -> None:
        data.put("run/key", b"long old bytes")
        data.put("run/key", b"new")

        assert bytes(data.get("run/key")) == b"new"

    def test_what_a_reader_holds_stays_when_the_key_is_put_again(self, data: Data) -> None:
        data.put("run/key", b"old")
        held = data.get("run/key")
        data.put("run/key", b"new")

        assert bytes(held) == b"old"

    def test_a_key_that_was_never_put_is_not_found(self, data: Data) -> None:
        assert not data.has("run/none")
        with pytest.raises(NotFound, match="run/none"):
            data.get("run/none")

    def test_keys_are_listed_by_what_they_begin_with_and_sorted(self, data: Data) -> None:
        for key in ("b/2", "b/1", "a/1", "bc"):
            data.put(key, b"x")

        assert data.keys("b/") == ["b/1", "b/2"]
        assert data.keys("b") == ["b/1", "b/2", "bc"]
        assert data.keys() == ["a/1", "b/1", "b/2", "bc"]
        assert data.keys("z/") == []

    @pytest.mark.parametrize("key", ["../up", "/root", "a//b", "a/../b", "", ".hidden", "a\\b", "a\nb", "a/"])
    def test_a_key_that_could_leave_its_place_is_refused(self, data: Data, key: str) -> None:
        with pytest.raises(BadInput, match="not a key"):
            data.put(key, b"x")

    def test_where_names_the_key(self, data: Data) -> None:
        data.put("run/key", b"x")

        assert data.where("run/key").endswith("run/key")
