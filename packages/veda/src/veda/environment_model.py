"""What an environment is to a shell: variables that are set, and places that go before others."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from veda.errors import BadInput, Damaged
from veda.lock_file import FILE as LOCK_FILE
from veda.lock_file import Lock
from veda.names import normalise_name
from veda.settings import home as home_folder

MODEL_FILE = "env.json"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class Generation:
    """One generation of an environment; its folder never changes.

    Parameters
    ----------
    environment, number
        Its name and its number, from 1.
    path
        Its folder.
    lock
        What it holds.
    created_at
        ISO 8601 in UTC.
    by
        Who made it, ``user@host``.
    set, prepend
        Variables that it sets, and those that it puts places before: the name to the places, first the first.
    """

    environment: str
    number: int
    path: Path
    lock: Lock = field(compare=False)
    created_at: str
    by: str
    set: Mapping[str, str] = field(compare=False)
    prepend: Mapping[str, tuple[str, ...]] = field(compare=False)

    def __str__(self) -> str:
        return f"{self.environment}@{self.number}"

    @property
    def python(self) -> Path:
        """The interpreter that sees what the environment holds, and nothing else."""
        return self.path / "bin" / "python"


def environments_folder(home: Path | str | None = None) -> Path:
    """Return where environments are."""
    return home_folder(home).absolute() / "envs"


def parse_environment(text: str) -> tuple[str, int | None]:
    """Return the name and, of ``name@3``, the number; raise `BadInput` if it is neither."""
    name, at, number = text.partition("@")
    if at and not _NUMBER.fullmatch(number):
        raise BadInput(f"{number!r} is not a generation", hint=f"veda env show {name}, then {name}@NUMBER")
    return normalise_name(name), int(number) if at else None


def read_generation(path: Path) -> Generation:
    """Read a generation from its folder; raise `Damaged` if it is not what was made."""
    try:
        facts: dict[str, Any] = json.loads((path / MODEL_FILE).read_bytes())
        lock = Lock.from_bytes((path / LOCK_FILE).read_bytes(), str(path / LOCK_FILE))
        found = Generation(
            environment=facts["environment"],
            number=facts["generation"],
            path=path,
            lock=lock,
            created_at=facts["created_at"],
            by=facts["by"],
            set=facts["set"],
            prepend={name: tuple(places) for name, places in facts["prepend"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise Damaged(f"{path} is damaged: {exc}", hint=f"veda env repair {path.parent.name}") from None
    if facts["lock"] != lock.digest:
        raise Damaged(f"{path} is damaged: its lock is another", hint=f"veda env repair {path.parent.name}")
    return found


def model_bytes(generation: Generation) -> bytes:
    """Return the file that `read_generation` reads."""
    facts = {
        "environment": generation.environment,
        "generation": generation.number,
        "lock": generation.lock.digest,
        "created_at": generation.created_at,
        "by": generation.by,
        "set": dict(generation.set),
        "prepend": {name: list(places) for name, places in generation.prepend.items()},
    }
    return (json.dumps(facts, ensure_ascii=False, indent=1) + "\n").encode()
