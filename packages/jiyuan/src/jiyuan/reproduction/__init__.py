"""Prove a result: run it again from what its record names, and compare every byte; or put all of it in one archive."""

from __future__ import annotations

from jiyuan.reproduction.archive import export
from jiyuan.reproduction.proving import Reproduction, reproduce

__all__ = ["Reproduction", "export", "reproduce"]
