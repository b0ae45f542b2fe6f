"""Begin: the user's own registry and store, and a new workspace."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from veda.errors import BadInput, Conflict
from veda.names import normalise_name

_VEDA_TOML = """\
[package]
name = "{name}"
version = "0.1.0"
summary = "Say in one line what it computes"
license = "Apache-2.0"
requires = []
requires-python = ">=3.11"

[entry-points]
default = "{module}:{cls}"
"""
_SOURCE = '''\
"""Say in one line what this package computes."""


class {cls}:
    """The mean of the last values.

    Parameters
    ----------
    window
        How many values to look back on.
    """

    def __init__(self, window: int = 3) -> None:
        if window < 1:
            raise ValueError(f"window must be at least 1, not {{window}}")
        self.window = window

    def signal(self, values: list[float]) -> float:
        """Return the mean of the last `window` values, oldest first; of fewer if there are fewer."""
        last = values[-self.window :]
        if not last:
            raise ValueError("values must not be empty")
        return sum(last) / len(last)
'''
_TEST = """\
import pytest
from {module} import {cls}


def test_the_signal_is_the_mean_of_the_last_values():
    assert {cls}(window=2).signal([1.0, 2.0, 4.0]) == 3.0


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="empty"):
        {cls}().signal([])
"""
_CONFTEST = """\
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
"""
_README = """\
# {name}

Say what it computes, from which data, and where the method was published.

    python -m pytest
    veda check .
    veda pack .
"""


def new_workspace(
    name: str,
    parent: str | os.PathLike[str] = ".",
    *,
    template: str | None = None,
    registry: str | None = None,
    home: Path | str | None = None,
) -> Path:
    """Make a workspace called `name` in `parent`, whose test passes and which packs; return its folder.

    Parameters
    ----------
    template
        A registered release to begin from, such as ``"garch@~=1.0"``: its files, under the new name
        and version 0.1.0. Its modules keep their names.
    registry, home
        Where the template is registered.

    Raises
    ------
    BadInput
        If `name` is not a package name, or its module would not be a Python name.
    Conflict
        If something of that name is there already.
    NotFound
        If no such template is registered.
    """
    name = normalise_name(name)
    target = Path(parent) / name
    if target.exists() or target.is_symlink():
        raise Conflict(f"{target} exists already", hint="choose another name, or work there")
    if template is None:
        _build(target, lambda building: _write_first(building, name))
    else:
        tree = _template(template, registry, home)
        _build(target, lambda building: _copy(tree, building, name))
    return target


def _build(target: Path, fill: Callable[[Path], None]) -> None:
    building = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        fill(building)
        building.rename(target)
    except OSError as exc:
        raise BadInput(f"{target} cannot be written: {exc.strerror}") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _template(text: str, registry: str | None, home: Path | str | None) -> Path:
    # What pulling needs takes longer to import than a first workspace takes to write.
    from veda.fetch import ensure_installed
    from veda.names import Ref
    from veda.registry import open_registry
    from veda.resolve import find_release

    with open_registry(registry, home=home) as catalogue:
        release = find_release(Ref.parse(text), catalogue)
    return ensure_installed(release, registry=registry, home=home)


def _copy(tree: Path, building: Path, name: str) -> None:
    from veda.project_file import with_entry

    for source in sorted(tree.rglob("*")):
        if source.is_file():
            path = building / source.relative_to(tree)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, path)
            path.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)  # what is installed cannot be written to
    toml = building / "veda.toml"
    text = toml.read_text(encoding="utf-8")
    for key, value in (("name", name), ("version", "0.1.0")):
        text = with_entry(text, "package", key, f'{key} = "{value}"', "veda.toml of the template")
    toml.write_text(text, encoding="utf-8")


def _write_first(building: Path, name: str) -> None:
    module = name.replace("-", "_")
    if not module.isidentifier():
        raise BadInput(f"{name!r} gives no Python module, because it begins with a digit", hint="begin with a letter")
    words = {"name": name, "module": module, "cls": "".join(w.capitalize() for w in name.split("-"))}
    files = {
        "veda.toml": _VEDA_TOML,
        f"src/{module}/__init__.py": _SOURCE,
        "tests/conftest.py": _CONFTEST,
        f"tests/test_{module}.py": _TEST,
        "README.md": _README,
        ".gitignore": "__pycache__/\n.pytest_cache/\ndist/\n",
    }
    for path, text in files.items():
        (building / path).parent.mkdir(parents=True, exist_ok=True)
        body = text if path == "tests/conftest.py" else text.format(**words)
        (building / path).write_text(body, encoding="utf-8")
