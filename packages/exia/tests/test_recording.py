from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

import exia
from exia._house.backends import BackendURL
from exia.captured import printed
from exia.errors import BackendUnavailable, BadInput, RunClosed, UnknownBackend
from exia.params.version import ParamsVersion
from exia.runs import journal, places, shipper
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


def test_a_run_records_what_it_was_given_and_what_came_out(store):
    with exia.run("momentum-live", params={"window": 20}, tags={"desk": "alpha"}) as run:
        assert store.get(run.id).status == "running"
        run.log_metric("ic", 0.03)
        run.log_metric("ic", 0.04)
        run.log_metric("val/ic", 0.05, step=7)
        run.log_params({"universe": ["A", "B"]})
        run.log_tags({"stage": "live"})

    kept = store.get(run.id)
    assert (kept.status, kept.error) == ("finished", None)
    assert kept.params == {"window": 20, "universe": ["A", "B"]}
    assert kept.tags == {"desk": "alpha", "stage": "live"}
    assert kept.metrics == {"ic": 0.04, "val/ic": 0.05}
    assert [(p.seq, p.value, p.step) for p in store.points(run.id, "ic")] == [(0, 0.03, 0), (1, 0.04, 1)]
    assert [p.step for p in store.points(run.id, "val/ic")] == [7]


def test_times_are_utc_and_the_id_is_a_uuid7(store):
    with exia.run("clock") as run:
        pass

    kept = store.get(run.id)
    assert kept.started.endswith("+00:00")
    assert kept.ended is not None
    assert kept.started <= kept.ended
    assert kept.host
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", run.id)


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("no prices"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_an_exception_is_recorded_with_its_traceback_and_goes_on(store, error, status):
    run = exia.run("breaks")
    with pytest.raises(type(error)), run:
        _log_and_raise(run, error)

    kept = store.get(run.id)
    assert kept.status == status
    assert kept.error is not None
    assert kept.error.startswith(type(error).__name__)
    assert kept.traceback is not None
    assert "raise error" in kept.traceback
    assert kept.metrics == {"ic": 0.03}


def test_flushed_metrics_are_durable_before_the_run_ends(store):
    with exia.run("flushes") as run:
        for i in range(5_000):
            run.log_metric("ic", i)
        run.flush()

        assert len(store.points(run.id, "ic")) == 5_000


def test_many_threads_log_to_one_run(store):
    with exia.run("threads") as run:
        threads = [
            threading.Thread(target=lambda i=i: [run.log_metric(f"m{i}", n) for n in range(500)]) for i in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert all([p.value for p in store.points(run.id, f"m{i}")] == list(range(500)) for i in range(8))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "0.3", None, True, 1j])
def test_a_metric_that_is_no_finite_number_is_refused(store, value):
    with exia.run("strict") as run, pytest.raises(BadInput, match="ic must be a finite number"):
        run.log_metric("ic", value)

    assert store.get(run.id).metrics == {}


@pytest.mark.parametrize(
    "name", ["", "../runs", "a/b", "/etc", "a\x00b", "a\nb", ".hidden", "..", "x" * 201, "a\\b", None]
)
def test_a_run_name_that_could_pass_for_a_path_is_refused(store, name):
    with pytest.raises(BadInput, match="cannot be called"):
        exia.run(name)
    assert store.find() == []


@pytest.mark.parametrize("name", ["", "../ic", "/ic", "val//ic", "val/", "a\nb", "x" * 201])
def test_a_metric_name_that_could_pass_for_a_path_is_refused(name):
    with exia.run("strict") as run, pytest.raises(BadInput, match="metric cannot be called"):
        run.log_metric(name, 1.0)


def test_chinese_names_are_names(store):
    with exia.run("动量策略", tags={"部门": "量化"}) as run:
        run.log_metric("收益", 0.1)

    assert store.find(name="动量策略")[0].metrics == {"收益": 0.1}


@pytest.mark.parametrize("params", [{"a": object()}, {"a": math.nan}, {"../a": 1}])
def test_params_that_are_no_json_are_refused_and_nothing_is_recorded(store, params):
    with pytest.raises(BadInput):
        exia.run("strict", params=params)
    assert store.find() == []


def test_a_run_is_closed_once(store):
    run = exia.run("twice").start()
    run.finish()

    with pytest.raises(RunClosed):
        run.finish("failed")
    with pytest.raises(RunClosed):
        run.log_metric("ic", 1.0)
    with pytest.raises(RunClosed):
        run.start()
    assert store.get(run.id).status == "finished"


def test_a_run_that_was_not_started_takes_nothing():
    with pytest.raises(RunClosed, match="was not started"):
        exia.run("early").log_metric("ic", 1.0)


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


def test_a_run_knows_what_it_was_made_of(store, exia_home, monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", __file__, raising=False)  # one of many processes has none
    with exia.run("made of") as run:
        pass

    found = store.get(run.id).facts
    assert found["process"]["pid"] == os.getpid()
    assert found["environment"]["digest"].startswith("sha256:")
    assert found["environment"]["packages"] > 10
    assert found["code"]["digest"].startswith("sha256:")
    assert found["python"].startswith("3.")
    assert found["resources"]["cpu_seconds"] > 0
    assert found["resources"]["rss_max_bytes"] >= found["resources"]["rss_bytes"] > 10_000_000
    assert "git" not in found


def test_the_commit_branch_and_changes_of_the_working_folder_are_recorded(store, tmp_path):
    def git(*words):
        names = ("-c", "user.name=li", "-c", "user.email=li@example.org")
        return subprocess.run(["git", *names, *words], check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q", "-b", "research")
    (tmp_path / "a.py").write_text("1")
    git("add", "a.py")
    git("commit", "-qm", "one")
    (tmp_path / "a.py").write_text("2")
    with exia.run("in git") as run:
        pass

    kept = store.get(run.id)
    assert kept.commit == git("rev-parse", "HEAD")
    assert kept.facts["git"] == {"commit": kept.commit, "branch": "research", "dirty": True}


def test_no_secret_of_the_command_line_is_recorded(store, monkeypatch):
    words = ["/srv/run.py", "--desk", "alpha", "--api-key", "canary1", "--token=canary2", "mongodb://li:canary3@db/x"]
    monkeypatch.setattr(sys, "argv", words)
    with exia.run("started with secrets") as run:
        pass

    told = store.get(run.id).facts["command"]
    assert told[:3] == ["run.py", "--desk", "alpha"]
    assert "canary" not in " ".join(told)
    assert "mongodb://li:" in told[-1]


def test_packages_data_sets_and_parameter_versions_are_recorded(store):
    loaded = exia.load("python:statistics:NormalDist")
    with exia.run("traced") as run:
        run.log_package(loaded)
        run.log_package("momentum", version="1.2.0", digest="sha256:ab")
        run.log_dataset("bars/daily", "v7", rows=5_000, first=20260102, last="20261120", adjusted=True)
        with pytest.raises(BadInput, match="rows of bars must be a whole number"):
            run.log_dataset("bars", "v7", rows=-1)
        run.log_parameters(ParamsVersion("momentum", 3, {}, {}, "", "li"))

    found = store.get(run.id).facts
    assert found["packages/momentum"] == {"version": "1.2.0", "digest": "sha256:ab"}
    assert found[f"packages/{loaded.name}"]["version"] == loaded.version
    assert found["datasets/bars/daily"] == {
        "version": "v7", "rows": 5_000, "first": "20260102", "last": "20261120", "adjusted": True,
    }  # fmt: skip
    assert found["parameters/momentum"] == {"version": 3}


def test_artifacts_are_kept_under_their_digest(store, tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"weights")
    with exia.run("with files") as run:
        told = run.log_artifact("weights.bin")
        run.log_artifact(b"<svg/>", "plots/ic.svg", kind="figure")

    kept = store.get(run.id).artifacts
    assert set(kept) == {"weights.bin", "plots/ic.svg"}
    assert kept["weights.bin"] == told
    assert (told["size"], told["kind"]) == (7, "file")
    assert places.fetch(told["digest"]) == b"weights"


def test_a_figure_is_drawn_as_its_name_says(store):
    class Figure:
        def savefig(self, file, format):
            file.write(f"drawn as {format}".encode())

    with exia.run("figures") as run:
        run.log_figure(Figure(), "ic.svg")
        run.log_figure("<svg/>", "text.svg")
        with pytest.raises(BadInput, match="int is no figure"):
            run.log_figure(3, "three.svg")

    kept = store.get(run.id).artifacts
    assert places.fetch(kept["ic.svg"]["digest"]) == b"drawn as svg"
    assert places.fetch(kept["text.svg"]["digest"]) == b"<svg/>"
    assert kept["ic.svg"]["kind"] == "figure"


@pytest.mark.parametrize(
    ("artifact", "name"), [("missing.bin", None), (b"data", None), (b"data", "../up"), (b"data", "/etc/passwd")]
)
def test_an_artifact_that_cannot_be_kept_is_refused(store, artifact, name):
    with exia.run("strict") as run, pytest.raises(BadInput):
        run.log_artifact(artifact, name)

    assert store.get(run.id).artifacts == {}


@pytest.mark.minio
def test_artifacts_go_to_a_bucket_when_it_answers_and_wait_on_this_disk_until_then(
    store, minio_url, monkeypatch, exia_home
):
    monkeypatch.setenv("EXIA_ARTIFACTS", "minio://key:secret@127.0.0.1:1/bucket?secure=false")
    with exia.run("far") as run:
        told = run.log_artifact(b"weights", "weights.bin")
    assert places.fetch(told["digest"]) == b"weights"
    journal.close_journals()

    monkeypatch.setenv("EXIA_ARTIFACTS", minio_url)
    exia.open_runs().close()

    assert store.get(run.id).artifacts == {"weights.bin": told}
    assert not list((exia_home / "log" / "artifacts").glob("*"))
    assert places.fetch(told["digest"]) == b"weights"


def test_notes_are_kept_with_their_times(store):
    with exia.run("noted") as run:
        run.note("looks good")
        run.note("up to 50% better")
        with pytest.raises(BadInput):
            run.note(" ")

    notes = store.get(run.id).notes
    assert list(notes.values()) == ["looks good", "up to 50% better"]
    assert all(at.endswith("+00:00") for at in notes)


def test_what_is_printed_is_kept_if_asked_for_and_passed_on(store, capsys):
    with exia.run("talks", capture=True) as run:
        print("hello")
        print("oh", file=sys.stderr)
    with exia.run("silent") as other:
        print("not kept")
    print("after")

    assert printed(store.get(run.id).output) == "hello\noh\n"
    assert store.get(other.id).output == {}
    assert capsys.readouterr() == ("hello\nnot kept\nafter\n", "oh\n")


def test_of_much_that_is_printed_the_last_megabyte_is_kept(store, capsys):
    with exia.run("talks much", capture=True) as run:
        for n in range(30_000):
            print(f"{n:063}")
    capsys.readouterr()

    text = printed(store.get(run.id).output)
    assert text.startswith("... ")
    assert text.splitlines()[-1] == f"{29_999:063}"
    missing = int(text.split()[1])
    assert missing + len(text.partition("\n")[2]) == 30_000 * 64
    assert 900_000 < len(text) < 1_100_000


def test_a_run_gives_signs_of_life_with_what_it_uses(store, monkeypatch):
    monkeypatch.setenv("EXIA_HEARTBEAT", "0.05")
    with exia.run("lives") as run:
        while "system/rss_bytes" not in store.get(run.id).metrics:
            pass
        kept = store.get(run.id)

    assert kept.heartbeat is not None
    assert kept.heartbeat > kept.started
    assert kept.metrics["system/rss_bytes"] > 10_000_000
    assert kept.metrics["system/cpu_percent"] >= 0


def test_a_heartbeat_of_nothing_is_refused(monkeypatch):
    monkeypatch.setenv("EXIA_HEARTBEAT", "0")

    with pytest.raises(BadInput, match="heartbeat must be more than 0"):
        exia.run("dead").start()


def test_a_forked_child_cannot_log_to_its_parents_run(store):
    context = multiprocessing.get_context("fork")
    hears, says = context.Pipe(duplex=False)

    def child():
        try:
            run.log_metric("ic", 9.0)
        except RunClosed as exc:
            says.send(str(exc))
        with exia.run("the child") as own:
            own.log_metric("ic", 2.0)
        says.send(own.id)

    with exia.run("parent") as run:
        run.log_metric("ic", 1.0)
        process = context.Process(target=child)
        process.start()
        assert hears.poll(20)
        assert "was forked off" in hears.recv()
        assert hears.poll(20)
        own = hears.recv()
        process.join()

    assert [p.value for p in store.points(run.id, "ic")] == [1.0]
    assert store.get(own).metrics == {"ic": 2.0}


@pytest.mark.parametrize("step", [1.5, "1", True, 2**63, -(2**63) - 1])
def test_a_step_that_is_no_whole_number_is_refused(step):
    with exia.run("strict") as run, pytest.raises(BadInput, match="must be a whole number of 64 bits"):
        run.log_metric("ic", 1.0, step)


def test_several_metrics_are_logged_at_one_step(store):
    with exia.run("several") as run:
        run.log_metrics({"ic": 0.1, "rank": 0.2}, step=5)

    assert store.get(run.id).metrics == {"ic": 0.1, "rank": 0.2}
    assert store.points(run.id, "rank")[0].step == 5


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


def test_a_run_that_goes_on_is_not_lost(store):
    with exia.run("alive") as run:
        assert judged(store.get(run.id)).status == "running"


@pytest.mark.parametrize("change", [{"boot": "another"}, {"started": 1}, {"pid": 2**22 + 1}])
def test_a_run_whose_process_is_gone_is_lost(store, change):
    with exia.run("gone") as run:
        kept = store.get(run.id)
        kept.facts["process"] |= change

        assert judged(kept).status == "lost"


def test_a_run_of_another_machine_is_lost_when_it_is_silent(store):
    with exia.run("far") as run:
        kept = store.get(run.id)
        kept.host = "another"
        assert judged(kept).status == "running"
        kept.heartbeat = kept.started = "2026-01-02T03:04:05.000000+00:00"

        assert judged(kept).status == "lost"


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
