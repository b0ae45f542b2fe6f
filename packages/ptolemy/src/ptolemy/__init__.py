"""ptolemy: A Tushare-style data service that you own, in Python and over HTTP."""

from ptolemy.errors import PtolemyError

__all__ = ["PtolemyError"]
