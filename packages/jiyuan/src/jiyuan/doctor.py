"""What ``jiyuan doctor`` asks."""

from __future__ import annotations

from collections.abc import Iterable

from jiyuan._house.config import Config
from jiyuan._house.doctor import Check


def checks(config: Config) -> Iterable[Check]:
    """Give one check for each backend that `config` names."""
    return []
