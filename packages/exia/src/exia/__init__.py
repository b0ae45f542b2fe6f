"""exia: Serve algorithms from an object pool: models, runs, live parameters, monitoring."""

from exia.errors import ExiaError

__all__ = ["ExiaError"]
