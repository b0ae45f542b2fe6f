"""The last good version of parameters on this disk, for the time in which their store is down."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from exia._house.config import home
from exia._house.files import write_durably
from exia.errors import ExiaError
from exia.params.port import checked_name, digest_of
from exia.params.version import ParamsVersion

_log = logging.getLogger("exia")


class LastGood:
    """The copy of one name; writing it never fails the caller, for the parameters are in force already."""

    def __init__(self, name: str) -> None:
        self._path = home() / "cache" / "params" / f"{checked_name(name)}.json"

    def write(self, version: ParamsVersion) -> None:
        """Keep `version`, durably."""
        body = version.body()
        self._write({"seen": _now(), "digest": digest_of(body), "body": body.decode(), "rejected": None})

    def reject(self, version: int, reason: str) -> None:
        """Note that a newer version was refused."""
        kept = self._read()
        if kept is not None:
            self._write({**kept, "rejected": {"version": version, "reason": reason, "at": _now()}})

    def read(self) -> ParamsVersion | None:
        """Return the copy, None if there is none or it is damaged."""
        kept = self._read()
        try:
            if kept is None or digest_of(kept["body"].encode()) != kept["digest"]:
                return None
            return ParamsVersion.parse(kept["body"].encode())
        except (ExiaError, KeyError, AttributeError):
            return None

    def _read(self) -> dict[str, Any] | None:
        try:
            kept = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return None
        return kept if isinstance(kept, dict) else None

    def _write(self, kept: dict[str, Any]) -> None:
        try:
            write_durably(self._path, json.dumps(kept).encode())
        except OSError as exc:
            _log.warning("no copy of parameters on this disk: %s", exc)


def describe_copies() -> str:
    """Return which copies this disk has, how old each is, and what was refused."""
    told = []
    for path in sorted((home() / "cache" / "params").glob("*.json")):
        kept = LastGood(path.stem)._read() or {}
        version = LastGood(path.stem).read()
        if version is None:
            told.append(f"{path.stem}: damaged copy")
            continue
        text = f"{path.stem} version {version.version} from {_age(str(kept['seen']))} ago"
        if kept.get("rejected"):
            text += f" (version {kept['rejected']['version']} refused: {kept['rejected']['reason']})"
        told.append(text)
    return "; ".join(told)


def _age(seen: str) -> str:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(seen)).total_seconds()
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
