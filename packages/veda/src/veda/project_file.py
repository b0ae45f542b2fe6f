"""Change a ``veda.toml`` by one line; all else in it, comments too, stays as its author wrote it."""

from __future__ import annotations

import re
import tomllib
from copy import deepcopy

from veda.errors import BadInput


def with_entry(text: str, section: str, key: str, line: str, where: str) -> str:
    """Return the file with `line`, which sets `key`, in `section`; the section is made if there is none.

    Raises
    ------
    BadInput
        If the file is written in a way that one more line cannot change.
    """
    wanted = deepcopy(tomllib.loads(text))
    wanted.setdefault(section, {})
    try:
        wanted[section][key] = tomllib.loads(line)[key]
        changed = _changed(text, section, key, line)
        if tomllib.loads(changed) == wanted:  # whatever the lines look like, this is what they say
            return changed
    except (tomllib.TOMLDecodeError, TypeError):
        pass
    raise BadInput(f"{where} cannot be changed by a line", hint=f"write below [{section}]: {line}")


def _changed(text: str, section: str, key: str, line: str) -> str:
    lines = text.rstrip("\n").split("\n")
    header = re.compile(rf"\s*\[\s*{re.escape(section)}\s*\]\s*(#.*)?")
    start = next((n for n, found in enumerate(lines) if header.fullmatch(found)), None)
    if start is None:
        return "\n".join([*lines, "", f"[{section}]", line]) + "\n"
    end = next((n for n in range(start + 1, len(lines)) if lines[n].lstrip().startswith("[")), len(lines))
    for n in range(start + 1, end):
        if _sets(lines[n], key):
            return "\n".join([*lines[:n], line, *lines[n + 1 :]]) + "\n"
    while not lines[end - 1].strip():
        end -= 1
    return "\n".join([*lines[:end], line, *lines[end:]]) + "\n"


def _sets(line: str, key: str) -> bool:
    try:
        return key in tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return False
