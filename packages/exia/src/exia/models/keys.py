"""Who signs models, and whose signature this machine trusts: Ed25519 keys in PEM files.

The keys belong to the machine's configuration, never to the store: whoever can write to the store
must not thereby decide what is trusted.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from exia._house.config import home, load_config
from exia._house.files import sync_folder, write_durably
from exia.errors import BadInput, NotAllowed, NotTrusted
from exia.settings import SETTINGS


@dataclass(frozen=True)
class Keys:
    """The key that signs, and the folder of those that are trusted.

    Parameters
    ----------
    signing
        PEM file of the private key; made, with its public half in `trusted`, when first needed.
    trusted
        Folder of public keys, ``NAME.pub`` each.
    """

    signing: Path
    trusted: Path

    @classmethod
    def configured(cls) -> Keys:
        """Return the keys that the settings ``signing_key`` and ``trusted_keys`` name."""
        config = load_config(SETTINGS)
        folder = home() / "keys"
        signing, trusted = config.text("signing_key"), config.text("trusted_keys")
        return cls(
            Path(signing).expanduser() if signing else folder / "signing.pem",
            Path(trusted).expanduser() if trusted else folder / "trusted",
        )

    def sign(self, data: bytes) -> tuple[bytes, str]:
        """Return the signature of `data` and the fingerprint of the key."""
        key = self._private()
        return key.sign(data), _fingerprint(key.public_key())

    def check(self, data: bytes, signature: bytes, fingerprint: str, what: str) -> None:
        """Raise `NotTrusted` unless a trusted key has signed exactly `data`."""
        from cryptography.exceptions import InvalidSignature

        key = self._trusted().get(fingerprint)
        if key is None:
            raise NotTrusted(
                f"{what} is signed by key {fingerprint or '(none)'}, which this machine does not trust",
                hint=f"exia models trust FILE, with the public key from whoever saved it (exia models key); "
                f"trusted are those in {self.trusted}",
            )
        try:
            key.verify(signature, data)
        except InvalidSignature:
            raise NotTrusted(
                f"{what} was altered: its manifest does not fit its signature",
                hint="restore the store from a backup, and see who may write to it",
            ) from None

    def public_key(self) -> str:
        """Return the public half of the signing key as PEM, for others to trust."""
        return _pem(self._private().public_key()).decode()

    def fingerprint(self) -> str:
        """Return the fingerprint of the signing key."""
        return _fingerprint(self._private().public_key())

    def trust(self, pem: bytes, name: str | None = None) -> str:
        """Trust the public key in `pem` from now on; return its fingerprint."""
        fingerprint = _fingerprint(_public(pem))
        write_durably(self.trusted / f"{name or fingerprint}.pub", _pem(_public(pem)))
        return fingerprint

    def trusted_fingerprints(self) -> dict[str, str]:
        """Return the trusted keys: fingerprint to file name."""
        return {_fingerprint(_public(path.read_bytes())): path.name for path in sorted(self.trusted.glob("*.pub"))}

    def _trusted(self) -> dict[str, Any]:
        try:
            # Sizes and times tell a key that was added or taken away, without reading all of them at each load.
            seen = tuple(
                sorted(
                    (e.path, e.stat().st_mtime_ns, e.stat().st_ino)
                    for e in os.scandir(self.trusted)
                    if e.name.endswith(".pub")
                )
            )
        except FileNotFoundError:
            return {}
        except OSError as exc:
            raise NotAllowed(f"{self.trusted} cannot be read: {exc.strerror}") from exc
        return _read(seen)

    def _private(self) -> Any:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if not self.signing.exists():
            self._make()
        try:
            key = load_pem_private_key(self.signing.read_bytes(), password=None)
        except OSError as exc:
            raise NotAllowed(
                f"{self.signing} cannot be read: {exc.strerror}", hint="exia config show --origin"
            ) from exc
        except (ValueError, TypeError):
            raise BadInput(
                f"{self.signing} is no private key without a password", hint="openssl genpkey -algorithm ed25519"
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise BadInput(f"{self.signing} is no Ed25519 key", hint="openssl genpkey -algorithm ed25519")
        return key

    def _make(self) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        # Trusted first: a crash in between leaves a key that nobody uses, not models that nobody can load.
        self.trust(_pem(key.public_key()))
        self.signing.parent.mkdir(parents=True, exist_ok=True)
        descriptor, new = tempfile.mkstemp(dir=self.signing.parent, prefix=".signing-")  # only its owner may read it
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
            # A link, not a rename: of two first savers one wins, and both sign with the winner's key.
            os.link(new, self.signing)
        except FileExistsError:
            pass
        finally:
            Path(new).unlink(missing_ok=True)
        sync_folder(self.signing.parent)


@lru_cache(maxsize=8)
def _read(seen: tuple[tuple[str, int, int], ...]) -> dict[str, Any]:
    keys = [_public(Path(path).read_bytes(), path) for path, *_ in seen]
    return {_fingerprint(key): key for key in keys}


def _public(pem: bytes, where: str = "it") -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise BadInput(f"{where} is no public Ed25519 key in PEM", hint="exia models key prints one")
    return key


def _pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _fingerprint(key: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:32]
