"""What a run tells reaches its store, whatever happens to the store, the disk or the process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

import pytest

import exia
from exia._house.backends import BackendURL
from exia.errors import BackendUnavailable, BadInput, UnknownBackend
from exia.runs import journal, shipper
from exia.runs.life import judged
from exia.runs.sqlite import SqliteRuns


@pytest.fixture
def store():
    store = exia.open_runs()
    yield store
    store.close()


def exia_store():
    return contextlib.closing(exia.open_runs())


def _log_and_raise(run, error):
    run.log_metric("ic", 0.03)
    raise error


class Down(SqliteRuns):
    """A store that takes nothing until it is up."""

    up = False

    def start(self, run):
        self._answer()
        super().start(run)

    def log(self, *args, **kwargs):
        self._answer()
        super().log(*args, **kwargs)

    def finish(self, *args, **kwargs):
        self._answer()
        super().finish(*args, **kwargs)

    def _answer(self):
        if not self.up:
            raise BackendUnavailable("down for good")


def down():
    return Down(BackendURL.parse("sqlite://"))


@pytest.fixture
def quick(monkeypatch):
    """Failed deliveries are tried again soon."""
    monkeypatch.setattr(shipper, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(shipper, "LONGEST_PAUSE", 0.05)


def test_a_store_that_is_down_blocks_nobody_and_gets_everything_later(caplog):
    place = down()
    with exia.run("down", params={"a": 1}, store=place) as run:
        for i in range(100):
            run.log_metric("ic", i)
        run.flush()
        run.log_tags({"desk": "alpha"})
    place.close()

    assert f"run {run.id} is kept in" in caplog.text
    assert "exia runs ship" in caplog.text
    with exia_store() as store:
        kept = store.get(run.id)
        assert (kept.status, kept.params, kept.tags) == ("finished", {"a": 1}, {"desk": "alpha"})
        assert [p.value for p in store.points(run.id, "ic")] == list(range(100))


def test_a_store_that_comes_back_gets_what_it_missed_while_the_run_goes_on(store, quick):
    place = down()
    with exia.run("shaky", store=place) as run:
        for i in range(100):
            run.log_metric("ic", i)
        run.flush()
        assert store.find() == []
        place.up = True
        while run.id not in store.ids(run.id):
            pass
    place.close()

    assert store.get(run.id).status == "finished"
    assert [p.value for p in store.points(run.id, "ic")] == list(range(100))


class Nameless:
    """A store of somebody else's, which no URL names."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        if name == "url":
            raise AttributeError(name)
        return getattr(self._inner, name)


def test_a_store_without_a_url_is_waited_for_since_nobody_can_find_it_later(store, quick):
    place = down()
    threading.Timer(0.3, lambda: setattr(place, "up", True)).start()
    with exia.run("nameless", store=Nameless(place)) as run:
        run.log_metric("ic", 1.0)
    place.close()

    assert store.get(run.id).metrics == {"ic": 1.0}


def test_a_store_without_a_url_that_stays_down_does_not_hide_the_bodys_error(quick):
    place = down()
    with pytest.raises(BackendUnavailable, match="down for good"), exia.run("x", store=Nameless(place), timeout=0.2):
        pass
    run = exia.run("x", store=Nameless(place), timeout=0.2)
    with pytest.raises(ValueError, match="mine") as caught, run:
        _log_and_raise(run, ValueError("mine"))
    place.close()

    assert any("could not be closed" in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    ("store", "error"), [("sqllite://", UnknownBackend), ("sqlite://host/x", BadInput), ("#", BadInput)]
)
def test_a_store_that_can_never_be_opened_is_told_at_once(store, error):
    with pytest.raises(error):
        exia.run("wrong", store=store).start()


def test_a_log_that_cannot_be_written_is_told_at_the_start(exia_home):
    exia_home.mkdir()
    (exia_home / "log").touch()

    with pytest.raises(BackendUnavailable, match="cannot be written"):
        exia.run("no disk").start()


_KILLED = """
import os, signal, exia
run = exia.run("killed").start()
for i in range(3_000):
    run.log_metric("ic", i)
run.flush()
run.log_tags({"acknowledged": "yes"})
print(run.id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_acknowledged_outlives_a_kill(exia_home):
    done = subprocess.run([sys.executable, "-c", _KILLED], capture_output=True, text=True, timeout=60, check=False)

    run_id = done.stdout.strip()
    assert done.returncode == -signal.SIGKILL
    with exia_store() as store:
        assert store.get(run_id).status == "running"
        assert judged(store.get(run_id)).status == "lost"
        assert store.get(run_id).tags == {"acknowledged": "yes"}
        assert [p.value for p in store.points(run_id, "ic")] == list(range(3_000))
    assert list((exia_home / "log" / "runs").iterdir()) == []


def test_the_log_lets_go_of_what_was_delivered(exia_home, monkeypatch):
    monkeypatch.setattr(journal, "_SEGMENT_BYTES", 4_000)
    monkeypatch.setattr(shipper, "_SAVE_EVERY", 0.0)
    with exia.run("long") as run:
        for n in range(50):
            for i in range(50):
                run.log_metric("ic", n * 50 + i)
            run.flush()
        left = list((exia_home / "log" / "runs").glob("*/*.seg"))

    assert len(left) < 10
    with exia_store() as store:
        assert len(store.points(run.id, "ic")) == 2_500


def test_an_adapter_that_raises_what_it_should_not_is_asked_again(store, quick, caplog):
    class Odd(SqliteRuns):
        fails = 2

        def log(self, *args, **kwargs):
            if self.fails:
                self.fails -= 1
                raise ZeroDivisionError("odd")
            super().log(*args, **kwargs)

    odd = Nameless(Odd(BackendURL.parse("sqlite://")))
    with exia.run("odd", store=odd) as run:
        run.log_metric("ic", 0.5)
    odd.close()

    assert store.get(run.id).metrics == {"ic": 0.5}
    assert "ZeroDivisionError: odd" in caplog.text


def test_a_run_that_was_deleted_meanwhile_does_not_keep_back_the_others(store, caplog):
    with exia.run("deleted") as run:
        store.delete(run.id)
        run.log_tags({"late": "yes"})
        with exia.run("other") as other:
            other.log_metric("ic", 0.5)

    assert store.ids(run.id) == []
    assert store.get(other.id).metrics == {"ic": 0.5}
    assert "is not delivered" in caplog.text


def test_a_store_named_by_a_relative_path_is_where_the_run_began(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    run = exia.run("moves", store="sqlite:here.db").start()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run.finish()

    store = exia.open_runs(f"sqlite:///{tmp_path / 'here.db'}")
    assert store.get(run.id).status == "finished"
    store.close()
    assert list((tmp_path / "elsewhere").iterdir()) == []


_MANY = """
import sys, exia
with exia.run("many", tags={"n": sys.argv[1]}) as run:
    for i in range(300):
        run.log_metric("ic", i)
        if i % 100 == 0:
            run.flush()
"""


def test_processes_that_record_at_once_do_not_disturb_each_other():
    running = [subprocess.Popen([sys.executable, "-W", "error", "-c", _MANY, str(n)]) for n in range(4)]

    assert [process.wait(60) for process in running] == [0] * 4
    with exia_store() as store:
        found = exia.find_runs("name = 'many' and status = 'finished'", store=store)
        assert sorted(run.tags["n"] for run in found) == ["0", "1", "2", "3"]
        assert all([p.value for p in store.points(r.id, "ic")] == list(range(300)) for r in found)


def test_a_log_whose_places_cannot_be_read_is_kept(exia_home):
    with exia.run("kept", store=down()):
        pass
    (folder,) = (exia_home / "log" / "runs").iterdir()
    (folder / "to.json").write_text("[{")
    os.utime(folder, (0, 0))

    exia.open_runs().close()

    assert list(folder.glob("*.seg"))


def test_what_a_process_left_before_it_had_begun_goes(exia_home):
    folder = exia_home / "log" / "runs" / "0199"
    folder.mkdir(parents=True)
    exia.open_runs().close()
    assert folder.exists()

    os.utime(folder, (0, 0))
    exia.open_runs().close()

    assert not folder.exists()


def test_logs_of_this_process_go_when_they_are_delivered(exia_home):
    with exia.run("one"):
        pass
    with exia.run("two", store="sqlite:other.db"):
        pass
    assert len(list((exia_home / "log" / "runs").iterdir())) == 2

    journal.close_journals()

    assert list((exia_home / "log" / "runs").iterdir()) == []
