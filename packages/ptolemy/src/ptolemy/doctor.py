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
    """Read every data set against what its versions say and tell what there is."""
    from ptolemy.series import open_series

    with open_series(url) as series:
        found = [f"{name} {series.verify(name)} rows" for name in series.datasets()]
    return ", ".join(found) or "empty: collect something with ptolemy collect run SOURCE_URL"
