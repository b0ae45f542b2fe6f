from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from exia.blobs import BlobStore, open_blobs
from exia.errors import BackendUnavailable, BadInput, BlobNotFound, Damaged, NotAllowed
from exia.testing import BlobsContract


@pytest.fixture(params=["file", pytest.param("minio", marks=pytest.mark.minio)])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlobStore]:
    url = f"file://{tmp_path}/blobs" if request.param == "file" else request.getfixturevalue("minio_url")
    store = open_blobs(url)
    yield store
    for blob in list(store.blobs()):
        store.delete(blob.digest)
    store.close()


class TestBlobs(BlobsContract):
    """All of `BlobsContract`, once per backend."""


def test_a_changed_file_is_damaged_and_mended_by_putting_it_again(tmp_path):
    store = open_blobs(f"file://{tmp_path}")
    digest = store.put(b"weights")
    path = tmp_path / digest
    path.chmod(0o644)
    path.write_bytes(b"weightz")

    with pytest.raises(Damaged, match=digest[:12]):
        store.get(digest)
    store.put(b"weights")

    assert store.get(digest) == b"weights"


def test_blobs_are_read_only_files(tmp_path):
    digest = open_blobs(f"file://{tmp_path}").put(b"weights")

    assert (tmp_path / digest).stat().st_mode & 0o777 == 0o444


def test_what_a_killed_writer_left_is_no_blob(tmp_path):
    store = open_blobs(f"file://{tmp_path}")
    digest = store.put(b"weights")
    (tmp_path / f".{digest}.1-ab.tmp").write_bytes(b"wei")

    assert [b.digest for b in store.blobs()] == [digest]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(BackendUnavailable, match=str(tmp_path / "file")):
        open_blobs(f"file://{tmp_path}/file/blobs").put(b"weights")


@pytest.mark.minio
class TestCopies:
    def test_what_was_read_once_needs_no_server(self, minio_url, exia_home):
        url = minio_url
        digest = open_blobs(url).put(b"weights")
        dead = url.replace(f":{urlsplit(url).port}/", ":1/")

        assert open_blobs(dead).get(digest) == b"weights"
        with pytest.raises(BackendUnavailable, match="does not answer"):
            open_blobs(dead).get("0" * 64)

    def test_a_damaged_copy_is_read_from_the_server_again(self, minio_url, exia_home):
        store = open_blobs(minio_url)
        digest = store.put(b"weights")
        (copy,) = exia_home.joinpath("cache", "blobs").glob("*")
        copy.chmod(0o644)
        copy.write_bytes(b"weightz")

        assert store.get(digest) == b"weights"
        assert copy.read_bytes() == b"weights"

    def test_without_space_for_a_copy_the_bytes_still_come(self, minio_url, exia_home):
        store = open_blobs(minio_url)
        exia_home.mkdir(parents=True)
        (exia_home / "cache").write_text("a file in the way")

        assert store.get(store.put(b"weights")) == b"weights"

    def test_a_wrong_secret_is_not_allowed_and_does_not_show(self, minio_url):
        parts = urlsplit(minio_url)
        url = urlunsplit(parts._replace(netloc=f"jiyuan:canary@127.0.0.1:{parts.port}"))

        with pytest.raises(NotAllowed) as caught:
            open_blobs(url).put(b"weights")
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize("url", ["minio://127.0.0.1:9000", "minio:///bucket", "minio://h/b?timeout=soon"])
def test_an_address_without_a_bucket_is_refused(url):
    pytest.importorskip("minio", reason="pip install 'jiyuan-exia[minio]' to run this")

    with pytest.raises(BadInput):
        open_blobs(url)


def test_a_blob_that_is_not_there_tells_where_it_was_looked_for(tmp_path):
    with pytest.raises(BlobNotFound, match=str(tmp_path)):
        open_blobs(f"file://{tmp_path}").get("0" * 64)
