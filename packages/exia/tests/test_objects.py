from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from exia.errors import BackendUnavailable, BadInput, Damaged, NotAllowed
from exia.objects import ObjectStore, open_objects
from exia.testing import ObjectsContract
from exia.testing.objects import move, version


@pytest.fixture(params=["file", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"file://{tmp_path}/catalogue.fs" if request.param == "file" else request.getfixturevalue("postgresql_url")


@pytest.fixture
def objects(url: str) -> Iterator[ObjectStore]:
    store = open_objects(url)
    yield store
    store.close()


class TestObjects(ObjectsContract):
    """All of `ObjectsContract`, once per backend."""


def test_two_catalogues_may_write_to_one_place(url):
    a, b = open_objects(url), open_objects(url)

    a.add(version(1))
    b.add(version(2))
    a.point("momentum", move(2))

    assert b.find("momentum", "champion").number == 2
    a.close()
    b.close()


ADD = """
import sys
from exia.objects import open_objects
from exia.testing.objects import version
store = open_objects(sys.argv[1])
for number in range(1, 6):
    store.add(version(number, name=sys.argv[2]))
"""


def test_processes_may_write_to_one_place_at_once(url):
    running = [subprocess.Popen([sys.executable, "-c", ADD, url, f"model-{n}"]) for n in range(2)]

    assert [p.wait(60) for p in running] == [0, 0]
    store = open_objects(url)
    assert {n: store.family(n).last for n in store.names()} == {"model-0": 5, "model-1": 5}
    store.close()


def test_a_forked_child_reads_and_writes_without_disturbing_its_parent(url):
    store = open_objects(url)
    store.add(version(1))
    store.find("momentum")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12, of a fork where threads run
        child = os.fork()
    if child == 0:
        try:
            store.add(version(2))
            os._exit(0 if store.find("momentum").number == 2 else 1)
        except BaseException:
            os._exit(2)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.find("momentum").number == 2
    store.add(version(3))
    store.close()


class Payload:
    def __reduce__(self):
        return os.system, ("touch pwned",)


def evil(database) -> None:
    """Store a record that runs a command when it is loaded, as somebody with the password could."""
    import transaction
    from persistent.mapping import PersistentMapping

    connection = database.open()
    root = connection.root()
    root["models"]["momentum"]["versions"][1] = PersistentMapping({"payload": Payload()})
    transaction.commit()
    connection.close()
    database.close()


def test_a_record_that_would_run_code_is_refused(tmp_path):
    from ZODB.DB import DB
    from ZODB.FileStorage import FileStorage

    store = open_objects(f"file://{tmp_path}/catalogue.fs")
    store.add(version(1))
    evil(DB(FileStorage(str(tmp_path / "catalogue.fs"))))

    with pytest.raises(Damaged, match=r"names posix\.system, which is not loaded"):
        store.find("momentum", 1)
    assert not Path("pwned").exists()
    store.close()


@pytest.mark.postgresql
def test_a_record_in_postgresql_that_would_run_code_is_refused(postgresql_url):
    import psycopg2.extensions
    from relstorage.adapters.postgresql import PostgreSQLAdapter
    from relstorage.options import Options
    from relstorage.storage import RelStorage
    from ZODB.DB import DB

    store = open_objects(postgresql_url)
    store.add(version(1))
    options = Options(keep_history=False)
    evil(
        DB(
            RelStorage(
                PostgreSQLAdapter(
                    dsn=psycopg2.extensions.make_dsn(**psycopg2.extensions.parse_dsn(postgresql_url)), options=options
                ),
                options=options,
            )
        )
    )

    with pytest.raises(Damaged, match=r"names posix\.system, which is not loaded"):
        store.find("momentum", 1)
    assert not Path("pwned").exists()
    store.close()


@pytest.mark.postgresql
def test_no_session_stays_in_a_transaction_where_it_would_stop_a_vacuum(postgresql_url, execute):
    store = open_objects(postgresql_url)
    store.add(version(1))
    store.find("momentum")

    states = execute("SELECT state FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'")

    assert states == []
    store.close()


@pytest.mark.postgresql
def test_packing_gives_space_back(postgresql_url):
    store = open_objects(postgresql_url)
    for number in range(1, 21):
        store.add(version(number, manifest=os.urandom(30_000)))
    for number in range(1, 20):
        store.remove("momentum", number)

    packed = store.pack()

    assert packed.after < packed.before / 2
    assert store.find("momentum").number == 20
    store.close()


@pytest.mark.postgresql
def test_sessions_that_the_server_ends_are_replaced(postgresql_url, execute):
    store = open_objects(postgresql_url)
    store.add(version(1))
    others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    end = f"SELECT count(pg_terminate_backend(pid)) FROM {others}"

    execute(end)
    assert store.find("momentum").number == 1
    execute(end)
    store.add(version(2))

    assert store.family("momentum").numbers == (1, 2)
    store.close()


def test_a_server_that_is_not_there_is_told_without_its_password():
    pytest.importorskip("relstorage", reason="pip install 'jiyuan-exia[postgresql]' to run this")

    with pytest.raises(BackendUnavailable, match=r"desk:\*\*\*@127\.0\.0\.1:1/models did not answer") as caught:
        open_objects("postgresql://desk:canary@127.0.0.1:1/models")
    assert "canary" not in str(caught.value)


@pytest.mark.postgresql
def test_a_database_that_does_not_exist_is_no_matter_of_waiting(postgresql_url):
    with pytest.raises(NotAllowed, match="does not exist"):
        open_objects(postgresql_url.rpartition("/")[0] + "/nowhere")


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1", "postgresql:///models", "file://host/models.fs"])
def test_an_address_that_lacks_a_part_is_refused(url):
    pytest.importorskip("relstorage", reason="pip install 'jiyuan-exia[postgresql]' to run this")

    with pytest.raises(BadInput):
        open_objects(url)


def test_the_default_catalogue_lies_in_the_home(exia_home):
    store = open_objects()
    store.add(version(1))
    store.close()

    assert (exia_home / "models" / "catalogue.fs").is_file()


def test_reading_makes_no_file(exia_home):
    store = open_objects()

    assert store.names() == []
    assert not exia_home.exists()


def test_a_file_that_is_no_catalogue_is_named(tmp_path):
    (tmp_path / "text.fs").write_bytes(pickle.dumps("no FileStorage") * 20)

    with pytest.raises(Damaged, match=r"text\.fs"):
        open_objects(f"file://{tmp_path}/text.fs").names()


@pytest.mark.parametrize("begun", [b"", b"F", b"FS30"])
def test_a_catalogue_whose_first_writer_was_killed_is_empty_and_can_be_written(tmp_path, begun):
    (tmp_path / "catalogue.fs").write_bytes(begun)
    store = open_objects(f"file://{tmp_path}/catalogue.fs")

    assert store.names() == []
    store.add(version(1))
    assert store.find("momentum") == version(1)
    store.close()


def test_a_write_that_was_cut_off_leaves_what_was_there(tmp_path):
    store = open_objects(f"file://{tmp_path}/catalogue.fs")
    store.add(version(1))
    whole = (tmp_path / "catalogue.fs").stat().st_size
    store.add(version(2))
    with (tmp_path / "catalogue.fs").open("r+b") as file:
        file.truncate(whole + 50)

    assert store.family("momentum").numbers == (1,)
    store.add(version(2))
    assert store.family("momentum").numbers == (1, 2)
    store.close()
