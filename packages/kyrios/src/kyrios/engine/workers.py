"""How many: numbers in the query of an engine's URL."""

from __future__ import annotations

from kyrios._house.backends import BackendURL
from kyrios.errors import BadInput


def counted(url: BackendURL, word: str, default: int) -> int:
    """Return the whole number from 1 that `word` is in the query of `url`, or `default` where it is not there."""
    text = url.query.get(word, "")
    if text and (not text.isdecimal() or int(text) < 1):
        hint = f"engine = '{url.scheme}:?{word}=4'"
        raise BadInput(f"{word} must be a whole number from 1, not {text!r}", hint=hint)
    return int(text) if text else default
