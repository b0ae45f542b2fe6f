"""What comes from a remote store is taken only if somebody trusted has signed it."""

import shutil

import pytest
import zstandard

import veda
from veda import keys, signatures
from veda.claims import Claim


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """Give the URL of a store outside the user's home, and see to it that nothing else is."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    return f"file:{tmp_path}/srv"


@pytest.fixture
def pushed(workspace, remote):
    package = veda.pack(workspace())
    veda.push(package, remote)
    return package


@pytest.fixture(params=["ssh-keygen", "cryptography"])
def tool(request, monkeypatch):
    """Have signatures made and checked by each of the two."""
    if request.param == "cryptography":
        pytest.importorskip("cryptography", reason="pip install 'jiyuan-veda[ed25519]'")
        monkeypatch.setattr(signatures.shutil, "which", lambda program: None)
    elif shutil.which("ssh-keygen") is None:
        pytest.skip("apt-get install openssh-client")
    return request.param


def test_a_push_signs_and_who_trusts_the_key_may_pull(tool, workspace, remote, tmp_path):
    pushed = veda.push(veda.pack(workspace()), remote)
    key = veda.new_key("other-key", home=tmp_path / "other")

    with pytest.raises(veda.Untrusted, match="whom you do not trust") as caught:
        veda.pull("small", remote, home=tmp_path / "other")
    assert "veda key trust NAME 'ssh-ed25519 " in caught.value.hint
    assert key.public.fingerprint not in str(caught.value)

    veda.trust("alice", str(keys.signing_key().public), home=tmp_path / "other")
    assert veda.pull("small", remote, home=tmp_path / "other").signed_by == "alice"
    assert pushed.signed_by == keys.signing_key().public.fingerprint


def test_both_tools_read_what_the_other_wrote(tmp_path, monkeypatch):
    pytest.importorskip("cryptography", reason="pip install 'jiyuan-veda[ed25519]'")
    if shutil.which("ssh-keygen") is None:
        pytest.skip("apt-get install openssh-client")
    key = veda.new_key()
    by_ssh = signatures.sign(b"x", "veda", key.private)

    with monkeypatch.context() as patch:
        patch.setattr(signatures.shutil, "which", lambda program: None)
        assert signatures.sign(b"x", "veda", key.private) == by_ssh
        assert signatures.signer(by_ssh, b"x", "veda") == key.public
        signatures.make_key(tmp_path / "python", "x")
        by_python = signatures.sign(b"x", "veda", tmp_path / "python")
    made = signatures.PublicKey.parse((tmp_path / "python.pub").read_text())
    assert signatures.signer(by_python, b"x", "veda") == made
    assert (tmp_path / "python").stat().st_mode & 0o777 == 0o600


def test_without_either_tool_the_way_out_is_named(monkeypatch):
    monkeypatch.setattr(signatures.shutil, "which", lambda program: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(veda.MissingExtra, match="ssh-keygen or cryptography") as caught:
        veda.new_key()
    assert "jiyuan-veda[ed25519]" in caught.value.hint


def test_a_signature_of_something_else_is_no_signature(tool):
    key = veda.new_key()
    good = signatures.sign(b"x", "veda", key.private)

    for text, message, namespace in (
        (good, b"y", "veda"),
        (good, b"x", "veda-channel"),
        (good.replace("A", "B", 20), b"x", "veda"),
        ("", b"x", "veda"),
        ("-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n", b"x", "veda"),
    ):
        with pytest.raises(veda.Untrusted):
            signatures.signer(text, message, namespace)


def test_an_unsigned_release_is_refused_from_afar_and_taken_from_the_own_home(workspace, remote, pushed, tmp_path):
    for signature in (tmp_path / "srv").glob("signatures/*/*"):
        signature.unlink()

    with pytest.raises(veda.Untrusted, match=r"small@1\.0 is not signed"):
        veda.pull("small", remote)
    assert not (tmp_path / "home" / "trees").exists()

    shutil.copytree(tmp_path / "srv", tmp_path / "user" / "srv")
    assert veda.pull("small", f"file:{tmp_path}/user/srv").digest == pushed.digest


def test_the_policy_may_take_what_anybody_wrote(remote, pushed, tmp_path, monkeypatch):
    monkeypatch.setenv("VEDA_POLICY", "any")
    assert veda.pull("small", remote, home=tmp_path / "other").signed_by == ""

    monkeypatch.setenv("VEDA_POLICY", "none")
    with pytest.raises(veda.BadInput, match="policy"):
        veda.pull("small", remote, home=tmp_path / "third")


def test_a_link_in_the_home_does_not_make_a_store_the_users_own(remote, pushed, tmp_path):
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "srv").symlink_to(tmp_path / "srv")

    with pytest.raises(veda.Untrusted):
        veda.pull("small", f"file:{tmp_path}/user/srv", home=tmp_path / "other")


def test_a_revoked_key_is_trusted_never_again(remote, pushed, tmp_path):
    other = tmp_path / "other"
    public = str(keys.signing_key().public)
    veda.trust("alice", public, home=other)

    assert [k.name for k in veda.revoke("alice", home=other)] == ["alice"]

    with pytest.raises(veda.Untrusted, match="revoked"):
        veda.pull("small", remote, home=other)
    with pytest.raises(veda.Conflict, match="revoked"):
        veda.trust("alice", public, home=other)
    assert [k.revoked for k in veda.trusted(other)] == [True]


def test_a_second_signature_by_somebody_trusted_is_enough(workspace, remote, pushed, tmp_path):
    other = tmp_path / "other"
    bob = veda.new_key(home=other)  # a key is trusted where it was made
    with veda.open_store(remote) as store:
        keys.sign_release(store, Claim.parse(store.get_claim("small", "1.0")).manifest, bob)

    assert veda.pull("small", remote, home=other).signed_by == bob.name or keys.owner()


def test_a_manifest_that_was_changed_is_refused_although_its_name_is_signed(remote, pushed, tmp_path):
    with veda.open_store(remote) as store:
        manifest = Claim.parse(store.get_claim("small", "1.0")).manifest
    blob = next((tmp_path / "srv").rglob(manifest))
    if blob.is_dir():
        blob = next((tmp_path / "srv" / "blobs").rglob(manifest))
    changed = zstandard.ZstdDecompressor().decompress(blob.read_bytes()).replace(b"Apache-2.0", b"Apache-3.0")
    blob.write_bytes(zstandard.compress(changed))

    with pytest.raises(veda.Damaged):
        veda.pull("small", remote)


@pytest.mark.parametrize(
    "text", ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIA==", "nowhere.pub"]
)
def test_what_is_no_public_key_is_not_trusted(text):
    with pytest.raises(veda.BadInput):
        veda.trust("alice", text)


@pytest.mark.parametrize("name", ["", "two words", "../x", "a\nb"])
def test_a_key_has_a_plain_name(name):
    with pytest.raises(veda.BadInput, match="no name of a key"):
        veda.new_key(name)


def test_a_line_for_another_use_of_ssh_signatures_gives_no_trust(remote, pushed, tmp_path):
    other = tmp_path / "other"
    veda.trust("alice", str(keys.signing_key().public), home=other)
    path = other / "trust" / "allowed_signers"
    path.write_text(path.read_text().replace('"veda"', '"git"'))

    with pytest.raises(veda.Untrusted):
        veda.pull("small", remote, home=other)


def test_a_key_of_the_users_own_may_sign(workspace, remote, tmp_path, monkeypatch):
    signatures.make_key(tmp_path / "id_ed25519", "mine")
    monkeypatch.setenv("VEDA_KEY", str(tmp_path / "id_ed25519"))

    pushed = veda.push(veda.pack(workspace()), remote)

    assert pushed.signed_by == signatures.PublicKey.parse((tmp_path / "id_ed25519.pub").read_text()).fingerprint
    monkeypatch.setenv("VEDA_KEY", "missing")
    with pytest.raises(veda.NotFound, match="missing"):
        veda.push(veda.pack(workspace(version="1.1")), remote)
