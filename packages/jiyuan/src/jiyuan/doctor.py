"""What ``jiyuan doctor`` asks: everything that the doctors of the four libraries ask."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from jiyuan._house.config import Config
from jiyuan._house.doctor import Check

LIBRARIES = ("veda", "exia", "kyrios", "ptolemy")


def checks(config: Config) -> Iterable[Check]:
    """Give the checks of each library, under its name."""
    for library in LIBRARIES:
        settings = import_module(f"{library}.settings").SETTINGS
        theirs = import_module(f"{library}._house.config").load_config(settings)
        for check in import_module(f"{library}.doctor").checks(theirs):
            yield Check(f"{library} {check.name}", check.target, check.ask)
