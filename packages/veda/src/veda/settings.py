"""The settings of veda: keys of ``[veda]`` in ``jiyuan.toml``, each also ``VEDA_<NAME>`` in the environment."""

from __future__ import annotations

from pathlib import Path

from veda._house.backends import BackendURL
from veda._house.config import Setting, load_config

NONE = "none://"
SETTINGS: tuple[Setting, ...] = (
    Setting("registry", "sqlite://", "Where releases are registered.", url=True),
    Setting("store", "file://", "Where packages are pushed to and pulled from.", url=True),
    Setting("activation", "shell://", "How environments enter a shell: shell:// or modules://.", url=True),
    Setting("deploy", "local://", "Hosts to roll out to: local://, ansible:inventory or clickhouse://.", url=True),
    Setting("index", NONE, "Registry that a team shares, where pushes are announced; none:// is none.", url=True),
    Setting("key", "default", "Key that signs what is pushed: its name here, or the path of an SSH key."),
    Setting("policy", "signed", "signed: only what a trusted key signed comes from a remote store; any: all."),
)


def home(given: Path | str | None = None) -> Path:
    """Return `given`, or the folder of everything embedded that the configuration names."""
    return Path(given).expanduser() if given is not None else Path(load_config(SETTINGS).text("home")).expanduser()


def registry_url(given: str | None = None, base: Path | str | None = None) -> BackendURL:
    """Return the address of the registry: `given`, or the configured one; ``sqlite://`` lies in the home `base`."""
    return _placed(load_config(SETTINGS, {"registry": given}).text("registry"), "sqlite", home(base) / "registry.db")


def store_url(given: str | None = None, base: Path | str | None = None) -> BackendURL:
    """Return the address of the store: `given`, or the configured one; ``file://`` lies in the home `base`."""
    return _placed(load_config(SETTINGS, {"store": given}).text("store"), "file", home(base) / "store")


def index_url(given: str | None = None) -> BackendURL | None:
    """Return the address of the registry that a team shares: `given`, or the configured one; None if there is none."""
    url = BackendURL.parse(load_config(SETTINGS, {"index": given}).text("index"))
    return None if str(url) == NONE else url


def _placed(text: str, embedded: str, place: Path) -> BackendURL:
    url = BackendURL.parse(text)
    if url.scheme == embedded and not url.host and not url.path:
        return BackendURL(scheme=embedded, path=str(place.absolute()), query=url.query)
    return url
