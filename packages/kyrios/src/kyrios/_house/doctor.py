"""Ask every configured backend whether it answers, all at once and within a deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from .backends import BackendURL, load_backend
from .config import Config
from .errors import LibraryError

DEADLINE = 1.2  #: Seconds for all checks together; with the drivers' imports, ``doctor`` answers within 2.


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


def examine(checks: Iterable[Check], deadline: float = DEADLINE) -> list[Finding]:
    """Run all `checks` side by side; one that has no answer within `deadline` seconds has failed."""
    # Daemon threads: a driver that hangs in connect() must not keep the command alive.
    running = [(c, *_start(c)) for c in checks]
    from time import monotonic

    end = monotonic() + deadline
    findings = []
    for check, thread, answer in running:
        thread.join(max(0.0, end - monotonic()))
        late = Finding(check.name, check.target, False, f"no answer within {deadline:g} s", "is the server running?")
        findings.append(answer[0] if answer else late)
    return findings


def _start(check: Check) -> tuple[threading.Thread, list[Finding]]:
    answer: list[Finding] = []

    def ask() -> None:
        try:
            answer.append(Finding(check.name, check.target, True, check.ask()))
        except Exception as exc:  # a doctor reports every failure, also those of a driver that it does not know
            # Another library's error is no `LibraryError` of ours, but it has the same facts.
            known = isinstance(getattr(exc, "exit_code", None), int)
            said = str(exc) if known else f"{type(exc).__name__}: {exc}"
            answer.append(Finding(check.name, check.target, False, said, getattr(exc, "hint", None)))

    thread = threading.Thread(target=ask, daemon=True, name=f"doctor-{check.name}")
    thread.start()
    return thread, answer
