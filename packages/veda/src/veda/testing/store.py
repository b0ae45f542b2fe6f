"""What every store promises."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from veda.errors import NotFound
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
