"""Every adapter keeps the contract of its port."""

import sqlite3
import threading

import pytest

from veda import BackendUnavailable, BadInput, Damaged, MissingExtra, UnknownBackend, open_registry, open_store
from veda.testing import RegistryContract, StoreContract
from veda.testing.registry import MOMENTUM


class TestRegistry(RegistryContract):
    @pytest.fixture(params=["sqlite", pytest.param("clickhouse", marks=pytest.mark.clickhouse)])
    def registry(self, request, tmp_path):
        embedded = request.param == "sqlite"
        url = f"sqlite:{tmp_path}/folder/registry.db" if embedded else request.getfixturevalue("clickhouse_url")
        with open_registry(url) as registry:
            yield registry


class TestStore(StoreContract):
    @pytest.fixture(params=["file", pytest.param("minio", marks=pytest.mark.minio)])
    def store(self, request, tmp_path):
        url = f"file:{tmp_path}/store" if request.param == "file" else request.getfixturevalue("minio_url")
        with open_store(url) as store:
            yield store


def test_what_a_registry_holds_is_there_when_it_is_opened_again(home):
    with open_registry() as registry:
        registry.publish(MOMENTUM)
        registry.tag("momentum", "champion", "1.2.0")

    with open_registry() as registry:
        assert registry.releases() == [MOMENTUM]
        assert dict(registry.tags("momentum")) == {"champion": "1.2.0"}
    assert (home / "registry.db").is_file()


def test_not_even_sql_changes_a_release(home):
    with open_registry() as registry:
        registry.publish(MOMENTUM)
    db = sqlite3.connect(home / "registry.db")

    with pytest.raises(sqlite3.IntegrityError, match="never change"):
        db.execute("UPDATE releases SET digest = 'other'")
    with pytest.raises(sqlite3.IntegrityError, match="never change"):
        db.execute("DELETE FROM releases")
    db.close()


def test_a_registry_that_is_no_database_is_unavailable(tmp_path):
    (tmp_path / "registry.db").write_bytes(b"not a database, but long enough to be looked at" * 100)

    with pytest.raises(BackendUnavailable, match="not a database"):
        open_registry(f"sqlite:{tmp_path}/registry.db")


def test_a_store_below_a_file_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(BackendUnavailable, match="file store"):
        open_store(f"file:{tmp_path}/file/store")


def test_a_damaged_blob_is_never_returned(tmp_path):
    with open_store(f"file:{tmp_path}/store") as store:
        digest = store.put_blob(b"precious")
        blob = next((tmp_path / "store").rglob(digest))
        blob.write_bytes(b"Precious")

        with pytest.raises(Damaged, match=digest[:12]):
            store.get_blob(digest)


def test_a_blob_that_was_cut_short_is_mended_by_the_next_push(tmp_path):
    with open_store(f"file:{tmp_path}/store") as store:
        digest = store.put_blob(b"precious")
        next((tmp_path / "store").rglob(digest)).write_bytes(b"prec")

        store.put_blob(b"precious")

        assert store.get_blob(digest) == b"precious"


@pytest.mark.parametrize("opener", [open_registry, open_store])
def test_an_unknown_scheme_is_refused_with_the_known_ones(opener):
    with pytest.raises(UnknownBackend, match=r"known: .*(sqlite|file)"):
        opener("mongo://host/db")


def test_a_missing_driver_names_its_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "minio", None)
    monkeypatch.delitem(__import__("sys").modules, "veda.store.minio", raising=False)

    with pytest.raises(MissingExtra) as caught:
        open_store("minio://key:secret@127.0.0.1:1/bucket")
    assert caught.value.hint == "pip install 'jiyuan-veda[minio]'"


def test_an_address_without_a_bucket_or_a_secret_is_refused():
    pytest.importorskip("minio", reason="pip install 'jiyuan-veda[minio]'")

    for url in ("minio://key:secret@127.0.0.1:1", "minio://key:secret@127.0.0.1:1/B", "minio://key@127.0.0.1:1/bucket"):
        with pytest.raises(BadInput):
            open_store(url)


@pytest.mark.parametrize("listens", [False, True], ids=["nobody listens", "somebody listens and is silent"])
def test_a_dead_server_is_unavailable_and_the_secret_stays_secret(listens):
    pytest.importorskip("minio", reason="pip install 'jiyuan-veda[minio]'")
    import socket

    threads = threading.active_count()
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    if not listens:
        server.close()

    with pytest.raises(BackendUnavailable) as caught:
        open_store(f"minio://key:hush-hush@127.0.0.1:{port}/bucket?secure=false")
    server.close()
    assert "hush" not in str(caught.value)
    assert threading.active_count() == threads


@pytest.mark.minio
def test_blobs_of_a_store_that_is_larger_than_a_page_are_asked_for_one_by_one(minio_url, monkeypatch):
    monkeypatch.setattr("veda.store.minio._PAGE", 3)
    with open_store(minio_url) as store:
        there = [store.put_blob(b"%d" % n) for n in range(8)]

        assert store.missing([*there, "0" * 64]) == {"0" * 64}


@pytest.mark.minio
def test_a_wrong_secret_and_a_missing_bucket_are_told_apart(minio_url):
    from veda import NotAllowed, NotFound

    head, _, tail = minio_url.partition("@")
    with pytest.raises(NotAllowed, match=r"SignatureDoesNotMatch|AccessDenied"):
        open_store(f"{head}x@{tail}")
    host, _, path = tail.partition("/")
    with pytest.raises(NotFound, match="bucket 'no-such-bucket'"):
        open_store(f"{head}@{host}/no-such-bucket?{path.partition('?')[2]}")
