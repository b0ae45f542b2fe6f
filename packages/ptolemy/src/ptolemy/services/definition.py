"""Read ``[services.NAME]`` of ``jiyuan.toml``; every key is known, and a mistyped one is named with the nearest."""

from __future__ import annotations

import re
import shlex
import signal
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

from ptolemy._house.config import PROJECT_FILE, project_file
from ptolemy.errors import ConfigError, NotFound, UnknownComponent, nearest
from ptolemy.services.port import Component, Fresh, Ready, Restart

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,49}")
_KEYS = sorted({f.name for f in fields(Component)} - {"name"} | {"env_file", "instances"})
_SECRET_OPTION = re.compile(
    r"-{1,2}[\w-]*?(password|passwd|secret|token|credential|api-?key)[\w-]*(=.+)?", re.IGNORECASE
)
_SECRET_URL = re.compile(r"\w+://[^/\s:@]*:[^/\s@]+@")
_Check = TypeVar("_Check", Ready, Fresh)


def find_definition() -> Path:
    """Return the project's ``jiyuan.toml``; raise `NotFound` if there is none."""
    if (path := project_file()) is None:
        raise NotFound(
            f"no {PROJECT_FILE} here or above, which would say what is to run",
            hint=f"write [services.NAME] and command = ... into {PROJECT_FILE}, or go to the folder that has one",
        )
    return path


def read_components(path: Path) -> list[Component]:
    """Return the components that `path` defines, in the order in which they are started.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a key or value in it cannot be used.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"{path} cannot be read: {exc}", hint=f"mend or move {path}") from None
    sections = document.get("services", {})
    if not isinstance(sections, dict):
        raise ConfigError(
            f"{path}: services must be sections", hint="write [services.NAME], and command = ... below it"
        )
    components: list[Component] = []
    copies: dict[str, list[str]] = {}
    for name, section in sections.items():
        made = _components(path, name, section)
        components += made
        copies[name] = [c.name for c in made]
    resolved = [_depending(path, c, copies) for c in components]
    for group in {c.group for c in resolved} & {c.name for c in resolved} - {""}:
        raise ConfigError(f"{path}: {group!r} is a component and a group", hint="give the group another name")
    return in_order(resolved, str(path))


def in_order(components: Sequence[Component], place: str = "jiyuan.toml") -> list[Component]:
    """Return `components` so that each comes after what it depends on; raise `ConfigError` at a circle."""
    known = {c.name: c for c in components}
    done: dict[str, Component] = {}

    def visit(component: Component, above: tuple[str, ...]) -> None:
        if component.name in above:
            circle = " -> ".join([*above[above.index(component.name) :], component.name])
            raise ConfigError(f"{place}: components depend on one another in a circle: {circle}", hint="drop one")
        for name in component.depends_on:
            if name in known and name not in done:
                visit(known[name], (*above, component.name))
        done.setdefault(component.name, component)

    for component in components:
        visit(component, ())
    return list(done.values())


def select(components: Sequence[Component], names: Iterable[str]) -> list[Component]:
    """Return those that `names` name, by component or group, in the order of `components`; no name means all."""
    wanted = set(names)
    known = {c.name for c in components} | {c.group for c in components if c.group}
    # NAME also means all of its instances, NAME.1 and so on.
    instances = {c.name.rpartition(".")[0] for c in components if c.name.rpartition(".")[2].isdecimal()}
    for name in wanted - known - instances:
        raise UnknownComponent(name, sorted(known | instances))
    if not wanted:
        return list(components)
    return [c for c in components if {c.name, c.group, c.name.rpartition(".")[0]} & wanted]


def with_dependencies(components: Sequence[Component], chosen: Iterable[Component]) -> list[Component]:
    """Return `chosen` and all that they depend on, in the order of `components`."""
    known = {c.name: c for c in components}
    found: set[str] = set()
    rest = [c.name for c in chosen]
    while rest:
        name = rest.pop()
        if name in known and name not in found:
            found.add(name)
            rest += known[name].depends_on
    return [c for c in components if c.name in found]


def with_dependants(components: Sequence[Component], chosen: Iterable[Component]) -> list[Component]:
    """Return `chosen` and all that depends on them, in the order of `components`."""
    found = {c.name for c in chosen}
    for component in components:  # each comes after what it depends on
        if found & set(component.depends_on):
            found.add(component.name)
    return [c for c in components if c.name in found]


def _components(path: Path, name: str, section: Any) -> list[Component]:
    place = f"{path}: [services.{name}]"
    if not isinstance(section, dict):
        raise ConfigError(f"{path}: services.{name} must be a section", hint=f"write it as [services.{name}]")
    if not _NAME.fullmatch(name) or re.search(r"\.\d+$", name):
        raise ConfigError(
            f"{place}: a name has lower-case letters, digits, _ and -, and begins with a letter; 50 at most",
            hint=f"[services.{re.sub('[^a-z0-9_-]', '-', name.lower())[:50] or 'api'}]",
        )
    _check_keys(place, section, _KEYS)
    given = dict(section)
    folder = _folder(place, path.parent, given.pop("cwd", ""))
    instances = _number(place, "instances", given.pop("instances", 1), int, 1)
    env = _environment(place, path.parent, given.pop("env", {}), given.pop("env_file", ""))
    values: dict[str, Any] = {"name": name, "command": _command(place, given.pop("command", None)), "cwd": folder}
    if "ready" in given:
        values["ready"] = _check(place, "ready", Ready, given.pop("ready"), folder)
    if "fresh" in given:
        values["fresh"] = _check(place, "fresh", Fresh, given.pop("fresh"), folder)
    if "depends_on" in given:
        values["depends_on"] = _texts(place, "depends_on", given.pop("depends_on"))
    for key, value in given.items():
        values[key] = _plain(place, key, value)
    component = Component(**values, env=env)
    if instances == 1:
        return [component]
    return [
        replace(component, name=f"{name}.{i}", env={**env, "PTOLEMY_INSTANCE": str(i)}) for i in range(1, instances + 1)
    ]


def _depending(path: Path, component: Component, copies: Mapping[str, list[str]]) -> Component:
    for name in component.depends_on:
        if name not in copies:
            raise ConfigError(
                f"{path}: [services.{component.name}] depends on {name!r}, which is no component",
                hint=nearest(name, copies) or f"known: {', '.join(copies)}",
            )
    return replace(component, depends_on=tuple(n for name in component.depends_on for n in copies[name]))


def _check_keys(place: str, section: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in section:
        if key not in known:
            raise ConfigError(
                f"{place} has no key {key!r}", hint=nearest(key, known) or f"known keys: {', '.join(known)}"
            )


def _command(place: str, value: Any) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(value)) if isinstance(value, str) else ()
    except ValueError as exc:
        raise ConfigError(f"{place}: command cannot be split into words: {exc}", hint="write it as a list") from None
    if value is not None and not isinstance(value, str):
        words = _texts(place, "command", value)
    if not words or not words[0]:
        raise ConfigError(f"{place} has no command", hint='command = "ptolemy serve --port 8100"')
    for number, word in enumerate(words):
        # Whoever may call ps on this machine reads every argument.
        option = _SECRET_OPTION.fullmatch(word)
        if _SECRET_URL.search(word) or (option and (option[2] or words[number + 1 : number + 2])):
            raise ConfigError(
                f"{place}: argument {number} of command bears a secret, and anybody on this machine may read it in ps",
                hint="give it in env, or in a file that env_file names",
            )
    return words


def _environment(place: str, folder: Path, env: Any, file: Any) -> dict[str, str]:
    if not isinstance(env, dict) or not all(isinstance(v, str | int | float) for v in env.values()):
        raise ConfigError(f"{place}: env must be texts by name", hint='env = { NAME = "value" }')
    found: dict[str, str] = {}
    if file:
        if not isinstance(file, str):
            raise ConfigError(f"{place}: env_file must be a path", hint='env_file = "secrets.env"')
        try:
            lines = (folder / file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as exc:
            why = getattr(exc, "strerror", None) or exc
            raise ConfigError(f"{place}: env_file {folder / file} cannot be read: {why}", hint="chmod 600 it") from None
        for number, line in enumerate(lines, 1):
            if not (text := line.strip()) or text.startswith("#"):
                continue
            key, equals, value = text.partition("=")
            if not equals or not key.strip():
                # The line itself may be a secret.
                raise ConfigError(f"{place}: env_file {folder / file} line {number} is not NAME=value", hint="mend it")
            found[key.strip()] = value.strip().strip("\"'")
    return found | {k: str(v) for k, v in env.items()}


def _folder(place: str, parent: Path, value: Any) -> Path:
    if not isinstance(value, str):
        raise ConfigError(f"{place}: cwd must be a path", hint='cwd = "."')
    return (parent / Path(value).expanduser()).absolute()


def _check(place: str, key: str, kind: type[_Check], section: Any, folder: Path) -> _Check:
    known = [f.name for f in fields(kind)]
    kinds = [n for n in ("tcp", "http", "file", "log") if n in known]
    if not isinstance(section, dict):
        raise ConfigError(f"{place}: {key} must be a table", hint=f'{key} = {{ file = "..." }}')
    _check_keys(f"{place} {key}", section, known)
    given = [n for n in kinds if section.get(n)]
    if len(given) > 1 or (kind is Fresh and not given):
        raise ConfigError(f"{place}: {key} asks for {len(given)} things", hint=f"ask for one of {', '.join(kinds)}")
    values: dict[str, Any] = {}
    default = kind()
    for name, value in section.items():
        expected = type(getattr(default, name))
        if expected in (int, float):
            value = _number(place, f"{key}.{name}", value, float, 0)
        elif not isinstance(value, expected):
            raise ConfigError(f"{place}: {key}.{name} must be {_KINDS[expected]}, not {value!r}")
        values[name] = value
    if values.get("tcp") and not re.fullmatch(r"[^:]+:\d+|\[[0-9a-fA-F:]+\]:\d+", values["tcp"]):
        raise ConfigError(f"{place}: {key}.tcp must be HOST:PORT, not {values['tcp']!r}", hint='tcp = "127.0.0.1:8100"')
    if values.get("http") and not values["http"].startswith(("http://", "https://")):
        raise ConfigError(f"{place}: {key}.http must be a URL", hint='http = "http://127.0.0.1:8100/readyz"')
    if isinstance(values.get("file"), str):
        values["file"] = str(folder / Path(values["file"]).expanduser())
    return kind(**values)


_KINDS: dict[type, str] = {str: "a text", bool: "true or false", float: "a number", int: "a whole number"}


def _plain(place: str, key: str, value: Any) -> Any:
    default = next(f.default for f in fields(Component) if f.name == key)
    if key == "restart" and value not in get_args(Restart):
        raise ConfigError(
            f"{place}: restart must be {', '.join(get_args(Restart))}, not {value!r}",
            hint=nearest(str(value), get_args(Restart)),
        )
    if key == "stop_signal":
        name = str(value).upper().removeprefix("SIG")
        if f"SIG{name}" not in signal.Signals.__members__:
            known = ("TERM", "INT", "QUIT", "HUP", "KILL", "USR1", "USR2")
            raise ConfigError(f"{place}: no signal is called {value!r}", hint=nearest(name, known))
        return name
    if isinstance(default, int | float) and not isinstance(default, bool):
        return _number(place, key, value, type(default), 1 if key == "log_size" else 0)
    if not isinstance(value, str):
        raise ConfigError(f"{place}: {key} must be a text, not {value!r}")
    return value


def _number(place: str, key: str, value: Any, kind: type, least: float) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < 1e12:
        raise ConfigError(f"{place}: {key} must be a number, {least:g} at least, not {value!r}")
    if kind is int and value != int(value):
        raise ConfigError(f"{place}: {key} must be a whole number, not {value!r}")
    return kind(value)


def _texts(place: str, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
        raise ConfigError(f"{place}: {key} must be a list of texts", hint=f'{key} = ["..."]')
    return tuple(value)
