"""jiyuan: the one door to an algorithm centre; most names here are a library's own.

>>> import jiyuan as jy
>>> with jy.pool(dict, max_size=2) as pool, pool.lease() as numbers:
...     numbers["one"] = 1
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jiyuan.errors import JiyuanError

if TYPE_CHECKING:
    from exia import pool, run
    from jiyuan.components import down, up
    from jiyuan.examining import doctor
    from jiyuan.lineage import Trace, trace, users_of
    from jiyuan.reproduction import Reproduction, export, reproduce
    from kyrios import load_flow as flow
    from ptolemy import api
    from veda import pack, pull, push

__all__ = [
    "JiyuanError",
    "Reproduction",
    "Trace",
    "api",
    "doctor",
    "down",
    "export",
    "flow",
    "pack",
    "pool",
    "pull",
    "push",
    "reproduce",
    "run",
    "trace",
    "up",
    "users_of",
]

# Imported when first used: the data service alone takes a second, and a door should open at once.
_HOMES = {
    "Reproduction": ("jiyuan.reproduction", "Reproduction"),
    "Trace": ("jiyuan.lineage", "Trace"),
    "api": ("ptolemy", "api"),
    "doctor": ("jiyuan.examining", "doctor"),
    "down": ("jiyuan.components", "down"),
    "export": ("jiyuan.reproduction", "export"),
    "flow": ("kyrios", "load_flow"),
    "pack": ("veda", "pack"),
    "pool": ("exia", "pool"),
    "pull": ("veda", "pull"),
    "push": ("veda", "push"),
    "reproduce": ("jiyuan.reproduction", "reproduce"),
    "run": ("exia", "run"),
    "trace": ("jiyuan.lineage", "trace"),
    "up": ("jiyuan.components", "up"),
    "users_of": ("jiyuan.lineage", "users_of"),
}


def __getattr__(name: str) -> Any:
    if name == "load_ipython_extension":
        from jiyuan.notebook import load_ipython_extension

        return load_ipython_extension
    if name not in _HOMES:
        raise AttributeError(f"module 'jiyuan' has no attribute {name!r}")
    library, attribute = _HOMES[name]
    value = getattr(import_module(library), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if "IPython" in sys.modules:  # in a notebook, what the libraries return is shown as tables
    from jiyuan.notebook import show_tables

    show_tables()
