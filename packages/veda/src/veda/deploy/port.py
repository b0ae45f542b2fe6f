"""The deploy port: do one order on many hosts, and hear from each what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

ACTIONS = ("ping", "facts", "status", "deploy", "rollback", "run")


@dataclass(frozen=True)
class Host:
    """One host, with the groups that it belongs to."""

    name: str
    address: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """What each host is asked to do.

    Parameters
    ----------
    action
        One of ``ping``, ``facts``, ``status``, ``deploy``, ``rollback``, ``run``.
    environment
        The environment that it is about.
    lock
        For ``deploy``: the text of the lock.
    store
        For ``deploy``: URL of the store that hosts pull from.
    to
        For ``rollback``: a generation, a lock's digest or a release; empty for the one before.
    argv
        For ``run``: the command and its arguments.
    verify
        For ``status``: whether every byte is compared.
    wheels
        For ``deploy``: a folder of wheels on the hosts, instead of the package index.
    """

    action: str
    environment: str = ""
    lock: str = ""
    store: str = field(default="", repr=False)
    to: str = ""
    argv: tuple[str, ...] = ()
    verify: bool = False
    wheels: str = ""


@dataclass(frozen=True)
class Report:
    """What came of an order on one host.

    Parameters
    ----------
    host
        Its name.
    ok
        Whether it did what it was asked.
    changed
        Whether anything is different now, or would be.
    reached
        Whether it answered.
    message
        What went wrong, in one line.
    data
        What it tells: of ``deploy`` and ``rollback`` at least ``generation``, ``lock``, ``packages`` and ``diff``.
    """

    host: str
    ok: bool
    changed: bool = False
    reached: bool = True
    message: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


OnReport = Callable[[Report], None]


def no_report(report: Report) -> None:
    """Say nothing."""


class Deploy(Protocol):
    """Hosts, and a way to have an order done on them."""

    #: Whether the hosts are other machines, which do not see the folders of this one.
    remote: bool

    def hosts(self, pattern: str = "all") -> list[Host]:
        """Return the hosts that `pattern` means, sorted by name; raise `NotFound` if there are none."""

    def perform(
        self, order: Order, hosts: Sequence[str], *, check: bool = False, on_report: OnReport = no_report
    ) -> list[Report]:
        """Do `order` on `hosts` at the same time and return one report each, in their order.

        With `check` nothing is changed, and a report tells what would be. `on_report` is called as
        each host answers. A host that cannot be reached is a report, not an error.
        """
