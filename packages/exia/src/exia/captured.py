"""What a run prints, passed on and kept: its last megabyte."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, TextIO

PIECE = 64 * 1024  #: Characters of one piece.
PIECES = 16  #: How many are kept; the seventeenth takes the place of the first.


class Captured:
    """Stands in for ``sys.stdout`` and ``sys.stderr`` while it is entered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = self._at = 0  # of the piece that is being filled, and how many characters lie before it
        self._text: list[str] = []
        self._length = 0
        self._full: list[dict[str, Any]] = []
        self._changed = False
        self._tees: dict[str, tuple[_Tee, TextIO]] = {}

    def start(self) -> None:
        """Begin to listen."""
        for name in ("stdout", "stderr"):
            there = getattr(sys, name)
            self._tees[name] = (_Tee(there, self), there)
            setattr(sys, name, self._tees[name][0])

    def stop(self) -> None:
        """Put back what was there, unless somebody else has put another in its place since."""
        for name, (tee, there) in self._tees.items():
            tee.sink = None
            if getattr(sys, name) is tee:
                setattr(sys, name, there)

    def take(self, hide: Callable[[str], str], *, whole: bool = False) -> dict[str, Any]:
        """Return the pieces that are new or longer since the last call, each under the key that it is kept at.

        Parameters
        ----------
        hide
            What takes the secrets out of a piece.
        whole
            Whether the last line is told too although it has no end yet: one half of a secret is hard to know.
        """
        with self._lock:
            pieces, self._full = self._full, []
            if self._changed:
                text = "".join(self._text)
                end = len(text) if whole else max(text.rfind("\n"), text.rfind("\r")) + 1
                if end:
                    pieces.append({"n": self._number, "at": self._at, "text": text[:end]})
                    self._changed = end < len(text)
        return {str(piece["n"] % PIECES): {**piece, "text": hide(piece["text"])} for piece in pieces[-PIECES:]}

    def add(self, text: str) -> None:
        with self._lock:
            self._text.append(text)
            self._length += len(text)
            self._changed = True
            while self._length >= PIECE:
                joined = "".join(self._text)
                end = _cut(joined)
                self._full.append({"n": self._number, "at": self._at, "text": joined[:end]})
                del self._full[:-PIECES]
                self._number += 1
                self._at += end
                self._text, self._length = [joined[end:]], len(joined) - end
                self._changed = self._length > 0


def _cut(text: str) -> int:
    """Return where a piece ends: behind a line, so that no secret lies in two, and before a key that goes on."""
    end = text.rfind("\n", 0, PIECE) + 1 or PIECE
    begun = text.rfind("-----BEGIN", 0, end)
    return begun if begun > 0 and "-----END" not in text[begun:end] else end


def printed(output: Mapping[str, Any]) -> str:
    """Return the text of the pieces that were kept; a first line says how much is missing before it."""
    pieces = sorted(output.values(), key=lambda piece: int(piece["n"]))
    if not pieces:
        return ""
    # A piece that another has replaced leaves those before it behind; they are older than what is missing.
    newest = pieces[-1]["n"]
    kept = [piece for piece in pieces if piece["n"] > newest - PIECES]
    missing = kept[0].get("at", kept[0]["n"] * PIECE)
    return (f"... {missing} characters before this were not kept\n" if missing else "") + "".join(
        str(piece["text"]) for piece in kept
    )


class _Tee:
    """A stream that writes to another and lets a capture hear it."""

    def __init__(self, stream: TextIO, sink: Captured) -> None:
        self._stream = stream
        self.sink: Captured | None = sink

    def write(self, text: str) -> int:
        if self.sink is not None:
            self.sink.add(text)
        return self._stream.write(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
