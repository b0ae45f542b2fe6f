"""The contract of the port ``blobs``."""

from __future__ import annotations

import hashlib

import pytest

from exia.blobs import BlobStore
from exia.errors import BadInput, BlobNotFound


class BlobsContract:
    """Give a fixture ``blobs`` that opens an empty store."""

    def test_what_was_put_comes_back_under_its_sha256(self, blobs: BlobStore) -> None:
        for data in (b"weights", b"", bytes(range(256)) * 5_000):
            digest = blobs.put(data)

            assert digest == hashlib.sha256(data).hexdigest()
            assert blobs.get(digest) == data

    def test_putting_twice_keeps_one(self, blobs: BlobStore) -> None:
        blobs.put(b"weights")
        blobs.put(b"weights")

        assert [b.size for b in blobs.blobs()] == [7]

    def test_every_blob_is_listed_with_its_size_and_time(self, blobs: BlobStore) -> None:
        digests = {blobs.put(b"a"), blobs.put(b"bc")}

        found = list(blobs.blobs())

        assert {b.digest for b in found} == digests
        assert sorted(b.size for b in found) == [1, 2]
        assert all(b.modified > 1_700_000_000 for b in found)

    def test_a_deleted_blob_is_gone_and_deleting_again_is_no_error(self, blobs: BlobStore) -> None:
        digest = blobs.put(b"weights")

        blobs.delete(digest)
        blobs.delete(digest)

        assert not blobs.has(digest)
        with pytest.raises(BlobNotFound, match=digest[:12]):
            blobs.get(digest)

    def test_what_is_there_is_told_from_what_is_not(self, blobs: BlobStore) -> None:
        digest = blobs.put(b"weights")

        assert blobs.has(digest)
        assert not blobs.has("0" * 64)

    @pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
    def test_what_is_no_digest_never_becomes_a_path(self, blobs: BlobStore, digest: str) -> None:
        for verb in (blobs.get, blobs.has, blobs.delete):
            with pytest.raises(BadInput, match="no SHA-256"):
                verb(digest)

    def test_it_says_that_it_answers(self, blobs: BlobStore) -> None:
        assert blobs.ping()
