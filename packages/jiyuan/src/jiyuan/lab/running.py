"""Start, stop and look at a lab."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from jiyuan._house.config import load_config
from jiyuan.errors import BadInput, Conflict, JiyuanError
from jiyuan.lab.place import Place, Ports
from jiyuan.lab.programs import PROGRAMS, check_installed, components, write_files
from jiyuan.settings import SETTINGS

if TYPE_CHECKING:
    from ptolemy.services import Services, State
    from ptolemy.services.port import Said

_LOGINS = ("password", "pam")


def _quiet(state: State) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Started:
    """A lab that runs: `url` for a browser, `tracker` for MLflow; `is_new` says that its password was just made."""

    url: str
    tracker: str
    is_new: bool
    states: list[State]


class Lab:
    """The lab of one project; its programs run on when the handle is closed.

    Parameters
    ----------
    place
        Its folder; by default the project's.
    """

    def __init__(self, place: Place | None = None) -> None:
        from ptolemy.services import open_services

        self.place = place or Place()
        self.services: Services = open_services(self.place.services)

    def up(self, port: int | None = None, tracker_port: int | None = None, *, said: Said = _quiet) -> Started:
        """Start what does not run, and return when all of it answers; a start that was killed goes on.

        Parameters
        ----------
        port, tracker_port
            None is the setting.

        Raises
        ------
        MissingExtra
            If JupyterHub, MLflow or the proxy is not installed.
        Conflict
            If another program has the port.
        JiyuanError
            If a program does not start.
        """
        from ptolemy.errors import NotReady

        check_installed()
        config = load_config(SETTINGS, {"lab_port": port, "lab_tracker_port": tracker_port})
        login = config.text("lab_login")
        if login not in _LOGINS:
            raise BadInput(f"lab_login must be {' or '.join(_LOGINS)}, not {login!r}", hint="jiyuan config show")
        wanted = int(config["lab_port"]), int(config["lab_tracker_port"])
        with self.place.making() as is_new:
            ports = self._ports(*wanted)
            write_files(self.place, ports)
            self.place.keep(ports)
            self.services.configure(components(self.place, ports, login, config.text("lab_hosts")))
        try:
            states = self.services.up(said=said)
        except NotReady as exc:
            name = exc.states[0].component if exc.states else "hub"
            raise JiyuanError(str(exc), hint=f"jiyuan lab logs {name}") from exc
        return Started(f"http://127.0.0.1:{ports.lab}", f"http://127.0.0.1:{ports.tracker}", is_new, states)

    def down(self, *, said: Said = _quiet) -> list[State]:
        """Stop the users' servers, the hub, the proxy and the tracker; all data stays."""
        self.services.down(said=said)
        return self.states()

    def states(self) -> list[State]:
        """Return the state of each program, in the order in which they start; none where no lab was ever started."""
        from ptolemy.services import State

        found = {state.component: state for state in self.services.states()}
        if self.place.ports() is None:
            return list(found.values())
        return [found.get(name) or State(name, "stopped") for name in PROGRAMS]

    def close(self) -> None:
        """Let go of the handle."""
        self.services.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ports(self, lab: int, tracker: int) -> Ports:
        """Return the ports to use; raise `Conflict` if one that was asked for is another program's."""
        before = self.place.ports()
        running = {s.component for s in self.states() if s.pid}
        for name, option, port, old in (
            ("proxy", "--port", lab, before and before.lab),
            ("tracker", "--tracker-port", tracker, before and before.tracker),
        ):
            if (name not in running or port != old) and not _is_free(port):
                raise Conflict(
                    f"port {port} of 127.0.0.1 is taken by another program", hint=f"jiyuan lab up {option} {port + 1}"
                )
        inner = [before.hub, before.proxy] if before else [0, 0]
        owners = ("hub", "proxy")
        kept = [p if p and (o in running or _is_free(p)) else 0 for o, p in zip(owners, inner, strict=True)]
        hub, proxy = (p or _free_port() for p in kept)
        return Ports(lab, tracker, hub, proxy)


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: one that ended a moment ago
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])
