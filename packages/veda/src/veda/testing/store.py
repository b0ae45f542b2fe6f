"""What every store promises."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from veda.errors import Damaged, NotFound
from veda.store.port import Store

_NONE = "0" * 64


class StoreContract:
    """Give a `store` fixture that opens an empty store."""

    @pytest.mark.parametrize("data", [b"", b"\0", bytes(range(256)) * 5000], ids=["empty", "one byte", "1.3 MB"])
    def test_a_blob_comes_back_under_its_digest(self, store: Store, data: bytes) -> None:
        digest = store.put_blob(data)

        assert digest == hashlib.sha256(data).hexdigest()
        assert store.get_blob(digest) == data
        assert store.has_blob(digest)

    def test_a_blob_may_be_put_again(self, store: Store) -> None:
        assert store.put_blob(b"same") == store.put_blob(b"same")

    def test_a_blob_that_was_never_put_is_not_found(self, store: Store) -> None:
        assert not store.has_blob(_NONE)
        with pytest.raises(NotFound):
            store.get_blob(_NONE)

    def test_those_that_are_missing_are_told_apart(self, store: Store) -> None:
        there = [store.put_blob(b"%d" % n) for n in range(3)]

        assert store.missing([*there, _NONE]) == {_NONE}
        assert store.missing(there) == set()
        assert store.missing([]) == set()

    def test_a_blob_whose_digest_is_known_is_kept_under_it(self, store: Store) -> None:
        digest = hashlib.sha256(b"known").hexdigest()

        assert store.put_blob(b"known", digest) == digest
        assert store.get_blob(digest) == b"known"

    def test_the_first_claim_of_a_version_stands(self, store: Store) -> None:
        first = store.claim("momentum", "1.2.0", b"first")
        second = store.claim("momentum", "1.2.0", b"second")

        assert (first, second, store.get_claim("momentum", "1.2.0")) == (b"first", b"first", b"first")

    def test_of_many_claims_of_one_version_one_stands_and_all_see_it(self, store: Store) -> None:
        with ThreadPoolExecutor(8) as pool:
            seen = set(pool.map(lambda n: store.claim("momentum", "1.2.0", b"%d" % n), range(32)))

        assert seen == {store.get_claim("momentum", "1.2.0")}

    def test_a_version_that_nobody_claimed_is_not_found(self, store: Store) -> None:
        with pytest.raises(NotFound, match=r"momentum@1\.2\.0"):
            store.get_claim("momentum", "1.2.0")
        assert store.versions("momentum") == []

    def test_the_versions_of_a_package_are_those_that_were_claimed(self, store: Store) -> None:
        for name, version in (("momentum", "1.2.0"), ("momentum", "1!2.0+local.1"), ("momentum-2", "3.0")):
            store.claim(name, version, b"{}")

        assert sorted(store.versions("momentum")) == ["1!2.0+local.1", "1.2.0"]

    def test_many_threads_may_use_one_store(self, store: Store) -> None:
        blobs = [b"%d" % n * 1000 for n in range(40)]

        with ThreadPoolExecutor(8) as pool:
            digests = list(pool.map(store.put_blob, blobs))
            back = list(pool.map(store.get_blob, digests))

        assert back == blobs

    def test_of_a_blob_that_is_larger_than_its_reader_allows_nothing_comes_back(self, store: Store) -> None:
        digest = store.put_blob(b"x" * 1000)

        with pytest.raises(Damaged):
            store.get_blob(digest, 999)
        assert len(store.get_blob(digest, 1000)) == 1000

    def test_an_object_is_written_only_over_what_its_writer_has_seen(self, store: Store) -> None:
        assert store.replace("channels/stable", b"one", None)
        assert not store.replace("channels/stable", b"other", None)
        data, mark = store.read("channels/stable")
        assert data == b"one"
        assert store.replace("channels/stable", b"two", mark)
        assert not store.replace("channels/stable", b"late", mark)
        assert not store.replace("channels/none", b"late", mark)
        assert store.read("channels/stable")[0] == b"two"

    def test_of_many_writers_over_one_object_one_wins(self, store: Store) -> None:
        store.replace("channels/stable", b"0", None)
        _, mark = store.read("channels/stable")

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda n: store.replace("channels/stable", b"%d" % n, mark), range(1, 17)))

        assert won.count(True) == 1

    def test_objects_are_listed_below_their_prefix_and_removed_once(self, store: Store) -> None:
        for key in ("events/b/1", "events/a/1", "eventsx/1"):
            store.replace(key, b"four", None)

        assert [(e.key, e.size) for e in store.list("events/")] == [("events/a/1", 4), ("events/b/1", 4)]
        store.remove("events/a/1")
        store.remove("events/a/1")
        assert [e.key for e in store.list("events/")] == ["events/b/1"]
        with pytest.raises(NotFound):
            store.read("events/a/1")
