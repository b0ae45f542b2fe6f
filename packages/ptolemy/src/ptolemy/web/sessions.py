"""Who looks at the page: a session for each browser, behind a token as soon as there is one."""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

from ptolemy.http.limits import Limits
from ptolemy.http.scopes import WEB
from ptolemy.http.tokens import Tokens

COOKIE = "ptolemy_web"
_HOURS = 12
_KEPT = 1000
_FAILURES = 10  # wrong tokens a minute from one address


@dataclass(frozen=True)
class Session:
    """One browser; `csrf` must come with each of its actions. `token` is a token's id, or empty where none exists."""

    id: str
    csrf: str
    token: str
    who: str
    expires: float

    def may_act(self, given: str) -> bool:
        """Tell whether `given` is what this page's own forms send."""
        return hmac.compare_digest(self.csrf.encode(), given.encode())


class Sessions:
    """The sessions of one process; a restart ends them.

    Parameters
    ----------
    loopback
        Whether only this machine can reach the page; then it is open until the first token is made.
    """

    def __init__(self, tokens: Tokens, loopback: bool) -> None:
        self._tokens, self._loopback = tokens, loopback
        self._known: OrderedDict[str, Session] = OrderedDict()
        self._limits = Limits()

    @property
    def is_open(self) -> bool:
        """Whether no token is asked for."""
        return self._loopback and not self._tokens.all()

    def get(self, id: str) -> Session | None:
        """Return a session that is valid now: its token was not revoked, and its time is not over."""
        session = self._known.get(id)
        if session is None or session.expires <= time.time():
            return None
        if session.token:
            token = self._tokens.all().get(session.token)
            return session if token and not token.expired() else None
        return session if self.is_open else None

    def begin(self) -> Session | None:
        """Return a new session without a token, or None where one is needed."""
        return self._keep("", "anybody on this machine") if self.is_open else None

    def login(self, text: str, address: str) -> Session | None:
        """Return a new session for a token with the scope ``web``, or None.

        Raises
        ------
        RateLimited
            If too many wrong ones came from `address`.
        """
        token = self._tokens.find(text.strip())
        if token is None or not token.may(WEB):
            self._limits.take(f"failed {address}", _FAILURES)
            return None
        return self._keep(token.id, token.name)

    def end(self, id: str) -> None:
        """Forget a session."""
        self._known.pop(id, None)

    def ids(self) -> Collection[str]:
        """Return the ids of the sessions that are kept."""
        return list(self._known)

    def _keep(self, token: str, who: str) -> Session:
        session = Session(secrets.token_urlsafe(32), secrets.token_urlsafe(32), token, who, time.time() + _HOURS * 3600)
        self._known[session.id] = session
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return session
