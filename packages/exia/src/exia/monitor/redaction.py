"""What must not leave this process: secrets in names and texts, and what a traceback would show of the code."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

#: A field whose name holds one of these words is hidden.
WORDS = (
    "password", "passwd", "pwd", "secret", "token", "api_key", "apikey", "authorization", "credential", "private_key",
    "access_key", "cookie", "passphrase",
)  # fmt: skip
HIDDEN = "[hidden]"
LONGEST = 8_192  #: Characters of one text.
_FRAMES = 50

_TEXTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), HIDDEN),
    (re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+@"), rf"\1:{HIDDEN}@"),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), HIDDEN),  # a JSON web token
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"), HIDDEN),
    (re.compile(r"\b[a-z]{2,10}_[0-9a-f]{8}_[A-Za-z0-9]{43}_[0-9a-f]{8}\b"), HIDDEN),  # a token of one of our services
)


class Redaction:
    """The rules of one monitor.

    Parameters
    ----------
    words
        Further words that hide a field by its name, and a value behind ``name=`` or ``name:`` in a text.
    """

    def __init__(self, words: Iterable[str] = ()) -> None:
        all_words = [re.escape(word.lower()) for word in (*WORDS, *words)]
        self._name = re.compile("|".join(all_words), re.IGNORECASE)
        # What may repeat is bounded, or a long text would take minutes.
        words_of_names = "|".join(all_words)
        self._pair = re.compile(
            rf"""((?:{words_of_names})[\w-]{{0,40}}['"]?\s{{0,8}}[=:]\s{{0,8}})("[^"]*"|'[^']*'|[^\s,;&)\]}}]+)""",
            re.IGNORECASE,
        )

    def text(self, text: str) -> str:
        """Return `text` without what looks like a secret, and not too long."""
        size = len(text)
        text = text[:LONGEST]
        for pattern, instead in _TEXTS:
            text = pattern.sub(instead, text)
        text = self._pair.sub(rf"\1{HIDDEN}", text)
        return text if size <= LONGEST else f"{text}… ({size} characters)"

    def value(self, name: str, value: Any) -> Any:
        """Return what may be kept of the field `name`; what JSON lacks becomes text, NaN becomes None."""
        if self._name.search(name):
            return HIDDEN
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if value - value == 0 else None
        if isinstance(value, Mapping):
            return {str(key): self.value(str(key), one) for key, one in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            items = [self.value(name, one) for one in value]
            # A field has one type in Elasticsearch.
            return items if len({isinstance(one, str) for one in items}) < 2 else [str(one) for one in items]
        if hasattr(value, "item") and not getattr(value, "shape", ()):
            return self.value(name, value.item())
        return self.text(str(value))


def outline(error: BaseException) -> str:
    """Return where `error` was raised: file, line and function of each call, innermost last.

    There is no line of code and no value of a variable in it, and a home folder is written as ``~``.
    """
    frames = traceback.extract_tb(error.__traceback__)
    shown = [f"{short_path(f.filename)}:{f.lineno} in {f.name}" for f in frames[-_FRAMES:]]
    if len(frames) > _FRAMES:
        shown.insert(0, f"… {len(frames) - _FRAMES} more")
    return "\n".join(shown)


def short_path(path: str) -> str:
    """Return a path, or a text that begins with one, with the home folder as ``~``."""
    try:
        return f"~/{Path(path).relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return path
