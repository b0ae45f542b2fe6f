"""A channel moves forward only, and what whoever holds the store can do to it is refused."""

import json
import socket
import threading

import pytest
import time_machine

import veda
from veda import keys
from veda.channels import read_channel


@pytest.fixture
def remote(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    return f"file:{tmp_path}/srv"


@pytest.fixture
def reader(tmp_path):
    """Give another machine's home, which trusts the author's key for releases and for the channel."""
    public = str(keys.signing_key().public)
    for channel in ("", "stable"):
        veda.trust("alice", public, channel=channel, home=tmp_path / "other")
    return tmp_path / "other"


@pytest.fixture
def publish(workspace, remote):
    def publish(version, word="one"):
        veda.push(veda.pack(workspace(version=version, word=word)), remote)
        return veda.promote(f"small@{version}", "stable", store=remote)

    return publish


def pointer(tmp_path):
    return tmp_path / "srv" / "channels" / "stable"


def test_a_channel_names_a_release_until_it_is_moved(publish, remote, reader):
    publish("1.0")
    assert veda.pull("small", remote, channel="stable", home=reader).version == "1.0"

    channel = publish("1.1", "two")

    assert (channel.sequence, channel.releases["small"].version) == (2, "1.1")
    assert veda.pull("small", remote, channel="stable", home=reader).version == "1.1"
    with veda.open_store(remote) as store:
        assert read_channel("stable", store, remote, home=reader).signed_by == "alice"


def test_a_release_is_promoted_from_one_channel_to_the_next(workspace, remote):
    for version in ("1.0", "1.1"):
        veda.push(veda.pack(workspace(version=version, word=version)), remote)
    veda.promote("small@1.0", "staging", store=remote)

    moved = veda.promote("small", "stable", from_="staging", store=remote)

    assert moved.releases["small"].version == "1.0"
    with pytest.raises(veda.NotFound, match="has no pairs"):
        veda.promote("pairs", "stable", from_="staging", store=remote)


def another(workspace, name):
    toml = workspace(folder=name) / "veda.toml"
    toml.write_text(toml.read_text().replace('"small"', f'"{name}"', 1))
    return veda.pack(toml.parent)


def test_a_whole_channel_is_promoted_in_one_move(workspace, remote, reader):
    for name in ("one", "two", "three"):
        veda.push(another(workspace, name), remote)
    veda.promote(["one", "two"], "staging", store=remote)

    moved = veda.promote([], "stable", from_="staging", store=remote)

    assert (moved.sequence, sorted(moved.releases)) == (1, ["one", "two"])
    assert veda.pull("two", remote, channel="stable", home=reader).version == "1.0"
    with pytest.raises(veda.NotFound, match="channel stable has no three"):
        veda.pull("three", remote, channel="stable", home=reader)
    with pytest.raises(veda.BadInput, match="no release is named"):
        veda.promote([], "stable", store=remote)


def test_one_release_that_nobody_signed_leaves_the_channel_where_it_was(workspace, remote, tmp_path):
    veda.push(another(workspace, "one"), remote)
    veda.push(another(workspace, "two"), remote, home=tmp_path / "stranger")
    veda.promote("one", "stable", store=remote)

    with pytest.raises(veda.Untrusted, match="whom you do not trust"):
        veda.promote(["one", "two"], "stable", store=remote)

    with veda.open_store(remote) as store:
        channel = read_channel("stable", store, remote)
    assert (channel.sequence, list(channel.releases)) == (1, ["one"])


def test_a_package_is_withdrawn_from_a_channel_and_stays_where_it_was_pulled(workspace, remote, reader):
    for name in ("one", "two"):
        veda.push(another(workspace, name), remote)
    veda.promote(["one", "two"], "stable", store=remote)
    veda.pull("two", remote, channel="stable", home=reader)

    moved = veda.withdraw("two", "stable", store=remote)

    assert (moved.sequence, list(moved.releases)) == (2, ["one"])
    with pytest.raises(veda.NotFound, match="channel stable has no two"):
        veda.pull("two", remote, channel="stable", home=reader)
    with veda.open_registry(home=reader) as registry:
        assert [r.version for r in registry.releases("two")] == ["1.0"]
    with pytest.raises(veda.NotFound, match="channel stable has no two"):
        veda.withdraw("two", "stable", store=remote)
    assert veda.withdraw("one", "stable", store=remote).releases == {}


def test_a_reader_of_an_endorsed_channel_trusts_its_keeper_and_no_author(workspace, remote, tmp_path):
    author, reader = tmp_path / "author", tmp_path / "other"
    veda.push(another(workspace, "one"), remote, home=author)
    veda.trust("author", str(keys.signing_key(author).public))
    keeper = str(keys.signing_key().public)
    for channel in ("", "stable"):
        veda.trust("keeper", keeper, channel=channel, home=reader)

    veda.promote("one", "stable", store=remote)
    with pytest.raises(veda.Untrusted, match="whom you do not trust"):
        veda.pull("one", remote, channel="stable", home=reader)
    veda.promote("one", "stable", endorse=True, store=remote)

    assert veda.pull("one", remote, channel="stable", home=reader).signed_by == "keeper"


def test_nobody_endorses_what_a_stranger_signed(workspace, remote, tmp_path):
    veda.push(another(workspace, "one"), remote, home=tmp_path / "stranger")

    with pytest.raises(veda.Untrusted, match="whom you do not trust"):
        veda.promote("one", "stable", endorse=True, store=remote)

    with veda.open_store(remote) as store:
        assert len(store.list("signatures/")) == 1


def test_two_who_move_a_channel_at_once_both_find_their_release_in_it(workspace, remote):
    from concurrent.futures import ThreadPoolExecutor

    veda.push(veda.pack(workspace()), remote)
    for n in range(6):
        toml = workspace(folder=f"p{n}") / "veda.toml"
        toml.write_text(toml.read_text().replace('"small"', f'"small-{n}"', 1))
        veda.push(veda.pack(toml.parent), remote)
    veda.promote("small", "stable", store=remote)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: veda.promote(f"small-{n}", "stable", store=remote), range(6)))

    with veda.open_store(remote) as store:
        channel = read_channel("stable", store, remote)
    assert (channel.sequence, len(channel.releases)) == (7, 7)


def test_a_key_that_may_not_move_a_channel_cannot(publish, remote, tmp_path):
    publish("1.0")
    thief = tmp_path / "thief"
    veda.trust("alice", str(keys.signing_key().public), home=thief)
    veda.trust("alice", str(keys.signing_key().public), channel="stable", home=thief)

    with pytest.raises(veda.Untrusted, match="may not move channel stable"):
        veda.promote("small@1.0", "stable", store=remote, home=thief)


# The six attacks of The Update Framework by somebody who can write to the store, or answers in its place.


def test_attack_rollback_an_older_pointer_is_refused(publish, remote, reader, tmp_path):
    publish("1.0")
    old = pointer(tmp_path).read_bytes()
    publish("1.1", "two")
    veda.pull("small", remote, channel="stable", home=reader)
    pointer(tmp_path).write_bytes(old)

    with pytest.raises(veda.Untrusted, match="it was at 2 before"):
        veda.pull("small", remote, channel="stable", home=reader)


def test_attack_freeze_a_pointer_that_expired_is_refused_until_it_is_renewed(publish, remote, reader):
    publish("1.0")
    veda.pull("small", remote, channel="stable", home=reader)

    with time_machine.travel("2126-01-01"):
        with pytest.raises(veda.Untrusted, match="expired"):
            veda.pull("small", remote, channel="stable", home=reader)
        assert veda.renew("stable", store=remote).sequence == 2
        assert veda.pull("small", remote, channel="stable", home=reader).version == "1.0"


def test_attack_mix_and_match_releases_that_never_stood_together_are_refused(publish, remote, reader, tmp_path):
    publish("1.0")
    publish("1.1", "two")
    claims = tmp_path / "srv" / "versions" / "small"
    (claims / "1.1").write_bytes((claims / "1.0").read_bytes())

    with pytest.raises(veda.Untrusted, match="not what channel stable names"):
        veda.pull("small", remote, channel="stable", home=reader)
    document = json.loads(pointer(tmp_path).read_bytes())
    document["pointer"]["releases"]["small"]["version"] = "1.0"
    pointer(tmp_path).write_bytes(json.dumps(document).encode())
    with pytest.raises(veda.Untrusted, match="does not fit"):
        veda.pull("small", remote, channel="stable", home=reader)


def test_attack_mix_and_match_another_channels_pointer_is_refused(publish, workspace, remote, reader, tmp_path):
    publish("1.0")
    veda.promote("small@1.0", "testing", store=remote)
    pointer(tmp_path).write_bytes((tmp_path / "srv" / "channels" / "testing").read_bytes())

    with pytest.raises(veda.Untrusted, match="gave the pointer of 'testing'"):
        veda.pull("small", remote, channel="stable", home=reader)


def test_attack_endless_data_is_cut_off(publish, remote, reader, tmp_path):
    publish("1.0")
    with pointer(tmp_path).open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(veda.Damaged, match="larger than"):
        veda.pull("small", remote, channel="stable", home=reader)

    pointer(tmp_path).unlink()
    publish("1.1", "two")
    for blob in (tmp_path / "srv" / "blobs").rglob("*"):
        if blob.is_file():
            with blob.open("r+b") as file:
                file.truncate(1 << 40)
    with pytest.raises(veda.Damaged, match="more than the"):
        veda.pull("small@1.1", remote, home=reader)


def test_attack_slow_retrieval_is_given_up(tmp_path):
    pytest.importorskip("minio", reason="pip install 'jiyuan-veda[minio]'")
    with (
        _trickle() as port,
        veda.open_store(f"minio://k:secret@127.0.0.1:{port}/bucket?secure=false&timeout=0.3&min_rate=1000") as store,
        pytest.raises(veda.BackendUnavailable, match=r"bytes/s, fewer than 1000"),
    ):
        store.get_blob("0" * 64)


def test_attack_arbitrary_package_that_nobody_trusted_signed_is_refused(publish, remote, reader, tmp_path, workspace):
    publish("1.0")
    thief = tmp_path / "thief"
    veda.push(veda.pack(workspace(version="9.0", word="evil")), remote, home=thief)

    with pytest.raises(veda.Untrusted, match="whom you do not trust"):
        veda.pull("small", remote, home=reader)
    assert veda.pull("small", remote, channel="stable", home=reader).version == "1.0"


class _trickle:
    """A server that answers as S3 does and then sends a byte now and then: nobody's software, an attacker's."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.serve)]
        self.threads[0].start()
        return self.listener.getsockname()[1]

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.threads.append(threading.Thread(target=self.answer, args=(client,)))
            self.threads[-1].start()

    def answer(self, client):
        with client:
            try:
                while request := client.recv(65536):
                    if request.startswith(b"HEAD"):
                        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                        continue
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                    while not self.over.wait(0.02):
                        client.sendall(b"x")
                    return
            except OSError:
                return

    def __exit__(self, *_):
        self.over.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join()
