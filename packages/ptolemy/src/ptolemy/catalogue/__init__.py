"""What each interface holds: one data file per interface in this folder drives everything else.

A file has a ``title``, the ``key`` (columns that name a row, the security first and the time last),
``rules`` between columns, a list of ``columns`` and more ``parameters`` than every interface has;
``calendar``, ``update`` and ``collect`` say how it is collected, ``limit`` how many rows Tushare gives at
once, and ``quality`` what is looked for. Validation, parameters, the description of the service, the
client's completion, the points in InfluxDB, the reference and the tests all follow from it. A hidden
column comes back only when ``fields`` asks for it, so that a new column breaks nobody.

Users add files of the same form: `add`, or ``ptolemy dataset add factors.yaml``.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path

from ptolemy._house.config import home
from ptolemy._house.files import write_durably
from ptolemy.catalogue.interface import Asking, Column, Interface, Parameter, Rule
from ptolemy.catalogue.reading import build, parse
from ptolemy.errors import BadInput, Conflict, NotFound, UnknownInterface

__all__ = [
    "Asking",
    "Column",
    "Interface",
    "Parameter",
    "Rule",
    "add",
    "find",
    "interface",
    "interfaces",
    "remove",
    "source",
]

_ENDINGS = (".toml", ".yaml", ".yml")
#: Names that are other things in a call.
_TAKEN = ("pro_bar", "query", "arrow", "polars", "versions", "datasets", "quota", "close")


def interfaces() -> dict[str, Interface]:
    """Return every interface of the catalogue by name, sorted, those that users have added among them."""
    return dict(sorted({**_shipped(), **_added()}.items()))


def find(name: str) -> Interface | None:
    """Return one interface, or None; one that is shipped costs no look at the disk."""
    found = _shipped().get(name)
    return found if found is not None else _added().get(name)


def interface(name: str) -> Interface:
    """Return one interface; raise `UnknownInterface` with the nearest name if there is none."""
    found = find(name)
    if found is None:
        raise UnknownInterface(name, interfaces())
    return found


def add(path: Path, *, replace: bool = False) -> Interface:
    """Keep a user's file as a data set of its own, named as the file is, and return it.

    A file of the same name may add columns; a column that is kept already cannot change its type, and
    the key cannot change, for rows are kept by it.

    Raises
    ------
    BadInput
        If the file describes no data set; nothing was written.
    Conflict
        If there is one of this name, and `replace` is not given.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as exc:
        raise BadInput(f"{path} cannot be read: {exc}") from None
    if path.suffix not in _ENDINGS:
        raise BadInput(f"{path.name} ends with none of {', '.join(_ENDINGS)}")
    made = build(path.stem, parse(path.name, text), path.name, own=True)
    if made.name in _shipped() or made.name in _TAKEN:
        raise Conflict(f"{made.name} is a name of ptolemy's own", hint="give the file another name")
    if made.computed:
        raise BadInput(f"{path.name}: only ptolemy's own interfaces are computed")
    old = _added().get(made.name)
    if old is not None and not replace:
        raise Conflict(f"there is a data set {made.name} already", hint=f"ptolemy dataset add {path} --replace")
    if old is not None:
        _check_grown(path.name, old, made)
    write_durably(_folder() / f"{made.name}{path.suffix}", text.encode())
    for other in _ENDINGS:
        if other != path.suffix:
            (_folder() / f"{made.name}{other}").unlink(missing_ok=True)
    return made


def source(name: str) -> str:
    """Return the text of an interface's file; raise `UnknownInterface` if there is none."""
    if interface(name).own:
        path = next(p for e in _ENDINGS if (p := _folder() / f"{name}{e}").exists())
        return path.read_text(encoding="utf-8")
    return (files(__name__) / f"{name}.toml").read_text(encoding="utf-8")


def remove(name: str) -> None:
    """Forget a user's data set; its rows stay in the store. Raise `NotFound` if there is none."""
    if name not in _added():
        raise NotFound(f"no data set {name} was added", hint="ptolemy dataset list")
    for ending in _ENDINGS:
        (_folder() / f"{name}{ending}").unlink(missing_ok=True)


def _check_grown(place: str, old: Interface, new: Interface) -> None:
    if old.key != new.key:
        raise Conflict(f"{place}: the key was {', '.join(old.key)} and cannot change", hint="give it another name")
    types = {c.name: c.type for c in new.columns}
    for column in old.columns:
        if column.name not in types:
            raise Conflict(f"{place}: the column {column.name} is kept and cannot go", hint="hide it: hidden = true")
        if types[column.name] != column.type:
            raise Conflict(f"{place}: {column.name} is kept as {column.type} and cannot be {types[column.name]}")


@cache
def _shipped() -> dict[str, Interface]:
    found = sorted((f for f in files(__name__).iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return {f.name[:-5]: build(f.name[:-5], parse(f.name, f.read_text(encoding="utf-8")), f.name) for f in found}


def _added() -> dict[str, Interface]:
    folder = _folder()
    try:
        changed = folder.stat().st_mtime_ns  # a file is put in its place by a rename, which the folder notes
    except OSError:
        return {}
    return _read(str(folder), changed)


@lru_cache(8)
def _read(folder: str, changed: int) -> dict[str, Interface]:
    found = sorted(f for f in Path(folder).iterdir() if f.suffix in _ENDINGS and not f.name.startswith("."))
    return {f.stem: build(f.stem, parse(str(f), f.read_text(encoding="utf-8")), str(f), own=True) for f in found}


def _folder() -> Path:
    return home() / "datasets"
