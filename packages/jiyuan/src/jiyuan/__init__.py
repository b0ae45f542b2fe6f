"""jiyuan: the one door to an algorithm centre; each name here is a library's own.

>>> import jiyuan as jy
>>> with jy.pool(dict, max_size=2) as pool, pool.lease() as numbers:
...     numbers["one"] = 1
"""

from exia import pool, run
from jiyuan.errors import JiyuanError
from kyrios import load_flow as flow
from ptolemy import api
from veda import pack, pull, push

__all__ = ["JiyuanError", "api", "flow", "pack", "pool", "pull", "push", "run"]
