"""A run keeps files, figures, notes and what was printed."""

from __future__ import annotations

import sys

import pytest

import exia
from exia.captured import printed
from exia.errors import BadInput
from exia.runs import journal, places


@pytest.fixture
def store():
    store = exia.open_runs()
    yield store
    store.close()


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
