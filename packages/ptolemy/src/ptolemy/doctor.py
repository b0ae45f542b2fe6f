"""What ``ptolemy doctor`` asks."""

from __future__ import annotations

from collections.abc import Iterable

from ptolemy._house.backends import BackendURL
from ptolemy._house.config import Config
from ptolemy._house.doctor import Check


def checks(config: Config) -> Iterable[Check]:
    """Give one check for each backend that `config` names."""
    series, services = config.text("series"), config.text("services")
    return [
        Check("series", str(BackendURL.parse(series)), lambda: _series(series)),
        Check("services", str(BackendURL.parse(services)), lambda: _services(services)),
    ]


def _series(url: str) -> str:
    """Open every file of every data set and tell what there is."""
    from ptolemy.series import open_series

    found = []
    with open_series(url) as series:
        for name in series.datasets():
            series.read(name, codes=[])
            found.append(f"{name} {series.versions(name)[-1].rows} rows")
    return ", ".join(found) or "empty: collect something with ptolemy collect run SOURCE_URL"


def _services(url: str) -> str:
    """Ask for the state of every component and tell how many there are of each."""
    from collections import Counter

    from ptolemy.services import open_services

    with open_services(url) as services:
        words = Counter(state.state for state in services.states())
    return ", ".join(f"{count} {word}" for word, count in sorted(words.items())) or "nothing runs"
