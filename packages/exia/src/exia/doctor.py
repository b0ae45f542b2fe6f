"""What ``exia doctor`` asks."""

from __future__ import annotations

from collections.abc import Iterable

from exia._house.backends import BackendURL
from exia._house.config import Config
from exia._house.doctor import Check


def checks(config: Config) -> Iterable[Check]:
    """Give one check for each backend that `config` names."""
    url = config.text("runs")
    return [
        Check("runs", str(BackendURL.parse(url)), lambda: _runs(url)),
        Check("loaders", "exia.loaders", _loaders),
    ]


def _runs(url: str) -> str:
    from exia.runs import open_runs

    store = open_runs(url)
    try:
        return store.ping()
    finally:
        store.close()


def _loaders() -> str:
    from importlib.metadata import entry_points  # 20 ms to import, and `--help` does not ask

    points = sorted(entry_points(group="exia.loaders"))
    for point in points:
        point.load()
    return ", ".join(point.name for point in points)
