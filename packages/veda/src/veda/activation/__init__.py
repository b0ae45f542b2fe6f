"""Ways of environments into shells, opened by URL."""

from __future__ import annotations

from pathlib import Path

from veda._house.backends import BackendURL, open_backend
from veda._house.config import load_config
from veda.activation.port import SHELLS, Activation, Available
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
    own = [BackendURL(scheme=s) for s in ("shell", "modules") if s != configured.scheme]
    return [open_backend("activation", _placed(address, home)) for address in (*own, configured)]


def _placed(address: BackendURL, home: Path | str | None) -> BackendURL:
    if address.host or address.path:
        return address
    folder = home_folder(home).absolute()
    return BackendURL(scheme=address.scheme, path=str(folder / {"modules": "modules"}.get(address.scheme, "envs")))
