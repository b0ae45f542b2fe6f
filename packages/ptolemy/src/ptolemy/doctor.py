"""What ``ptolemy doctor`` asks."""

from __future__ import annotations

from collections.abc import Iterable

from ptolemy._house.backends import BackendURL
from ptolemy._house.config import Config
from ptolemy._house.doctor import Check


def checks(config: Config) -> Iterable[Check]:
    """Give one check for each backend that `config` names."""
    url = config.text("series")
    return [Check("series", str(BackendURL.parse(url)), lambda: _series(url))]


def _series(url: str) -> str:
    """Open every file of every data set and tell what there is."""
    from ptolemy.series import open_series

    found = []
    with open_series(url) as series:
        for name in series.datasets():
            series.read(name, codes=[])
            found.append(f"{name} {series.versions(name)[-1].rows} rows")
    return ", ".join(found) or "empty: collect something with ptolemy collect run SOURCE_URL"
