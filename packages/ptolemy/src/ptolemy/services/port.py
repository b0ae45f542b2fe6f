"""The port of the services: what keeps the programs of a centre running."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self

Restart = Literal["always", "on-failure", "never"]

#: Every word that a state can be, and what it means.
WORDS: Mapping[str, str] = {
    "stopped": "not wanted, or never started",
    "waiting": "waits until what it depends on is ready",
    "starting": "runs and has not passed its readiness check yet",
    "running": "runs and is ready",
    "stale": "runs, but its data or its heartbeat is too old",
    "backoff": "has ended and is started again after a pause",
    "stopping": "was told to end",
    "exited": "has ended and is not to be started again",
    "failed": "cannot be started, or was given up",
    "unkept": "runs, but its keeper was killed",
    "unknown": "its node does not answer",
}


@dataclass(frozen=True)
class Ready:
    """When a program that runs is ready: one of `tcp`, `http`, `file` and `log`, or none of them.

    Parameters
    ----------
    tcp
        ``HOST:PORT`` that takes a connection.
    http
        URL that answers with a status below 400.
    file
        File that was written since the program started.
    log
        Text that a line of its output holds.
    after
        Seconds that it must have run, where nothing else is asked.
    timeout
        Seconds after which a start that is not ready counts as failed.
    """

    tcp: str = ""
    http: str = ""
    file: str = ""
    log: str = ""
    after: float = 0.3
    timeout: float = 30.0


@dataclass(frozen=True)
class Fresh:
    """What must not grow old while a program runs: one of `file`, `log` and `http`.

    Parameters
    ----------
    file
        File, or a pattern such as ``series/daily/*``; the newest counts.
    log
        Whether its output counts.
    http
        URL whose last answer with a status below 400 counts.
    max_age
        Seconds.
    restart
        Whether a program that is stale is started again.
    """

    file: str = ""
    log: bool = False
    http: str = ""
    max_age: float = 60.0
    restart: bool = False


@dataclass(frozen=True)
class Component:
    """One program of a centre, as ``[services.NAME]`` of ``jiyuan.toml`` says it; durations in seconds, sizes in bytes.

    Parameters
    ----------
    command
        The program and its arguments; no shell reads them.
    depends_on
        Names of components that must be ready before it is started.
    group
        A second name, for all components that bear it.
    restart
        When it is started again after it has ended.
    backoff, backoff_max
        The pause before the first and the longest pause before a later start; each pause is twice the one before.
    retries
        Starts one after the other that may fail before it is given up; 0 never gives up.
    env
        Added to the environment; never shown.
    cwd
        Folder in which it runs.
    stop_signal, stop_timeout
        How it is told to end, and when it is killed if it does not.
    log_size, log_files
        Size at which its log is rotated, and how many older parts are kept.
    """

    name: str
    command: tuple[str, ...]
    depends_on: tuple[str, ...] = ()
    group: str = ""
    ready: Ready = Ready()
    fresh: Fresh | None = None
    restart: Restart = "always"
    backoff: float = 0.1
    backoff_max: float = 30.0
    retries: int = 0
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: Path = Path()
    stop_signal: str = "TERM"
    stop_timeout: float = 10.0
    log_size: int = 10_000_000
    log_files: int = 3

    def digest(self) -> str:
        """Return what differs as soon as any word of the definition, a secret too, differs."""
        from hashlib import sha256

        words = {**asdict(self), "env": sorted(self.env.items()), "cwd": str(self.cwd)}
        return sha256(repr(sorted(words.items())).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class State:
    """What a component does now; times are seconds since 1970, UTC.

    Parameters
    ----------
    component
        Its name.
    state
        One of `WORDS`.
    since
        Since when.
    restarts
        How often it was started again without being asked, since it was asked to run.
    pid
        Process that runs, or None.
    code
        Exit code of the last end, negative for a signal; None if it is not known.
    reason
        Why it is not running; empty if it is.
    age
        Age in seconds of what must be fresh, or of its last output; None if there is none.
    heartbeat
        When its keeper last looked at it.
    cpu
        Processors that it and its children used over the last seconds: 1.0 is one of them.
    rss
        Memory of it and its children in bytes.
    threads
        Threads of it and its children.
    last_lines
        The last lines that it said before it ended.
    changed
        Whether its definition has changed since it was started.
    """

    component: str
    state: str
    since: float = 0.0
    restarts: int = 0
    pid: int | None = None
    code: int | None = None
    reason: str = ""
    age: float | None = None
    heartbeat: float = 0.0
    cpu: float = 0.0
    rss: int = 0
    threads: int = 0
    last_lines: tuple[str, ...] = ()
    changed: bool = False
    group: str = ""
    node: str = ""
    command: str = ""
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class LogPart:
    """A part of a component's output; `offset` is where the next part begins."""

    text: str
    offset: int


#: Called with each state that a component comes to while a command waits.
Said = Callable[[State], None]


def say_nothing(state: State) -> None:
    """Say nothing; the default of every verb that waits."""


class Services(Protocol):
    """Keeps components running; what it started goes on when the handle is closed.

    Names are names of components or groups; no name means all. An unknown one raises `UnknownComponent`.
    """

    def configure(self, components: Sequence[Component]) -> None:
        """Say which components there are; nothing is started or stopped."""

    def up(self, names: Iterable[str] = (), *, said: Said = say_nothing) -> list[State]:
        """Start components, and what they depend on before them; return when each is ready.

        One that runs is left alone, unless its definition has changed: then it is started again.

        Raises
        ------
        NotReady
            If one cannot be started or is not ready in time; the others run.
        """

    def down(self, names: Iterable[str] = (), *, said: Said = say_nothing) -> list[State]:
        """Stop components, and what depends on them before them; return when all have ended."""

    def restart(self, names: Iterable[str] = (), *, said: Said = say_nothing) -> list[State]:
        """Start components again, one after the other, each when the one before is ready.

        Raises
        ------
        NotReady
            If one is not ready in time; those after it run on untouched.
        """

    def states(self) -> list[State]:
        """Return the state of each component, in the order in which they are started."""

    def log(self, name: str, offset: int = -1, size: int = 65536) -> LogPart:
        """Return at most `size` bytes of a component's output from `offset` on; -1 means the last ones.

        Secrets of its environment are shown as ``***``.
        """

    def close(self) -> None:
        """Let go of the handle."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


def record(state: State) -> dict[str, Any]:
    """Return a state as JSON; times are ISO 8601."""
    from datetime import UTC, datetime

    facts = asdict(state)
    for name in ("since", "heartbeat"):
        facts[name] = (
            datetime.fromtimestamp(facts[name], UTC).isoformat(timespec="milliseconds") if facts[name] else None
        )
    return facts
