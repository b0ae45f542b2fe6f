from __future__ import annotations

import os
import zipfile

import pytest

import exia.models
from exia.errors import (
    BadInput,
    BlobNotFound,
    Damaged,
    NotTrusted,
)
from exia.models import Keys, open_models
from exia.objects import open_objects


class TestTrust:
    """No byte of what is unsigned, altered or listed nowhere is parsed."""

    def test_a_catalogue_signed_by_a_stranger_is_refused(self, exia_home, tmp_path):
        stranger = Keys(tmp_path / "s.pem", tmp_path / "s")
        with open_models(keys=stranger) as theirs:
            theirs.save("momentum", {"n": 1})

        with pytest.raises(NotTrusted, match="does not trust") as caught:
            exia.models.load("momentum")
        assert caught.value.exit_code == 4

    def test_a_key_taken_out_of_the_folder_is_trusted_no_more(self, exia_home):
        exia.models.save("momentum", {"n": 1})
        assert exia.models.load("momentum") == {"n": 1}
        (key,) = (exia_home / "keys" / "trusted").iterdir()

        key.unlink()

        with pytest.raises(NotTrusted):
            exia.models.load("momentum")

    @pytest.mark.parametrize("field", ["manifest", "signature", "key", "number", "id"])
    def test_an_altered_entry_of_the_catalogue_is_refused(self, field):
        from dataclasses import replace

        exia.models.save("momentum", {"n": 1})
        objects = open_objects()
        good = objects.find("momentum", 1)
        manifest = good.manifest.replace(b'"size":8', b'"size":9')
        bad = {"manifest": manifest, "signature": bytes(64), "key": "", "number": 2, "id": "other"}[field]
        forged = replace(good, **{"number": 2, "id": "other", field: bad})
        objects.add(forged)
        objects.close()

        with pytest.raises(NotTrusted):
            exia.models.load("momentum@2")
        assert exia.models.load("momentum@1") == {"n": 1}

    def test_bytes_that_were_altered_are_refused(self, exia_home):
        exia.models.save("momentum", {"n": 1})
        (blob,) = (exia_home / "models" / "blobs").glob("*")
        blob.chmod(0o644)
        blob.write_bytes(b'{"n": 2}')

        with pytest.raises(Damaged, match="another SHA-256"):
            exia.models.load("momentum")

    def test_bytes_that_are_gone_are_named(self, exia_home):
        exia.models.save("momentum", {"n": 1})
        (blob,) = (exia_home / "models" / "blobs").glob("*")
        blob.unlink()

        with pytest.raises(BlobNotFound):
            exia.models.load("momentum")

    @pytest.mark.parametrize("part", ["manifest.json", "signature.json", "model.json"])
    def test_an_altered_export_is_refused_and_changes_nothing(self, tmp_path, part):
        exia.models.save("momentum", {"n": 1})
        exia.models.export("momentum", tmp_path / "good.zip")
        with zipfile.ZipFile(tmp_path / "good.zip") as good, zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
            for name in good.namelist():
                data = good.read(name)
                bad.writestr(name, data.replace(b"1", b"2").replace(b"a", b"b") if name == part else data)

        with open_models(f"file://{tmp_path}/t.fs", f"file://{tmp_path}/t") as target:
            with pytest.raises((NotTrusted, Damaged, BadInput)):
                target.import_(tmp_path / "bad.zip")
            assert target.names() == []
        assert not (tmp_path / "t").exists()

    def test_the_signing_key_is_for_its_owner_alone(self, exia_home):
        exia.models.save("momentum", {"n": 1})

        assert (exia_home / "keys" / "signing.pem").stat().st_mode & 0o777 == 0o600

    def test_a_key_of_another_kind_is_refused(self, exia_home, tmp_path):
        (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nno\n-----END PRIVATE KEY-----\n")
        os.environ["EXIA_SIGNING_KEY"] = str(tmp_path / "key.pem")
        try:
            with pytest.raises(BadInput, match=r"key\.pem"):
                exia.models.save("momentum", {"n": 1})
        finally:
            del os.environ["EXIA_SIGNING_KEY"]
        assert exia.models.names() == []
        with pytest.raises(BadInput, match="no public Ed25519 key"):
            Keys.configured().trust(b"no key")
