"""Ways of environments into shells, opened by URL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from veda._house.backends import BackendURL, open_backend
from veda._house.config import load_config
from veda.activation.modules import ModulesActivation
from veda.activation.port import SHELLS, Activation, Available
from veda.activation.shell import ShellActivation
from veda.settings import SETTINGS
from veda.settings import home as home_folder

__all__ = ["SHELLS", "Activation", "Available", "activations", "open_activation"]


def open_activation(url: str | None = None, *, home: Path | str | None = None) -> Activation:
    """Open the activation at `url`, by default the configured one."""
    address = BackendURL.parse(load_config(SETTINGS, {"activation": url}).text("activation"))
    activation: Activation = open_backend("activation", _placed(address, home))
    return activation


def activations(home: Path | str | None = None) -> list[Activation]:
    """Return all that a generation is written for: our two, which need no server, and the configured one."""
    configured = BackendURL.parse(load_config(SETTINGS).text("activation"))
    kinds: dict[str, Callable[[BackendURL], Activation]] = {"shell": ShellActivation, "modules": ModulesActivation}
    own = [(kind, BackendURL(scheme=s)) for s, kind in kinds.items() if s != configured.scheme]
    found = [kind(_placed(address, home)) for kind, address in own]
    # Ours are opened without a look at all that is installed, which a switch would notice.
    mine = kinds.get(configured.scheme)
    last: Activation = (mine or _open)(_placed(configured, home))
    return [*found, last]


def _open(address: BackendURL) -> Activation:
    activation: Activation = open_backend("activation", address)
    return activation


def _placed(address: BackendURL, home: Path | str | None) -> BackendURL:
    if address.host or address.path:
        return address
    folder = home_folder(home).absolute()
    return BackendURL(scheme=address.scheme, path=str(folder / {"modules": "modules"}.get(address.scheme, "envs")))
