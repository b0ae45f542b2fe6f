"""Ask every configured backend whether it answers, all at once and within a deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, process_time

from .backends import BackendURL, load_backend
from .config import Config
from .errors import BackendUnavailable, LibraryError

_BEGUN = monotonic()  # this module is loaded as the command begins
_WHOLE = 1.7  # seconds from there until a backend without an answer is reported: `doctor` ends within 2
_LEAST = 0.9  # what a backend has in any case, however long the import of the drivers took


@dataclass(frozen=True)
class Check:
    """One question: `ask` returns what it found, or raises with the reason and the way out."""

    name: str
    target: str
    ask: Callable[[], str]


@dataclass
class Finding:
    """The answer to one check."""

    name: str
    target: str
    ok: bool
    detail: str
    hint: str | None = None


def load_drivers(config: Config) -> None:
    """Import the drivers of the configured backends, so that the deadline runs for the backends alone."""
    for setting in config.settings:
        if setting.url:
            with suppress(LibraryError):  # the check of this backend will say it
                url = BackendURL.parse(config.text(setting.name))
                _knock(url)
                load_backend(setting.name, url.scheme)


def examine(checks: Iterable[Check], deadline: float | None = None) -> list[Finding]:
    """Run all `checks` side by side; one that has no answer within `deadline` seconds has failed."""
    deadline = deadline or max(_LEAST, _WHOLE - (monotonic() - _BEGUN))
    # Daemon threads: a driver that hangs in connect() must not keep the command alive.
    running = [(c, *_start(c)) for c in checks]
    # While this process is at work, on drivers or on its own, the backends are not to blame: twice, for a busy machine.
    end = monotonic() + deadline - 2 * process_time()
    findings = []
    for check, thread, answer in running:
        while thread.is_alive() and (left := end + 2 * process_time() - monotonic()) > 0:
            thread.join(left)
        late = Finding(check.name, check.target, False, f"no answer within {deadline:.2g} s", "is the server running?")
        findings.append(answer[0] if answer else late)
    return findings


def _start(check: Check) -> tuple[threading.Thread, list[Finding]]:
    answer: list[Finding] = []

    def ask() -> None:
        try:
            _knock(BackendURL.parse(check.target))
            answer.append(Finding(check.name, check.target, True, check.ask()))
        except Exception as exc:  # a doctor reports every failure, also those of a driver that it does not know
            # Another library's error is no `LibraryError` of ours, but it has the same facts.
            known = isinstance(getattr(exc, "exit_code", None), int)
            said = str(exc) if known else f"{type(exc).__name__}: {exc}"
            answer.append(Finding(check.name, check.target, False, said, getattr(exc, "hint", None)))

    thread = threading.Thread(target=ask, daemon=True, name=f"doctor-{check.name}")
    thread.start()
    return thread, answer


def _knock(url: BackendURL) -> None:
    """Raise at once where nothing listens: a driver tries again for as long as it is let."""
    import socket

    try:
        if url.host and url.port:
            socket.create_connection((url.host, url.port), timeout=0.3).close()
    except OSError as exc:  # of any other fault the driver tells more
        if isinstance(exc, ConnectionRefusedError):
            raise BackendUnavailable("refuses the connection", hint="is the server running?") from None
