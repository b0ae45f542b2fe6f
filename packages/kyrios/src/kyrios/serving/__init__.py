"""Flows over HTTP: what ``kyrios serve`` answers, and its page."""

from __future__ import annotations

from kyrios.serving.running import Runs
from kyrios.serving.shelf import Shelf
from kyrios.serving.tokens import Token, Tokens

__all__ = ["Runs", "Shelf", "Token", "Tokens"]
