"""SSH signatures (the format of ``ssh-keygen -Y``): by ssh-keygen, or in Python where it is missing."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import tempfile
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from pathlib import Path

from veda.errors import BadInput, MissingExtra, Untrusted

RELEASE = "veda"  #: Namespace of signatures over the digest of a manifest.
CHANNEL = "veda-channel"  #: Namespace of signatures over a channel's pointer.

_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_MAGIC = b"SSHSIG"
_ED25519 = b"ssh-ed25519"


@dataclass(frozen=True)
class PublicKey:
    """A public key: its type, such as ``ssh-ed25519``, and its bytes as SSH writes them."""

    kind: str
    blob: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Parse ``ssh-ed25519 AAAA...``, with or without a comment; raise `BadInput` if it is none."""
        words = text.split()
        try:
            blob = b64decode(words[1], validate=True)
            if _string(blob, 0)[0].decode() == words[0]:
                return cls(words[0], blob)
        except (IndexError, ValueError, Base64Error, struct.error):
            pass
        raise BadInput(f"{text[:60]!r} is no public key", hint="give the path or the text of a .pub file of ssh-keygen")

    @property
    def fingerprint(self) -> str:
        """``SHA256:...`` as ssh-keygen shows it."""
        return "SHA256:" + b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def id(self) -> str:
        """The same as 64 hex digits, which a file can be named by."""
        return hashlib.sha256(self.blob).hexdigest()

    def __str__(self) -> str:
        return f"{self.kind} {b64encode(self.blob).decode()}"


def make_key(path: Path, comment: str) -> None:
    """Write a new Ed25519 key without a passphrase to `path`, readable by its owner alone, and ``.pub`` beside it."""
    if program := shutil.which("ssh-keygen"):
        _run([program, "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)], b"", f"{path} was not made")
        return
    _needed()
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption())
    public = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(private)
    path.with_name(f"{path.name}.pub").write_bytes(public + f" {comment}\n".encode())


def sign(message: bytes, namespace: str, key: Path) -> str:
    """Return the signature of `message` by the private key at `key`, as text."""
    if program := shutil.which("ssh-keygen"):
        command = [program, "-q", "-Y", "sign", "-f", str(key), "-n", namespace]
        return _run(command, message, f"{key} does not sign").decode()
    _needed()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

    try:
        private = load_ssh_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as exc:
        raise BadInput(f"{key} cannot be used: {exc}", hint="veda key new") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise BadInput(f"{key} is no Ed25519 key, and without ssh-keygen only those can be used")
    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    blob = _pack(_ED25519, raw)
    signed = private.sign(_signed(message, namespace.encode(), b"sha512"))
    body = _MAGIC + struct.pack(">I", 1) + _pack(blob, namespace.encode(), b"", b"sha512", _pack(_ED25519, signed))
    lines = b64encode(body).decode()
    wrapped = "\n".join(lines[n : n + 70] for n in range(0, len(lines), 70))
    return f"{_BEGIN}\n{wrapped}\n{_END}\n"


def signer(signature: str, message: bytes, namespace: str) -> PublicKey:
    """Return the key that made `signature` of `message`; raise `Untrusted` if the signature is not good.

    Whether that key is trusted is another question, for `veda.keys`.
    """
    key, said, algorithm, made = _parse(signature)
    if said != namespace.encode():
        raise Untrusted(f"the signature is one for {said.decode(errors='replace')[:40]!r}, not for {namespace!r}")
    if program := shutil.which("ssh-keygen"):
        with tempfile.NamedTemporaryFile("w", suffix=".sig") as file:
            file.write(signature)
            file.flush()
            command = [program, "-q", "-Y", "check-novalidate", "-n", namespace, "-s", file.name]
            done = subprocess.run(command, input=message, capture_output=True, check=False, timeout=30)
        good = done.returncode == 0
    else:
        good = _good(key, _signed(message, said, algorithm), made)
    if not good:
        raise Untrusted("the signature does not fit what it stands for: somebody changed one of the two")
    return key


def _parse(signature: str) -> tuple[PublicKey, bytes, bytes, bytes]:
    lines = signature.strip().splitlines()
    try:
        if (lines[0], lines[-1]) != (_BEGIN, _END):
            raise ValueError
        body = b64decode("".join(lines[1:-1]), validate=True)
        if body[:6] != _MAGIC or body[6:10] != b"\0\0\0\1":
            raise ValueError
        parts, position = [], 10
        for _ in range(5):
            part, position = _string(body, position)
            parts.append(part)
        blob, namespace, _, algorithm, made = parts
        if position != len(body) or algorithm not in (b"sha256", b"sha512"):
            raise ValueError
        return PublicKey(_string(blob, 0)[0].decode(), blob), namespace, algorithm, made
    except (IndexError, ValueError, Base64Error, struct.error):
        raise Untrusted("the signature cannot be read") from None


def _good(key: PublicKey, signed: bytes, made: bytes) -> bool:
    _needed()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    kind, at = _string(key.blob, 0)
    made_kind, made_at = _string(made, 0)
    if (kind, made_kind) != (_ED25519, _ED25519):
        raise Untrusted(f"without ssh-keygen only Ed25519 signatures can be checked, and this one is {key.kind}")
    try:
        Ed25519PublicKey.from_public_bytes(_string(key.blob, at)[0]).verify(_string(made, made_at)[0], signed)
    except (InvalidSignature, ValueError, struct.error):
        return False
    return True


def _signed(message: bytes, namespace: bytes, algorithm: bytes) -> bytes:
    return _MAGIC + _pack(namespace, b"", algorithm, hashlib.new(algorithm.decode(), message).digest())


def _pack(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def _string(data: bytes, position: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from(">I", data, position)
    end = position + 4 + length
    if end > len(data):
        raise ValueError("cut short")
    return data[position + 4 : end], end


def _run(command: list[str], message: bytes, failure: str) -> bytes:
    done = subprocess.run(command, input=message, capture_output=True, check=False, timeout=30)
    if done.returncode:
        said = (done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
        raise BadInput(f"{failure}: {said}", hint="veda key list")
    return done.stdout


def _needed() -> None:
    from importlib.util import find_spec

    if find_spec("cryptography") is None:
        raise MissingExtra(
            "signatures need ssh-keygen or cryptography, and neither is installed",
            hint="apt-get install openssh-client, or pip install 'jiyuan-veda[ed25519]'",
        )
