"""Settings and where each came from: argument, environment, project file, user file, default.

Both files are TOML with one section per library; the project's is ``jiyuan.toml``, searched
upward from the working folder, the user's is ``$XDG_CONFIG_HOME/jiyuan/config.toml``.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .backends import BackendURL
from .errors import LIBRARY, ConfigError, nearest

Value = str | int | float | bool
PROJECT_FILE = "jiyuan.toml"
_SECTIONS = ("exia", "jiyuan", "kyrios", "ptolemy", "veda")


@dataclass(frozen=True)
class Setting:
    """One key of a library's section.

    Parameters
    ----------
    name
        The key in the file; the environment variable is ``<LIBRARY>_<NAME>``.
    default
        Used when nothing else says; its type is the setting's type.
    help
        One sentence for ``config show`` and the reference.
    url
        Whether the value is a backend's address, shown without its password.
    """

    name: str
    default: Value
    help: str
    url: bool = False

    @property
    def env(self) -> str:
        """The environment variable that sets it."""
        return f"{LIBRARY}_{self.name}".upper()

    def parse(self, raw: object, origin: str) -> Value:
        """Turn a raw value into the setting's type; raise `ConfigError` if it is another."""
        kind = type(self.default)
        if kind is bool and str(raw).lower() in ("true", "1", "false", "0"):
            return str(raw).lower() in ("true", "1")
        if kind in (int, float) and not isinstance(raw, bool):
            with suppress(ValueError):
                return kind(str(raw))
        if kind is str and isinstance(raw, str):
            return raw
        raise ConfigError(f"{origin}: {self.name} must be {_KINDS[kind]}, not {raw!r}")


_KINDS: dict[type, str] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


class Config(Mapping[str, Value]):
    """The values in force for one library; `origin` tells where each came from."""

    def __init__(self, settings: Sequence[Setting], values: Mapping[str, tuple[Value, str]]) -> None:
        self.settings = tuple(settings)
        self._values = dict(values)

    def __getitem__(self, name: str) -> Value:
        return self._values[name][0]

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def text(self, name: str) -> str:
        """Return a setting as text, a URL with its password."""
        return str(self[name])

    def origin(self, name: str) -> str:
        """Return ``argument``, ``environment NAME``, the path of a file, or ``default``."""
        return self._values[name][1]

    def shown(self, name: str) -> Value:
        """Return a setting as it may be shown: a URL without its password."""
        setting = next(s for s in self.settings if s.name == name)
        return str(BackendURL.parse(str(self[name]))) if setting.url else self[name]


def load_config(
    settings: Sequence[Setting], arguments: Mapping[str, Value | None] | None = None, *, strict: bool = True
) -> Config:
    """Read the configuration in force.

    Parameters
    ----------
    settings
        What the library knows; ``home`` is always known.
    arguments
        Values given on the command line or in a call; None means not given.
    strict
        Whether a key in a file that is not in `settings` is an error.

    Raises
    ------
    ConfigError
        If a file cannot be read, holds an unknown key, or a value has the wrong type.
    """
    settings = (_home(), *settings)
    known = [s.name for s in settings] if strict else None
    files = [(path, _section(path, known)) for path in (project_file(), user_file()) if path and path.is_file()]
    values: dict[str, tuple[Value, str]] = {}
    for setting in settings:
        given = (arguments or {}).get(setting.name)
        if given is not None:
            values[setting.name] = (setting.parse(given, "argument"), "argument")
        elif os.environ.get(setting.env):
            origin = f"environment {setting.env}"
            values[setting.name] = (setting.parse(os.environ[setting.env], origin), origin)
        else:
            found = next(((s[setting.name], str(path)) for path, s in files if setting.name in s), None)
            values[setting.name] = (_placed(setting, *found), found[1]) if found else (setting.default, "default")
    return Config(settings, values)


def home() -> Path:
    """Return the library's own folder: ``<LIBRARY>_HOME``, a file's ``home``, or the XDG data folder."""
    # Keys that only the library's full list of settings knows are not judged here.
    return Path(load_config((), strict=False).text("home")).expanduser()


def project_file() -> Path | None:
    """Return the nearest ``jiyuan.toml`` from the working folder upward, or None."""
    here = Path.cwd()
    return next((d / PROJECT_FILE for d in (here, *here.parents) if (d / PROJECT_FILE).is_file()), None)


def user_file() -> Path:
    """Return where the user's own configuration file is, whether it exists or not."""
    return _xdg("XDG_CONFIG_HOME", ".config") / "jiyuan" / "config.toml"


def _xdg(variable: str, fallback: str) -> Path:
    try:
        return Path(os.environ.get(variable) or Path.home() / fallback)
    except RuntimeError:
        raise ConfigError("this user has no home folder", hint=f"set {variable} to a folder") from None


def _placed(setting: Setting, raw: Any, origin: str) -> Value:
    """Return a value of the file `origin`; a relative path in it begins at the file's folder, wherever one works."""
    value = setting.parse(raw, origin)
    scheme, colon, place = str(value).partition(":") if setting.url else ("", "", str(value))
    if not (setting.url or setting.name == "home") or not place or place.startswith(("/", "~")):
        return value
    folder = str(Path(origin).parent)
    return f"{scheme}{colon}{quote(folder) if setting.url else folder}/{place}"


def _section(path: Path, known: Sequence[str] | None) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"{path} cannot be read: {exc}", hint=f"mend or move {path}") from None
    if not isinstance(section := document.get(LIBRARY, {}), dict):
        raise ConfigError(f"{path}: {LIBRARY} must be a section", hint=f"write it as [{LIBRARY}]")
    if known is None:
        return section
    for name in document:
        # A section near no library is somebody else's; one that is near is a slip that would go unheard.
        if name not in _SECTIONS and (hint := nearest(name, _SECTIONS)):
            raise ConfigError(f"{path}: no library is called {name!r}", hint=hint)
    # A section that another part of the library owns (a table) is not a setting and not judged here.
    for key in (k for k, v in section.items() if k not in known and not isinstance(v, dict)):
        raise ConfigError(
            f"{path}: [{LIBRARY}] has no key {key!r}",
            hint=nearest(key, known) or f"known keys: {', '.join(sorted(known))}",
        )
    return section


def _home() -> Setting:
    return Setting("home", str(_xdg("XDG_DATA_HOME", ".local/share") / LIBRARY), "Folder of everything embedded.")
