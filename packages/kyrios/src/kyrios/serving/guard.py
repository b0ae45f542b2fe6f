"""Who may ask what: the server's own name, a token or a session that one has opened, and its scopes."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from time import monotonic
from urllib.parse import urlsplit

from kyrios.errors import KyriosError, NotAllowed
from kyrios.serving.tokens import Token, Tokens

COOKIE = "kyrios_session"
_LASTS = 12 * 3600.0  # seconds of a session
_SESSIONS = 1000  # at once
_FAILURES = 60  # wrong tokens a minute from one address; more are refused unread


class Unauthorized(KyriosError):
    """The caller has shown no valid token."""


class TooManyTries(KyriosError):
    """Too many wrong tokens came from one address."""


@dataclass
class Guard:
    """Says who may ask.

    Parameters
    ----------
    loopback
        Whether only this machine can reach the server; then it is open until the first token is made.
    names
        What ``Host`` may say besides addresses, in lower case.
    """

    tokens: Tokens
    loopback: bool = True
    names: Collection[str] = ("localhost",)
    _sessions: dict[str, tuple[str, float]] = field(default_factory=dict)
    _wrong: dict[str, tuple[float, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def open(self) -> bool:
        """Whether nobody needs a token."""
        return self.loopback and not self.tokens.all()

    def check_host(self, host: str, origin: str | None) -> None:
        """Raise `NotAllowed` if a request names another host, or comes from another site's page.

        A page of another site can make a browser ask a server on loopback only under a name of its own.
        """
        if not _is_own(host, frozenset(self.names)) or (origin is not None and origin.partition("://")[2] != host):
            raise NotAllowed("this server answers only to its own name", hint="kyrios serve --allow-host NAME")

    def admit(self, scope: str, authorization: str, cookie: str, address: str) -> Token | None:
        """Return whose token it is; None where none is needed.

        Raises
        ------
        Unauthorized, TooManyTries
            If there is no valid token.
        NotAllowed
            If it may not do what `scope` names.
        """
        if self.open:
            return None
        token = self._by_session(cookie) if cookie and not authorization else self._by_header(authorization, address)
        if token is None:
            raise Unauthorized("this server asks for a token", hint="Authorization: Bearer TOKEN; kyrios token create")
        if scope not in token.scopes:
            raise NotAllowed(f"token {token.id} may not {scope}", hint=f"it may {', '.join(token.scopes)}")
        return token

    def login(self, text: str, address: str) -> str:
        """Return the id of a new session of the token `text`, which ends when the token does."""
        token = self._find(text, address)
        if token is None:
            raise Unauthorized("this is no valid token", hint="kyrios token create NAME")
        now, made = monotonic(), secrets.token_urlsafe(32)
        with self._lock:
            self._sessions = {id: held for id, held in self._sessions.items() if held[1] > now}
            while len(self._sessions) >= _SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[made] = (token.id, now + _LASTS)
        return made

    def logout(self, session: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(session, None)

    def _by_session(self, session: str) -> Token | None:
        with self._lock:
            id, until = self._sessions.get(session, ("", 0.0))
        token = self.tokens.all().get(id)
        return token if token is not None and token.valid and monotonic() < until else None

    def _by_header(self, authorization: str, address: str) -> Token | None:
        scheme, _, text = authorization.partition(" ")
        return self._find(text.strip(), address) if scheme.lower() == "bearer" else None

    def _find(self, text: str, address: str) -> Token | None:
        now = monotonic()
        with self._lock:
            self._wrong = {who: held for who, held in self._wrong.items() if now - held[0] < 60}
            since, count = self._wrong.get(address, (now, 0))
        token = self.tokens.find(text) if count < _FAILURES else None
        if token is None:
            if count >= _FAILURES:
                raise TooManyTries("too many wrong tokens", hint="try again in a minute")
            with self._lock:
                self._wrong[address] = (since, count + 1)
        return token


@lru_cache(256)
def _is_own(header: str, names: frozenset[str]) -> bool:
    try:
        host = (urlsplit(f"//{header}").hostname or "").lower()
        return host in names or bool(ip_address(host))
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach what listens on `host`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
