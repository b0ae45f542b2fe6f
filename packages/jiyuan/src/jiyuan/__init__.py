"""jiyuan: the one door to an algorithm centre; each name here is a library's own.

>>> import jiyuan as jy
>>> with jy.pool(dict, max_size=2) as pool, pool.lease() as numbers:
...     numbers["one"] = 1
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jiyuan.errors import JiyuanError

if TYPE_CHECKING:
    from exia import pool, run
    from kyrios import load_flow as flow
    from ptolemy import api
    from veda import pack, pull, push

__all__ = ["JiyuanError", "api", "flow", "pack", "pool", "pull", "push", "run"]

# Imported when first used: the data service alone takes a second, and a door should open at once.
_HOMES = {
    "api": ("ptolemy", "api"),
    "flow": ("kyrios", "load_flow"),
    "pack": ("veda", "pack"),
    "pool": ("exia", "pool"),
    "pull": ("veda", "pull"),
    "push": ("veda", "push"),
    "run": ("exia", "run"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'jiyuan' has no attribute {name!r}")
    library, attribute = _HOMES[name]
    value = getattr(import_module(library), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
