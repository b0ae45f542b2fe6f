"""The store is the truth; the team's index hears of it through the outbox and can be made again from it."""

import pytest

import veda
from veda import claims
from veda.outbox import Outbox
from veda.remote import announce_waiting, open_index, record


@pytest.fixture(params=["sqlite", pytest.param("clickhouse", marks=pytest.mark.clickhouse)])
def index(request, tmp_path, monkeypatch):
    embedded = request.param == "sqlite"
    url = f"sqlite:{tmp_path}/index/registry.db" if embedded else request.getfixturevalue("clickhouse_url")
    monkeypatch.setenv("VEDA_INDEX", url)
    return url


@pytest.fixture
def down(tmp_path, monkeypatch):
    """Give an index that does not answer."""
    (tmp_path / "down").write_text("in the way")
    monkeypatch.setenv("VEDA_INDEX", f"sqlite:{tmp_path}/down/registry.db")


def everything(registry):
    with registry:
        releases = {(str(r), r.digest, r.published_at) for r in registry.releases()}
        return releases, {(e.id, e.kind, e.name, e.version, e.subject, e.at, e.by) for e in registry.events()}


def test_what_is_pushed_is_announced(workspace, index):
    package = veda.pack(workspace())

    assert veda.push(package).announced is True

    with open_index() as registry:
        (release,) = registry.releases()
        assert (release.digest, release.facts["size"]) == (package.digest, package.manifest.size)
        assert [e.kind for e in registry.events()] == ["published"]


def test_without_an_index_nothing_is_written_down(workspace, home):
    assert veda.push(veda.pack(workspace())).announced is None
    assert not (home / "outbox.db").exists()


def test_an_index_that_is_down_is_told_later(workspace, down, tmp_path, monkeypatch):
    assert veda.push(veda.pack(workspace())).announced is False
    with Outbox() as outbox:
        (row,) = outbox.waiting()
    assert (row.what, row.state, row.attempts) == ("published small@1.0", "due", 0)

    monkeypatch.setenv("VEDA_INDEX", f"sqlite:{tmp_path}/index.db")
    assert veda.push(veda.pack(workspace(version="1.1", word="two"))).announced is True

    with open_index() as registry:
        assert [r.version for r in registry.releases()] == ["1.0", "1.1"]
    with Outbox() as outbox:
        assert outbox.waiting() == []


def test_a_push_that_died_after_its_claim_is_announced_by_the_next_command(workspace, index, monkeypatch):
    package = veda.pack(workspace())
    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "due", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            veda.push(package)
    with Outbox() as outbox:
        assert [w.state for w in outbox.waiting()] == ["intended"]

    assert announce_waiting() is True

    with open_index() as registry, veda.open_store() as store:
        (release,) = registry.releases()
        assert claims.claimed(store, "small", "1.0") == (release.digest, release.published_at)


def test_a_push_that_lost_its_version_is_not_announced(workspace, index, tmp_path):
    veda.push(veda.pack(workspace(word="first")), home=tmp_path / "other", to=f"file:{tmp_path}/srv")

    with pytest.raises(veda.ReleaseExists):
        veda.push(veda.pack(workspace(word="second")), f"file:{tmp_path}/srv")
    with Outbox() as outbox:
        outbox.intend(veda.Release("small", "1.0", "sha256:" + "0" * 64, {}), f"file://{tmp_path}/srv")

    assert announce_waiting(f"file:{tmp_path}/srv") is True
    with open_index() as registry:
        assert [r.facts["entry_points"][0]["name"] for r in registry.releases()] == ["default"]


def test_an_index_that_is_made_again_equals_the_live_one(workspace, index, home):
    for version in ("1.0", "1.1", "1.2"):
        veda.push(veda.pack(workspace(version=version, word=version)))
    veda.tag("small@1.0", "champion", remote=True)
    veda.tag("small@1.1", "champion", remote=True)
    veda.yank("small@1.2", "leaks", remote=True)
    veda.update("small@1.1", {"owner": "desk-2"}, remote=True)
    live = everything(open_index())

    assert veda.reindex() == (3, 4)
    assert everything(open_index()) == live
    with open_index() as registry:
        assert dict(registry.tags("small")) == {"champion": "1.1"}
        assert dict(registry.yanked("small")) == {"1.2": "leaks"}


def test_a_release_is_registered_afar_only_when_its_chunks_are_there(workspace, index, home):
    package = veda.pack(workspace())

    with pytest.raises(veda.NotFound, match="not in the store yet"):
        veda.register_remote(package)
    veda.push(package)
    assert veda.register_remote(package).digest == package.digest
    chunk = package.manifest.chunks[0].sha256
    (home / "store" / "blobs" / "sha256" / chunk[:2] / chunk).unlink()
    with pytest.raises(veda.NotFound, match="not in the store yet"):
        veda.register_remote(package)


def test_remote_commands_without_an_index_say_how_to_name_one(workspace):
    veda.push(veda.pack(workspace()))

    for work in (open_index, lambda: veda.tag("small", "x", remote=True), lambda: veda.reindex()):
        with pytest.raises(veda.BadInput, match="no index") as caught:
            work()
        assert "VEDA_INDEX=clickhouse://" in caught.value.hint


def test_an_event_of_a_release_that_the_store_lacks_is_refused(index):
    with pytest.raises(veda.NotFound):
        record(veda.Event("tagged", "small", "1.0", "champion"))


def test_a_yanked_release_is_pulled_only_by_its_exact_version(workspace, index, tmp_path):
    for version in ("1.0", "1.1"):
        veda.push(veda.pack(workspace(version=version, word=version)))
    veda.yank("small@1.1", "wrong sign", remote=True)

    assert veda.pull("small", home=tmp_path / "other", from_=f"file:{tmp_path}/home/store").version == "1.0"
    assert veda.pull("small@1.1", home=tmp_path / "other", from_=f"file:{tmp_path}/home/store").version == "1.1"
    veda.unyank("small@1.1", remote=True)
    assert veda.pull("small", home=tmp_path / "third", from_=f"file:{tmp_path}/home/store").version == "1.1"


def test_a_yank_says_why_when_nothing_else_fits(workspace):
    veda.register(veda.pack(workspace()))
    veda.yank("small@1.0", "wrong sign")

    with pytest.raises(veda.NotFound, match=r"all that fits small is yanked: wrong sign") as caught:
        veda.load("small")
    assert caught.value.hint == "name one exactly: small@1.0"
    assert veda.load("small@1.0").package.version == "1.0"
    with pytest.raises(veda.BadInput, match="does not name one version"):
        veda.yank("small", "why")
    veda.unyank("small@1.0")
    with pytest.raises(veda.Conflict, match="is not yanked"):
        veda.unyank("small@1.0")


def test_the_history_of_a_package_names_everything_that_happened(workspace):
    veda.register(veda.pack(workspace()))
    veda.tag("small", "champion")
    veda.yank("small@1.0", "why")

    assert [(e.kind, e.subject) for e in veda.history("small")] == [
        ("published", ""), ("tagged", "champion"), ("yanked", ""),
    ]  # fmt: skip


def test_a_registry_of_an_older_veda_is_taken_over(home):
    import json
    import sqlite3

    home.mkdir()
    db = sqlite3.connect(home / "registry.db")
    db.executescript("""
        CREATE TABLE releases (
            seq INTEGER PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL, digest TEXT NOT NULL,
            facts TEXT NOT NULL, published_at TEXT NOT NULL, UNIQUE (name, version)
        ) STRICT;
        CREATE TABLE tag_events (
            seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, tag TEXT NOT NULL,
            version TEXT NOT NULL, at TEXT NOT NULL
        ) STRICT;
        CREATE VIEW tags AS SELECT name, tag, version FROM tag_events
            WHERE seq IN (SELECT max(seq) FROM tag_events GROUP BY name, tag);
    """)
    facts = json.dumps({"summary": "A mean", "requires": ["numpy"], "entry_points": []})
    db.execute("INSERT INTO releases VALUES (1, 'small', '1.0', 'sha256:00', ?, '2026-01-01T00:00:00+00:00')", (facts,))
    db.execute("INSERT INTO tag_events VALUES (1, 'x', 'small', 'champion', '1.0', '2026-01-02T00:00:00+00:00')")
    db.commit()
    db.close()

    with veda.open_registry() as registry:
        assert dict(registry.tags("small")) == {"champion": "1.0"}
        assert [r.version for r in registry.search(veda.Query("mean", uses="numpy"))] == ["1.0"]
        assert [e.kind for e in registry.events()] == ["published", "tagged"]
