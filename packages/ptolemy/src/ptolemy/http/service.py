"""What both faces ask: who calls, what they may, and what the store answers."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ptolemy.answers import Answer, Fields, answer
from ptolemy.bars import PRO_BAR, data_sets, pro_bar, read_words
from ptolemy.catalogue import interfaces
from ptolemy.errors import BadParam, BadToken, NoPermission, NotAllowed
from ptolemy.http.faults import ForeignHost
from ptolemy.http.guard import is_own_host, is_own_origin
from ptolemy.http.limits import Limits, Quota
from ptolemy.http.metrics import Metrics
from ptolemy.http.scopes import PUSH
from ptolemy.http.tokens import Token, Tokens
from ptolemy.http.wire import Scope, header
from ptolemy.request import read_count

if TYPE_CHECKING:
    from ptolemy.pushing import Intake
    from ptolemy.series import Series, Version

FAILURES = 60  #: wrong tokens a minute from one address; more of them are refused unread


@dataclass(frozen=True)
class Caller:
    """Who calls: a token, or None where the service is open."""

    token: Token | None
    quota: Quota


@dataclass
class Service:
    """One series store and its tokens, as the faces see them.

    Parameters
    ----------
    loopback
        Whether only this machine can reach it; then it is open until the first token is made.
    hosts
        Names by which it may be called, in lower case; addresses always may.
    max_rows
        Rows in one answer; what is more comes in pages.
    max_body
        Bytes of a request.
    share
        Part of each token's rate that this process grants: one of several workers gives its share.
    intake
        What takes rows that are pushed; None where none are taken.
    """

    series: Series
    tokens: Tokens
    loopback: bool = True
    hosts: Collection[str] = ("localhost",)
    max_rows: int = 200_000
    max_body: int = 1 << 20
    share: float = 1.0
    intake: Intake | None = None
    limits: Limits = field(default_factory=Limits)
    metrics: Metrics = field(default_factory=Metrics)

    @property
    def open(self) -> bool:
        """Whether any token is taken."""
        return self.loopback and not self.tokens.all()

    def caller(self, text: str, address: str) -> Caller:
        """Return who `text` is, without counting a call.

        Raises
        ------
        BadToken
            If it is no valid token.
        RateLimited
            If too many wrong ones came from `address`.
        """
        token = self.tokens.find(text) if text else None
        if token is not None:
            return Caller(token, self.limits.quota(token.id, self._rate(token)))
        if self.open:
            return Caller(None, Quota(0, 0, 0.0))
        self.limits.take(f"failed {address}", FAILURES)
        raise BadToken()

    def admit(self, text: str, address: str, name: str, parameters: Mapping[str, Any]) -> Caller:
        """Return who may read the interface `name` now, and count the call.

        Raises
        ------
        BadToken, NoPermission, RateLimited
            If `text` is no valid token, may not read it, or has called too often.
        """
        token = self.caller(text, address).token
        if token is None:
            return Caller(None, Quota(0, 0, 0.0))
        quota = self.limits.take(token.id, self._rate(token))
        if not token.may(name):
            # Whoever may read the bars and the factors may have them put together.
            read = data_sets(**read_words(parameters)) if name == PRO_BAR else [name]
            if refused := next((d for d in read if not token.may(d)), None):
                raise NoPermission(refused, token.scopes)
        return Caller(token, quota)

    def admit_push(self, text: str, address: str, name: str) -> Intake:
        """Return what takes rows of `name` from the caller.

        Raises
        ------
        BadToken, NoPermission, RateLimited
            As `admit` does; a token needs the scope ``push:name``.
        """
        if self.intake is None:
            raise NotAllowed("this service takes no rows", hint="ptolemy serve --push")
        token = self.caller(text, address).token
        if token is not None:
            self.limits.take(token.id, self._rate(token))
            if not token.may(f"{PUSH}{name}"):
                raise NoPermission(f"{PUSH}{name}", token.scopes)
        return self.intake

    def answer(self, name: str, fields: Fields, parameters: Mapping[str, Any]) -> Answer:
        """Return at most `max_rows` rows; `total` tells whether there are more.

        Raises
        ------
        BadParam
            If more rows are asked for at once.
        """
        if name == PRO_BAR:
            words = read_words(parameters)
            table = pro_bar(self.series, fields=fields, **words)
            return Answer(table.slice(int(parameters.get("offset") or 0), self.max_rows), table.num_rows)
        limit = read_count("limit", parameters.get("limit"))
        if limit is not None and limit > self.max_rows:
            raise BadParam(
                f"limit {limit} is above the {self.max_rows} rows that one answer has",
                hint="ask in pages, with limit and offset",
            )
        if limit is None:
            parameters = {**parameters, "limit": self.max_rows}
        return answer(self.series, name, fields, parameters)

    def versions(self, name: str, parameters: Mapping[str, Any]) -> dict[str, Version]:
        """Return the newest version of each data set that a call reads; one that holds nothing is left out."""
        read = data_sets(**read_words(parameters)) if name == PRO_BAR else [name]
        kept = set(self.series.datasets())
        return {dataset: self.series.versions(dataset)[-1] for dataset in read if dataset in kept}

    def check_host(self, scope: Scope) -> None:
        """Raise `ForeignHost` if a call names another host, or comes from another site's page."""
        host, origin = header(scope, b"host"), header(scope, b"origin")
        own = is_own_host(host, frozenset(self.hosts)) and is_own_origin(origin or None, host)
        if not own:
            raise ForeignHost(origin or host)

    def failed(self, exc: Exception) -> None:
        """Log an error that is no answer to the caller; the log never holds a token."""
        logging.getLogger("ptolemy.http").error("a call failed", exc_info=exc)

    def names(self) -> list[str]:
        """Return what can be asked for, sorted."""
        return sorted([*interfaces(), PRO_BAR])

    def _rate(self, token: Token) -> int:
        return max(1, round(token.rate * self.share)) if token.rate else 0


def is_fields(value: Any) -> bool:
    """Tell whether `value` can name columns: a text, a list of texts, or nothing."""
    return (
        value is None or isinstance(value, str) or (isinstance(value, list) and all(isinstance(w, str) for w in value))
    )


def is_small(parameters: Mapping[str, Any]) -> bool:
    """Tell whether a call is so small that handing it to a thread would cost more than answering it."""
    codes = parameters.get("ts_code")
    if codes is None or codes == "":
        return bool(parameters.get("trade_date"))
    return codes.count(",") < 2 if isinstance(codes, str) else not isinstance(codes, list) or len(codes) <= 2
