"""``local://``: this machine; ``local:///path`` is the same with another home."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from veda._house.backends import BackendURL
from veda.deploy.port import Deploy, Host, OnReport, Order, Report, no_report
from veda.errors import NotFound, VedaError


class LocalDeploy:
    """One host: the machine itself."""

    remote = False

    def __init__(self, url: BackendURL) -> None:
        self._home = url.file_path(Path(url.path)) if url.path else None
        self._name = socket.gethostname()

    def hosts(self, pattern: str = "all") -> list[Host]:
        """Return this host."""
        if pattern != "all" and not any(fnmatch(n, pattern) for n in (self._name, "localhost")):
            raise NotFound(f"no host is called {pattern!r}; there is {self._name}", hint="veda ops hosts")
        return [Host(self._name, "localhost", ("all",))]

    def perform(
        self, order: Order, hosts: Sequence[str], *, check: bool = False, on_report: OnReport = no_report
    ) -> list[Report]:
        """Do it in this process."""
        from veda.deploy.host import perform

        reports = []
        for name in hosts:
            try:
                data = perform(order, check=check, home=self._home)
                ok = data.get("rc", 0) == 0
                message = "" if ok else f"exit code {data['rc']}"
                report = Report(name, ok, changed=bool(data["changed"]), message=message, data=data)
            except VedaError as exc:
                report = Report(name, False, message=str(exc), data={"hint": exc.hint} if exc.hint else {})
            reports.append(report)
            on_report(report)
        return reports


if TYPE_CHECKING:
    _fits: type[Deploy] = LocalDeploy
