"""Register, push, pull: what travels, what is refused, and that the store is the truth."""

import shutil

import pytest

import veda
from veda import ArchiveRefused, BackendUnavailable, BadInput, Conflict, Damaged, NotFound, ReleaseExists
from veda.verifying import verify_any


@pytest.fixture(params=["file", pytest.param("minio", marks=pytest.mark.minio)])
def store(request, tmp_path):
    return f"file:{tmp_path}/store" if request.param == "file" else request.getfixturevalue("minio_url")


def test_what_is_pushed_is_pulled_into_an_empty_home_byte_for_byte(workspace, store, tmp_path):
    package = veda.pack(workspace(**{"data/x.bin": bytes(range(256)) * 9000, "run.sh": "#!/bin/sh\n"}))
    veda.register(package)
    veda.push("small@1.0", store)

    pulled = veda.pull("small", store, home=tmp_path / "other")

    assert pulled.digest == package.digest
    assert verify_any("small@1.0", home=tmp_path / "other").digest == package.digest
    assert (
        veda.unpack(package.path, tmp_path / "out").joinpath("data/x.bin").read_bytes()
        == (pulled.path / "data/x.bin").read_bytes()
    )


def test_only_missing_chunks_travel(workspace, store, tmp_path):
    import random

    noise = random.Random(3)
    files = {f"data/{n:02}.bin": noise.randbytes(1 << 20) for n in range(20)}
    first = veda.push(veda.pack(workspace(**files)), store)
    veda.pull("small", store, home=tmp_path / "other")

    second = veda.push(veda.pack(workspace(version="1.1", word="two", **files)), store)
    again = veda.push(veda.pack(workspace(version="1.1", word="two", **files)), store)

    assert first.chunks_sent == first.chunks >= 4
    assert 1 <= second.chunks_sent <= 2
    assert (again.chunks_sent, again.bytes_sent) == (0, 0)


def test_a_second_pull_fetches_nothing(workspace, store, tmp_path):
    veda.push(veda.pack(workspace()), store)
    first = veda.pull("small", store, home=tmp_path / "other")

    second = veda.pull("small", store, home=tmp_path / "other")

    assert (first.chunks_fetched, second.chunks_fetched) == (2, 0)
    assert first.path == second.path


@pytest.mark.parametrize("ref", ["small", "small@1.1", "small@~=1.0", "small@champion", "digest"])
def test_a_pull_takes_every_kind_of_reference(workspace, store, ref):
    veda.push(veda.pack(workspace(version="1.0")), store)
    newer = veda.pack(workspace(version="1.1", word="two"))
    veda.push(newer, store)
    veda.register(newer)
    veda.tag("small", "champion")

    assert veda.pull(f"small@{newer.digest}" if ref == "digest" else ref, store).version == "1.1"


def test_a_version_of_other_content_is_refused_by_the_store(workspace, store, tmp_path):
    mine = veda.pack(workspace())
    veda.push(mine, store)
    theirs = veda.pack(workspace(word="other"))

    with pytest.raises(ReleaseExists, match=r"small@1\.0"):
        veda.push(theirs, store)

    assert veda.pull("small", store, home=tmp_path / "other").digest != theirs.digest


def test_a_version_of_other_content_is_refused_by_the_registry(workspace):
    veda.register(veda.pack(workspace()))

    with pytest.raises(ReleaseExists):
        veda.register(veda.pack(workspace(word="other")))


def test_the_same_content_built_again_is_the_same_release(workspace, store, monkeypatch):
    package = veda.pack(workspace())
    veda.push(package, store)
    monkeypatch.setattr("veda.package._git_commit", lambda folder: "a" * 40)
    rebuilt = veda.pack(workspace())

    assert rebuilt.path.read_bytes() != b""
    assert veda.push(rebuilt, store).digest == package.digest


def test_what_the_store_lacks_is_not_found(workspace, store):
    veda.push(veda.pack(workspace()), store)

    with pytest.raises(NotFound, match=r"small@2\.0; its versions of small: 1\.0"):
        veda.pull("small@2.0", store)
    with pytest.raises(NotFound, match="no other"):
        veda.pull("other", store)
    with pytest.raises(NotFound):
        veda.pull("small@champion", store)


def test_a_reference_whose_file_is_gone_says_so(workspace, store):
    package = veda.pack(workspace())
    veda.register(package)
    package.path.unlink()

    with pytest.raises(NotFound, match="no longer there"):
        veda.push("small", store)


def _blob_of(tmp_path, package):
    return next((tmp_path / "store").rglob(package.manifest.chunks[0].sha256))


def test_a_damaged_store_installs_nothing(workspace, tmp_path):
    package = veda.pack(workspace())
    veda.push(package, f"file:{tmp_path}/store")
    blob = _blob_of(tmp_path, package)
    blob.write_bytes(b"x" * blob.stat().st_size)

    with pytest.raises(Damaged):
        veda.pull("small", f"file:{tmp_path}/store", home=tmp_path / "other")

    assert not [p for p in (tmp_path / "other" / "trees").iterdir() if p.is_dir()]
    with pytest.raises(NotFound):
        veda.inspect("small", home=tmp_path / "other")


def test_a_store_without_one_blob_says_so(workspace, tmp_path):
    package = veda.pack(workspace())
    veda.push(package, f"file:{tmp_path}/store")
    _blob_of(tmp_path, package).unlink()

    with pytest.raises(NotFound, match="no blob"):
        veda.pull("small", f"file:{tmp_path}/store", home=tmp_path / "other")


def test_a_claim_that_names_another_package_is_refused(workspace, tmp_path):
    veda.push(veda.pack(workspace()), f"file:{tmp_path}/store")
    versions = tmp_path / "store" / "versions"
    shutil.copytree(versions / "small", versions / "wanted")

    with pytest.raises(ArchiveRefused, match="manifest-disagrees"):
        veda.pull("wanted", f"file:{tmp_path}/store", home=tmp_path / "other")


@pytest.mark.parametrize("claim", [b"", b"{}", b"[" * 99999, b'{"digest": 1, "manifest": 2}', b"\xff"])
def test_a_claim_that_is_none_is_refused(workspace, tmp_path, claim):
    veda.push(veda.pack(workspace()), f"file:{tmp_path}/store")
    (tmp_path / "store" / "versions" / "small" / "1.0").write_bytes(claim)

    with pytest.raises(ArchiveRefused, match="claim-damaged"):
        veda.pull("small", f"file:{tmp_path}/store", home=tmp_path / "other")


def test_a_damaged_archive_reaches_no_store(workspace, tmp_path):
    package = veda.pack(workspace())
    data = bytearray(package.path.read_bytes())
    data[package.members[package.manifest.chunks[0].member].offset + 5] ^= 1
    package.path.write_bytes(data)

    with pytest.raises(ArchiveRefused):
        veda.push(package.path, f"file:{tmp_path}/store")

    assert not (tmp_path / "store" / "versions" / "small").exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: (t / "README.md").unlink(),
        lambda t: (t / "more.txt").touch(),
        lambda t: (t / "README.md").chmod(0o755),
        lambda t: ((t / "README.md").chmod(0o644), (t / "README.md").write_text("# smalL\n")),
    ],
    ids=["missing", "added", "mode", "content"],
)
def test_verify_notices_every_change_of_an_installed_tree(workspace, tmp_path, spoil):
    veda.push(veda.pack(workspace()), f"file:{tmp_path}/store")
    spoil(veda.pull("small", f"file:{tmp_path}/store").path)

    with pytest.raises(Damaged) as caught:
        verify_any("small")
    assert "veda pull small@1.0" in caught.value.hint


def test_two_workspaces_of_one_name_do_not_mix(workspace, tmp_path):
    package = veda.pack(workspace())
    target = veda.unpack(package.path, tmp_path / "out")

    with pytest.raises(Conflict):
        veda.unpack(package.path, target)
    with pytest.raises(BadInput):
        veda.pack(tmp_path / "nowhere")


def test_a_store_that_dies_in_the_middle_is_unavailable_and_nothing_is_installed(workspace, tmp_path, monkeypatch):
    from veda.store.file import FileStore

    package = veda.pack(workspace())
    veda.push(package)
    get, home = FileStore.get_blob, tmp_path / "other"

    def dies(self, digest, limit=None):
        if digest == package.manifest.chunks[0].sha256:
            raise BackendUnavailable("the server is gone")
        return get(self, digest)

    with monkeypatch.context() as patch:
        patch.setattr(FileStore, "get_blob", dies)
        with pytest.raises(BackendUnavailable, match="gone"):
            veda.pull("small", f"file:{tmp_path}/home/store", home=home)

    assert not [p for p in (home / "trees").iterdir() if p.is_dir()]
    assert veda.pull("small", f"file:{tmp_path}/home/store", home=home).digest == package.digest


def test_a_pull_that_contradicts_the_registry_fetches_nothing(workspace, tmp_path):
    veda.push(veda.pack(workspace(word="theirs")), f"file:{tmp_path}/store")
    mine = veda.register(veda.pack(workspace(word="mine")))

    with pytest.raises(ReleaseExists):
        veda.pull("small", f"file:{tmp_path}/store")

    assert not (tmp_path / "home" / "trees").exists()
    assert veda.load("small").package.digest == mine.digest


def test_a_mistyped_store_makes_no_folder(workspace, tmp_path):
    with pytest.raises(NotFound):
        veda.pull("small", f"file:{tmp_path}/typo")

    assert not (tmp_path / "typo").exists()


@pytest.mark.minio
def test_a_pull_that_was_cut_off_goes_on_where_it_was(workspace, minio_url, tmp_path, monkeypatch):
    import random

    from veda.store.minio import MinioStore

    noise = random.Random(4)
    package = veda.pack(workspace(**{f"data/{n}.bin": noise.randbytes(4 << 20) for n in range(12)}))
    veda.push(package, minio_url)
    get, last = MinioStore.get_blob, package.manifest.chunks[-1].sha256

    def dies(self, digest, limit=None):
        if digest == last:
            raise BackendUnavailable("the server is gone")
        return get(self, digest, limit)

    with monkeypatch.context() as patch:
        patch.setattr(MinioStore, "get_blob", dies)
        with pytest.raises(BackendUnavailable):
            veda.pull("small", minio_url, home=tmp_path / "other")

    assert veda.pull("small", minio_url, home=tmp_path / "other").chunks_fetched == 1
