"""What ``exia doctor`` asks."""

from __future__ import annotations

from collections.abc import Iterable

from exia._house.config import Config
from exia._house.doctor import Check


def checks(config: Config) -> Iterable[Check]:
    """Give one check for each backend that `config` names."""
    return []
