"""Where a result comes from, and where it went: the lineage records of all runs, read and searched."""

from __future__ import annotations

from jiyuan.lineage.tracing import Trace, Use, trace, users_of

__all__ = ["Trace", "Use", "trace", "users_of"]
