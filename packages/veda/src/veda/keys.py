"""Own keys, and whose signatures are trusted: files in veda's home that ``ssh-keygen`` reads as well."""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from veda._house.config import load_config
from veda._house.errors import nearest
from veda._house.files import make_folder, write_durably
from veda.errors import BadInput, Conflict, NotFound, Untrusted
from veda.settings import SETTINGS
from veda.settings import home as home_folder
from veda.signatures import CHANNEL, RELEASE, PublicKey, make_key, sign, signer
from veda.store import Store
from veda.tree import locked

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


@dataclass(frozen=True)
class Key:
    """A key by its name.

    Parameters
    ----------
    name
        Of the key's file, or of whoever is trusted with it.
    public
        The key.
    private
        Where the private half lies, or None of another's key.
    channel
        The channel whose pointer it may move; empty for a key that may sign releases.
    revoked
        Whether it is trusted no more, whatever else says so.
    """

    name: str
    public: PublicKey
    private: Path | None = None
    channel: str = ""
    revoked: bool = False


def new_key(name: str = "default", *, home: Path | str | None = None) -> Key:
    """Make the own key `name` and trust it here; raise `Conflict` if there is one."""
    path = _folder(home) / "keys" / _checked(name)
    if path.exists():
        raise Conflict(f"there is a key {name!r} already: {path}", hint="veda key new ANOTHER_NAME")
    make_folder(path.parent)
    path.parent.chmod(0o700)
    with locked(path.parent / ".lock"):
        if not path.exists():
            # Made aside and renamed: of a key that is there both halves are.
            making = path.parent / f".{name}.{os.getpid()}.tmp"
            for stale in (making, making.with_name(f"{making.name}.pub")):
                stale.unlink(missing_ok=True)
            make_key(making, owner())
            making.with_name(f"{making.name}.pub").replace(path.with_name(f"{name}.pub"))
            making.replace(path)
    key = _own(path)
    trust(owner(), str(key.public), home=home)
    return key


def signing_key(home: Path | str | None = None, *, make: bool = True) -> Key | None:
    """Return the key that signs here, as the setting ``key`` names it; the key ``default`` is made if need be."""
    name = load_config(SETTINGS).text("key")
    path = Path(name).expanduser() if os.sep in name else _folder(home) / "keys" / name
    if not path.exists():
        if name != "default":
            raise NotFound(f"there is no key {path}", hint=f"veda key new {name}" if os.sep not in name else None)
        return new_key(home=home) if make else None
    return _own(path)


def own_key(name: str = "default", *, home: Path | str | None = None) -> Key:
    """Return a key that was made here; raise `NotFound` if there is none of this name."""
    found = {k.name: k for k in own_keys(home)}
    if name not in found:
        raise NotFound(f"there is no key {name!r} here", hint=nearest(name, found) or f"veda key new {name}")
    return found[name]


def own_keys(home: Path | str | None = None) -> list[Key]:
    """Return the keys that were made here, sorted by name."""
    return [_own(p.with_suffix("")) for p in sorted((_folder(home) / "keys").glob("[!.]*.pub"))]


def trust(name: str, key: str, *, channel: str = "", home: Path | str | None = None) -> Key:
    """Trust `key` as that of `name`: to sign releases, or to move the pointer of `channel`.

    Parameters
    ----------
    key
        The path of a ``.pub`` file, or its text.

    Raises
    ------
    BadInput
        If it is no public key.
    Conflict
        If the key is revoked.
    """
    text = key if key.startswith(("ssh-", "ecdsa-", "sk-")) else _read_text(Path(key))
    public = PublicKey.parse(text)
    _checked(name)
    if public.blob in _revoked(home):
        raise Conflict(f"{public.fingerprint} is revoked", hint="trust another key")
    path = _allowed(home, channel)
    make_folder(path.parent)
    with locked(path.with_name(f".{path.name}.lock")):
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        line = f'{name} namespaces="{CHANNEL if channel else RELEASE}" {public}'
        if line not in lines:
            write_durably(path, "".join(f"{one}\n" for one in [*lines, line]).encode())
    return Key(name, public, channel=channel)


def revoke(name: str, *, home: Path | str | None = None) -> list[Key]:
    """Trust the keys of `name`, or the key with this fingerprint, never again; return them."""
    known = [*trusted(home), *own_keys(home)]
    found = {k.public.blob: k for k in known if name in (k.name, k.public.fingerprint)}
    if not found:
        raise NotFound(f"no key of {name} is known", hint=nearest(name, {k.name for k in known}) or "veda key list")
    path = _folder(home) / "trust" / "revoked"
    make_folder(path.parent)
    with locked(path.with_name(".revoked.lock")):
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        lines += [str(k.public) for k in found.values() if str(k.public) not in lines]
        write_durably(path, "".join(f"{line}\n" for line in lines).encode())
    return list(found.values())


def trusted(home: Path | str | None = None) -> list[Key]:
    """Return every key that is or was trusted: for releases first, then for each channel."""
    revoked = _revoked(home)
    channels = sorted(p.name for p in (_folder(home) / "trust" / "channels").glob("[!.]*"))
    return [
        Key(name, key, channel=channel, revoked=key.blob in revoked)
        for channel in ["", *channels]
        for name, key in _lines(home, channel)
    ]


def check_signature(signature: str, message: bytes, *, channel: str = "", home: Path | str | None = None) -> Key:
    """Return the trusted key that made `signature` of `message`; raise `Untrusted` if there is none."""
    public = signer(signature, message, CHANNEL if channel else RELEASE)
    if public.blob in _revoked(home):
        raise Untrusted(f"the key {public.fingerprint} that signed is revoked", hint="veda key list")
    for name, key in _lines(home, channel):
        if key == public:
            return Key(name, public, channel=channel)
    option = f" --channel {channel}" if channel else ""
    raise Untrusted(
        f"signed by {public.fingerprint}, whom you do not trust",
        hint=f"ask its owner for the fingerprint; if it is the same: veda key trust NAME '{public}'{option}",
    )


def sign_release(store: Store, manifest: str, key: Key) -> None:
    """Put a signature over the manifest's digest into the store; the manifest says everything else."""
    place = f"signatures/{manifest}/{key.public.id}"
    assert key.private is not None
    store.replace(place, sign(_statement(manifest), RELEASE, key.private).encode(), None)


def check_release(store: Store, manifest: str, what: str, *, home: Path | str | None = None) -> Key:
    """Return the trusted key that signed a manifest; raise `Untrusted` if the store has no signature of one."""
    fault: Untrusted | None = None
    for entry in store.list(f"signatures/{manifest}/")[:100]:
        try:
            text = store.read(entry.key)[0].decode("ascii", "replace")
            return check_signature(text, _statement(manifest), home=home)
        except (Untrusted, NotFound) as exc:
            fault = exc if isinstance(exc, Untrusted) else fault
    if fault:
        raise Untrusted(f"{what}: {fault}", hint=fault.hint)
    raise Untrusted(
        f"{what} is not signed", hint="have its author push it again, or set VEDA_POLICY=any to take what anybody wrote"
    )


def must_be_signed(store: Store, home: Path | str | None = None) -> bool:
    """Tell whether what comes from `store` needs a trusted signature: always but from a folder of the user's own."""
    policy = load_config(SETTINGS).text("policy")
    if policy not in ("signed", "any"):
        raise BadInput(f"policy is {policy!r}", hint="VEDA_POLICY=signed, or any to take what anybody wrote")
    return policy == "signed" and not is_own(store, home)


def is_own(store: Store, home: Path | str | None = None) -> bool:
    """Tell whether a store is a folder inside the user's home folder or veda's home."""
    folder = getattr(store, "folder", None)
    if store.remote or not isinstance(folder, Path):
        return False
    try:
        places = [_folder(home), Path.home()]
    except RuntimeError:
        places = [_folder(home)]
    return any(folder.resolve().is_relative_to(place.resolve()) for place in places)


def owner() -> str:
    """Return ``user@host``, the name under which own keys are known."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user id without an entry, as in containers
        user = str(os.getuid())
    return re.sub(r"[^A-Za-z0-9._@+-]", "-", f"{user}@{socket.gethostname()}")[:64]


def _statement(manifest: str) -> bytes:
    return f"sha256:{manifest}\n".encode()


def _folder(home: Path | str | None) -> Path:
    return home_folder(home).absolute()


def _allowed(home: Path | str | None, channel: str) -> Path:
    place = _folder(home) / "trust"
    return place / "channels" / _checked(channel) if channel else place / "allowed_signers"


def _lines(home: Path | str | None, channel: str) -> Iterator[tuple[str, PublicKey]]:
    """Give the names and keys of an allowed-signers file; a line for other uses of SSH signatures is passed over."""
    path, namespace = _allowed(home, channel), CHANNEL if channel else RELEASE
    if not path.exists():
        return
    for number, line in enumerate(_read_text(path).splitlines(), 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if len(words) > 1 and (option := re.fullmatch(r'namespaces="([^"]*)"', words[1])):
            if namespace not in option[1].split(","):
                continue
            words.pop(1)
        try:
            yield words[0], PublicKey.parse(" ".join(words[1:]))
        except BadInput:
            raise BadInput(f"{path}:{number} is not NAME KEY", hint=f"mend {path}") from None


def _revoked(home: Path | str | None) -> set[bytes]:
    path = _folder(home) / "trust" / "revoked"
    return {PublicKey.parse(line).blob for line in _read_text(path).splitlines()} if path.exists() else set()


def _own(path: Path) -> Key:
    public = path if path.suffix == ".pub" else path.with_name(f"{path.name}.pub")
    return Key(path.name.removesuffix(".pub"), PublicKey.parse(_read_text(public)), path)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} is no name of a key", hint="use letters, digits and . _ @ + -")
    return name


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadInput(f"{path} cannot be read: {getattr(exc, 'strerror', None) or 'it is no text'}") from None
