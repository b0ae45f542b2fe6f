"""Stores are counted, verified, collected and synchronised; packages are compared."""

import shutil

import pytest

import veda


@pytest.fixture(params=["file", pytest.param("minio", marks=pytest.mark.minio)])
def store(request, tmp_path):
    return f"file:{tmp_path}/srv" if request.param == "file" else request.getfixturevalue("minio_url")


@pytest.fixture
def pushed(workspace, store):
    for version in ("1.0", "1.1", "1.2"):
        veda.push(veda.pack(workspace(version=version, word=version)), store)
    return store


def test_a_store_is_counted(pushed):
    found = veda.stats(pushed)

    assert (found["packages"], found["releases"], found["unused_blobs"]) == (1, 3, 0)
    assert found["bytes"] >= found["bytes_without_sharing"] > 0


def test_a_whole_store_has_no_faults(pushed):
    assert veda.verify_store(pushed) == []


def test_a_damaged_and_a_missing_blob_are_found(workspace, tmp_path):
    url = f"file:{tmp_path}/srv"
    package = veda.pack(workspace())
    veda.push(package, url)
    chunk = package.manifest.chunks[0]
    blob = next((tmp_path / "srv" / "blobs").rglob(chunk.sha256))
    blob.write_bytes(b"x" * blob.stat().st_size)
    assert [f.where for f in veda.verify_store(url)] == [f"blob {chunk.sha256[:12]}"]

    blob.unlink()
    assert [(f.where, f.detail) for f in veda.verify_store(url)] == [("small@1.0", "1 of its 2 chunks are missing")]


def test_a_collection_looks_first_and_leaves_what_releases_need(pushed, tmp_path):
    with veda.open_store(pushed) as store:
        store.put_blob(b"left by a push that was killed")

    looked = veda.collect(pushed, older=0)
    assert (looked.blobs, looked.bytes, looked.done) == (1, 30, False)
    assert veda.stats(pushed)["unused_blobs"] == 1
    assert veda.collect(pushed).blobs == 0  # too young: the push may still run

    assert veda.collect(pushed, older=0, dry_run=False).blobs == 1
    assert veda.stats(pushed)["unused_blobs"] == 0
    assert veda.verify_store(pushed) == []
    assert veda.pull("small@1.0", pushed, home=tmp_path / "other").version == "1.0"


def test_old_releases_go_but_not_those_that_somebody_names(workspace, tmp_path):
    url = f"file:{tmp_path}/srv"
    digests = {}
    for n in range(7):
        package = veda.pack(workspace(version=f"1.{n}", word=str(n)))
        digests[f"1.{n}"] = package.digest
        veda.register(package)
        veda.push(package, url)
    veda.tag("small@1.0", "champion")
    (tmp_path / "app.lock").write_text(f'digest = "{digests["1.1"]}"\n')
    with veda.open_registry() as registry:
        registry.append(veda.Event("deployed", "small", "1.2", "host-1", data={"digest": digests["1.2"]}))
    veda.promote("small@1.3", "stable", store=url)

    done = veda.collect(url, keep=1, older=0, locks=[tmp_path / "app.lock"], dry_run=False)

    assert done.releases == ("small@1.4", "small@1.5")
    assert set(done.kept) == {"small@1.0", "small@1.1", "small@1.2", "small@1.3"}
    assert done.kept["small@1.0"] == "tag champion"
    assert veda.verify_store(url) == []
    for version in ("1.0", "1.1", "1.2", "1.3", "1.6"):
        assert veda.pull(f"small@{version}", url, home=tmp_path / version).digest == digests[version]
    with pytest.raises(veda.NotFound):
        veda.pull("small@1.4", url, home=tmp_path / "gone")
    with pytest.raises(veda.ReleaseExists):
        veda.push(veda.pack(workspace(version="1.4", word="another")), url)
    assert veda.push(veda.pack(workspace(version="1.4", word="4")), url).chunks_sent == 2
    assert veda.pull("small@1.4", url, home=tmp_path / "back").version == "1.4"


def test_the_registry_learns_what_a_store_has(pushed, tmp_path):
    first = veda.sync(from_=pushed)
    again = veda.sync(from_=pushed)

    assert (first.releases, first.refused) == (3, ())
    assert (again.releases, again.events) == (0, 0)
    with veda.open_registry() as registry:
        assert [r.version for r in registry.search(veda.Query(name="small"))] == ["1.2", "1.1", "1.0"]


def test_what_was_fetched_is_pulled_without_the_store(pushed, tmp_path):
    veda.sync(["small@1.1"], from_=pushed)
    shutil.rmtree(tmp_path / "srv", ignore_errors=True)

    assert veda.pull("small", offline=True).version == "1.1"


def test_a_release_is_fetched_by_its_digest_though_newer_ones_are_there(pushed, tmp_path):
    veda.sync(from_=pushed)
    with veda.open_registry() as registry:
        digest = registry.get("small", "1.0").digest

    veda.sync([f"small@{digest}"], from_=pushed)
    shutil.rmtree(tmp_path / "srv", ignore_errors=True)

    assert veda.pull("small", offline=True).version == "1.0"


def test_a_store_is_copied_to_another_with_its_signatures(workspace, tmp_path, monkeypatch):
    source, target = f"file:{tmp_path}/srv", f"file:{tmp_path}/mirror"
    for version in ("1.0", "1.1"):
        veda.push(veda.pack(workspace(version=version, word=version)), source)
        veda.sync(from_=source)
    veda.new_key("second")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    with pytest.raises(veda.Untrusted):
        veda.sync(from_=source, to=target)  # pushed unsigned, as it lay in the own home
    veda.push(veda.pack(workspace(version="1.2", word="signed")), source)

    done = veda.sync(["small@1.2"], from_=source, to=target)

    assert (done.releases, done.refused) == (1, ())
    assert done.bytes_sent > 0
    assert veda.sync(["small@1.2"], from_=source, to=target).bytes_sent == 0
    assert veda.pull("small@1.2", target).version == "1.2"
    assert veda.sync(from_=source).refused


def test_two_packages_are_compared(workspace, tmp_path):
    old = veda.pack(workspace(), tmp_path / "old.vedapkg")
    veda.register(old)
    folder = workspace(version="1.1", word="two", **{"new.txt": "x"})
    source = folder / "src" / "small" / "__init__.py"
    source.write_text(
        source.read_text().replace("step: int = 1", "step: int = 2").replace("value: float)", "value: int)")
    )
    toml = folder / "veda.toml"
    toml.write_text(toml.read_text().replace("requires = []", 'requires = ["numpy>=1.26"]'))
    veda.pack(folder, tmp_path / "new.vedapkg")

    found = {(d.kind, d.what): (d.before, d.after) for d in veda.diff("small@1.0", str(tmp_path / "new.vedapkg"))}

    assert found["fact", "version"] == ("1.0", "1.1")
    assert found["requires", "numpy"] == (None, "numpy>=1.26")
    assert found["method", "default.signal"] == ("(value: float) -> float", "(value: int) -> float")
    assert "default=2" in found["parameter", "default.step"][1]
    assert {what for kind, what in found if kind == "file"} == {
        "new.txt", "src/small/__init__.py", "src/small/parts.py", "veda.toml",
    }  # fmt: skip
    assert veda.diff("small@1.0", str(tmp_path / "old.vedapkg")) == []
