"""Ask every configured backend whether it answers, all at once and within a deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic, process_time

from .backends import BackendURL, load_backend
from .config import Config
from .errors import LibraryError

_BEGUN = monotonic()  # this module is loaded as the command begins


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
                load_backend(setting.name, BackendURL.parse(config.text(setting.name)).scheme)


def examine(checks: Iterable[Check], deadline: float | None = None) -> list[Finding]:
    """Run all `checks` side by side; a server that has no answer within `deadline` seconds has failed."""
    # `doctor` ends within two seconds, but a backend has 0.9 in any case, however long the import of drivers took.
    deadline = deadline or max(0.9, 1.7 - (monotonic() - _BEGUN))
    # Daemon threads: a driver that hangs in connect() must not keep the command alive.
    running = [(c, *_start(c)) for c in checks]
    # While this process is at work, on drivers or on its own, the backends are not to blame: twice, for a busy machine.
    begun, end = monotonic(), monotonic() + deadline - 2 * process_time()
    findings = []
    for check, thread, answers in running:
        # A busy disk of this machine is no dead server; a driver that tries again where nobody listens is hopeless.
        disk = 0.0 if _url(check.target).host else 10.0
        while thread.is_alive() and monotonic() < (begun + 0.4 if answers else end + disk + 2 * process_time()):
            thread.join(0.02)
        late = Finding(check.name, check.target, False, f"no answer within {deadline:.2g} s", "is the server running?")
        findings.append(answers[-1] if answers else late)
    return findings


def _start(check: Check) -> tuple[threading.Thread, list[Finding]]:
    finding, answers = partial(Finding, check.name, check.target), list[Finding]()

    def ask() -> None:
        try:
            if _refused(_url(check.target)):  # counts unless the check itself tells more, and soon
                answers.append(finding(False, "refuses the connection", "is the server running?"))
            answers.append(finding(True, check.ask()))
        except Exception as exc:  # a doctor reports every failure, also those of a driver that it does not know
            # Another library's error is no `LibraryError` of ours, but it has the same facts.
            known = isinstance(getattr(exc, "exit_code", None), int)
            said = str(exc) if known else f"{type(exc).__name__}: {exc}"
            answers.append(finding(False, said, getattr(exc, "hint", None)))

    thread = threading.Thread(target=ask, daemon=True, name=f"doctor-{check.name}")
    thread.start()
    return thread, answers


def _url(target: str) -> BackendURL:
    with suppress(LibraryError):
        return BackendURL.parse(target)
    return BackendURL("")


def _refused(url: BackendURL) -> bool:
    import socket

    try:
        if url.host and url.port:
            socket.create_connection((url.host, url.port), timeout=0.3).close()
    except OSError as exc:  # of any other fault the check tells more
        return isinstance(exc, ConnectionRefusedError)
    return False
