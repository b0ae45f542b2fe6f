"""Begin a project: one file of settings, an algorithm, a flow and its data, which run at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable
from math import sin
from pathlib import Path

from jiyuan._house.files import write_durably
from jiyuan.demo.place import settings
from jiyuan.errors import BadInput, Conflict

_DAYS = 60
_HIDDEN = {"gitignore": ".gitignore"}  # a file of that name would hide the template from git itself


def new_project(folder: str | os.PathLike[str] = ".") -> Path:
    """Write a project into `folder`, pack its algorithm and register it there; return the folder.

    Raises
    ------
    Conflict
        If a file of the project is there already; nothing was written.
    """
    target = Path(folder).absolute()
    if target.exists() and not target.is_dir():
        raise BadInput(f"{target} is not a folder", hint="jiyuan init ANOTHER_FOLDER")
    texts = {**dict(_texts(files("jiyuan.starting") / "template")), "data/prices.csv": _prices()}
    taken = [name for name in sorted(texts) if (target / name).exists()]
    if taken:
        raise Conflict(f"{target} has {taken[0]} already; nothing was written", hint="jiyuan init ANOTHER_FOLDER")
    for name, text in texts.items():
        write_durably(target / name, text.encode())
    _publish(target)
    return target


def _publish(target: Path) -> None:
    import veda

    place = target / ".jiyuan"
    urls = {"VEDA_HOME": str(place / "veda"), "VEDA_REGISTRY": "sqlite://", "VEDA_STORE": f"file:{place / 'store'}"}
    (place / "packages").mkdir(parents=True, exist_ok=True)
    with settings(urls):
        package = veda.pack(target / "algorithm", place / "packages")
        veda.register(package.path)
        veda.push(package.path)


def _texts(folder: Traversable, below: str = "") -> Iterator[tuple[str, str]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _texts(item, f"{below}{item.name}/")
        elif item.name.endswith(".txt"):
            name = item.name.removesuffix(".txt")
            yield f"{below}{_HIDDEN.get(name, name)}", item.read_text(encoding="utf-8")


def _prices() -> str:
    """Return made-up bars of three securities: the same on every machine."""
    lines = ["code,day,open,high,low,close,volume"]
    for number, code in enumerate(("AAA.US", "BBB.US", "CCC.US")):
        day, before = date(2024, 1, 1), 100.0
        for step in range(_DAYS):
            while day.weekday() > 4:
                day += timedelta(days=1)
            close = round(100 + 8 * sin(step / (6 + 3 * number)) + 0.1 * step * (number - 1), 2)
            high, low = max(before, close) + 0.5, min(before, close) - 0.5
            lines.append(f"{code},{day},{before:.2f},{high:.2f},{low:.2f},{close:.2f},{1000 + 10 * step}")
            before, day = close, day + timedelta(days=1)
    return "\n".join(lines) + "\n"
