"""Tokens of a service: at rest an id and a hash, never the secret."""

from __future__ import annotations

import fcntl
import hmac
import json
import os
import secrets
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from zlib import crc32

from ptolemy._house.errors import LIBRARY
from ptolemy._house.files import replacing
from ptolemy.errors import ConfigError, NotFound

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Token:
    """What is kept of a token.

    Parameters
    ----------
    id
        Its second word; the text is ``<prefix>_<id>_<secret>_<crc32>``.
    sha256
        Of the secret, which is 43 random letters and digits (256 bits) and needs no salt.
    scopes
        What it may do, as names or patterns such as ``index_*``.
    rate
        Calls a minute; 0 means any number.
    created, expires
        Seconds since 1970, UTC; None never expires.
    """

    id: str
    sha256: str
    name: str
    scopes: tuple[str, ...]
    rate: int
    created: float
    expires: float | None = None

    def may(self, scope: str) -> bool:
        """Tell whether `scope` is one of its scopes; ``*`` names what can be read, never ``push:...``."""
        kind, _, name = scope.rpartition(":")
        for pattern in self.scopes:
            its_kind, _, rest = pattern.rpartition(":")
            if kind == its_kind and fnmatchcase(name, rest):
                return True
        return False

    def expired(self) -> bool:
        """Tell whether its time is over, or it was revoked."""
        return self.expires is not None and self.expires <= time.time()


class Tokens:
    """The tokens in one JSON file, of any number of processes: a change is seen by the next call of each.

    A revoked token stays in the file, so that a service that has had tokens never opens again.
    """

    def __init__(self, path: Path, prefix: str) -> None:
        self.path, self.prefix = path, prefix
        self._name = str(path)
        self._seen: tuple[int, ...] = ()
        self._known: dict[str, Token] = {}

    def all(self) -> dict[str, Token]:
        """Return every token by its id, oldest first; raise `ConfigError` if the file cannot be read."""
        try:
            found = os.stat(self._name)  # noqa: PTH116 -- each call asks, and pathlib takes four times as long
            if (seen := (found.st_ino, found.st_mtime_ns, found.st_size)) != self._seen:
                records = [r | {"scopes": tuple(r["scopes"])} for r in json.loads(self.path.read_bytes())]
                self._known, self._seen = {r["id"]: Token(**r) for r in records}, seen
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise ConfigError(f"{self.path} cannot be read: {exc}", hint="restore it from a backup") from None
        return self._known

    def create(self, name: str, scopes: Collection[str], rate: int, expires: float | None) -> tuple[Token, str]:
        """Keep a new token and return it with its text, which nobody can get again."""
        secret = "".join(secrets.choice(_DIGITS) for _ in range(43))
        with self._changing() as known:
            id = next(i for i in iter(lambda: secrets.token_hex(4), None) if i not in known)
            hashed = sha256(secret.encode()).hexdigest()
            known[id] = Token(id, hashed, name, tuple(scopes), rate, time.time(), expires)
        body = f"{self.prefix}_{id}_{secret}"
        return known[id], f"{body}_{crc32(body.encode()):08x}"

    def rotate(self, id: str, overlap: float, expires: float | None) -> tuple[Token, str]:
        """Make a token of the same name, scopes and rate; the old one stays valid for `overlap` seconds."""
        old = self._get(id)
        new = self.create(old.name, old.scopes, old.rate, expires)
        self._end(id, time.time() + overlap)
        return new

    def revoke(self, id: str) -> Token:
        """End a token now, in every process; raise `NotFound` if there is none."""
        return self._end(id, time.time())

    def find(self, text: str) -> Token | None:
        """Return the valid token that `text` is, or None; what differs takes no other time."""
        body, _, check = text.rpartition("_")
        words = body.split("_")
        if not text.isascii() or len(words) != 3 or words[0] != self.prefix or check != f"{crc32(body.encode()):08x}":
            return None
        token = self.all().get(words[1])
        same = hmac.compare_digest(sha256(words[2].encode()).hexdigest(), token.sha256 if token else "-" * 64)
        return token if token and same and not token.expired() else None

    def _get(self, id: str) -> Token:
        if id not in self.all():
            raise NotFound(f"there is no token {id!r}", hint=f"{LIBRARY} token list")
        return self.all()[id]

    def _end(self, id: str, at: float) -> Token:
        self._get(id)
        with self._changing() as known:
            known[id] = replace(known[id], expires=min(at, known[id].expires or at))
        return known[id]

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Token]]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = dict(self.all())
            yield known
            with replacing(self.path) as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(json.dumps([asdict(t) for t in known.values()], indent=1).encode())
