"""Every error as it goes over the wire and comes back: its name, its words and its facts."""

from __future__ import annotations

from typing import Any

import ptolemy.errors
from ptolemy.errors import (
    BackendUnavailable,
    BadInput,
    BadParam,
    BadToken,
    NoPermission,
    NotFound,
    PtolemyError,
    RateLimited,
    UnknownInterface,
)


class TooLarge(BadParam):
    """The request has more bytes than the service takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request has more than {limit} bytes", hint="ask for fewer securities at once")


class NotAcceptable(BadParam):
    """The service cannot write what Accept asks for."""


class ForeignHost(ptolemy.errors.NotAllowed):
    """The call names another host than this service, or comes from another site's page."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"this service is not called {host[:100]!r}", hint="call it by its address, or start it with --allow-host"
        )


_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (UnknownInterface, 404),
    (NotFound, 404),
    (BadToken, 401),
    (RateLimited, 429),
    (NoPermission, 403),
    (ForeignHost, 403),
    (ptolemy.errors.NotAllowed, 403),
    (ptolemy.errors.Conflict, 409),
    (TooLarge, 413),
    (NotAcceptable, 406),
    (BadInput, 400),
    (BackendUnavailable, 503),
)


def status(exc: Exception) -> int:
    """Return the HTTP status of an error."""
    return next((code for kind, code in _STATUS if isinstance(exc, kind)), 500)


def detail(exc: Exception) -> dict[str, Any]:
    """Return an error as JSON: ``error`` (its class), ``message``, ``hint`` and its own facts."""
    if not isinstance(exc, PtolemyError):  # what it says may be nobody's business
        return {"error": "PtolemyError", "message": "the service failed; its log says why", "hint": None}
    facts = {k: v for k, v in vars(exc).items() if isinstance(v, str | int | float) and k not in ("message", "hint")}
    return {"error": type(exc).__name__, "message": str(exc), "hint": exc.hint, **facts}


def raised(document: dict[str, Any]) -> PtolemyError:
    """Return the error that `detail` wrote, of the same class and with the same facts."""
    kind = getattr(ptolemy.errors, str(document.get("error")), None)
    if not (isinstance(kind, type) and issubclass(kind, PtolemyError)):
        kind = PtolemyError
    exc = kind.__new__(kind)
    PtolemyError.__init__(exc, str(document.get("message", "the service failed")), hint=document.get("hint"))
    for name, value in document.items():
        if name not in ("error", "message", "hint", "args"):
            setattr(exc, name, value)
    return exc
