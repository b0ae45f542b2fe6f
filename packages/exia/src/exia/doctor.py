"""What ``exia doctor`` asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from exia._house.backends import BackendURL, open_backend
from exia._house.config import Config, home
from exia._house.doctor import Check
from exia.errors import BackendUnavailable, NotAllowed
from exia.settings import NOWHERE


def checks(config: Config) -> Iterable[Check]:
    """Give one check for each backend that `config` names."""
    ports = ("runs", "objects", "blobs", "monitor")
    mirror = config.text("mirror")
    return [
        *(Check(port, _shown(config, port), _ping(port, config.text(port))) for port in ports),
        Check("artifacts", _shown(config, "artifacts"), _artifacts),
        *([Check("mirror", _shown(config, "mirror"), _ping("mirror", mirror))] if mirror != NOWHERE else []),
        Check("log", str(home() / "log"), _waiting),
        Check("params", _shown(config, "params"), lambda: _params(config.text("params"))),
        Check("isolated models", config.text("isolate"), _isolation),
        Check("loaders", "exia.loaders", _loaders),
    ]


def _shown(config: Config, port: str) -> str:
    return str(BackendURL.parse(config.text(port)))


def _ping(port: str, url: str) -> Callable[[], str]:
    def ask() -> str:
        store: Any = open_backend(port, url)
        try:
            return str(store.ping())
        finally:
            store.close()

    return ask


def _artifacts() -> str:
    from exia.runs.places import open_artifacts

    store = open_artifacts()
    try:
        return store.ping()
    finally:
        store.close()


def _waiting() -> str:
    from exia.runs.backlog import backlogs

    waiting = [found for found in backlogs() if not found.alive]
    if waiting:
        size, places = sum(found.size for found in waiting), ", ".join(sorted({found.place for found in waiting}))
        raise BackendUnavailable(f"{size} bytes of runs wait for {places}", hint="exia runs ship")
    return "nothing waits to be delivered"


def _params(url: str) -> str:
    from exia.params.last import describe_copies

    copies = describe_copies()
    told = f"; last good here: {copies}" if copies else ""
    try:
        return _ping("params", url)() + told
    except BackendUnavailable as exc:
        raise BackendUnavailable(f"{exc}{told or '; no copy on this disk'}", hint=exc.hint) from exc


def _isolation() -> str:
    from exia.models.isolation.apart import choice
    from exia.models.isolation.fence import missing

    chosen, lacks = choice(), missing()
    if chosen == "isolated" and lacks:
        raise NotAllowed(f"they do not load: {lacks}", hint="EXIA_ISOLATE=off, or unfenced if you trust who signs them")
    if chosen == "unfenced":
        return "they load in processes that can read files and use the network"
    return "they do not load" if chosen == "off" else "they load in processes without files, network or secrets"


def _loaders() -> str:
    from importlib.metadata import entry_points  # 20 ms to import, and `--help` does not ask

    points = sorted(entry_points(group="exia.loaders"))
    for point in points:
        point.load()
    return ", ".join(point.name for point in points)
