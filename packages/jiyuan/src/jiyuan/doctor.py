"""What ``jiyuan doctor`` asks: everything that the doctors of the four libraries ask."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from jiyuan._house.config import Config
from jiyuan._house.doctor import Check

LIBRARIES = ("veda", "exia", "kyrios", "ptolemy")


def checks(config: Config) -> Iterable[Check]:
    """Give the checks of each library, under its name."""
    found = []
    for library in LIBRARIES:
        settings = import_module(f"{library}.settings").SETTINGS
        theirs = import_module(f"{library}._house.config").load_config(settings)
        import_module(f"{library}._house.doctor").load_drivers(theirs)
        for check in import_module(f"{library}.doctor").checks(theirs):
            found.append(Check(f"{library} {check.name}", check.target, check.ask))
    return found  # a list: no check may start while a driver is still being imported
