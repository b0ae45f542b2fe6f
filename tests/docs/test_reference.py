from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click
import pytest
from scripts.reference import commands, pages
from scripts.reference.markdown import LIBRARIES

DOCS = Path(__file__).resolve().parents[2] / "docs"


def reference(library: str) -> str:
    return (DOCS / "reference" / f"{library}.md").read_text(encoding="utf-8")


def test_the_written_pages_are_what_the_code_says():
    old = [str(path.relative_to(DOCS)) for path in pages.stale()]

    assert old == [], "run: scripts/docs"


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_command_and_option_is_in_the_reference(library: str):
    text = reference(library)
    root = import_module(f"{library}.cli").root

    missing = []
    for path, command in walk(root, library):
        words = [f"### `{path}`"]
        words += [f"`{word}`" for p in command.params if isinstance(p, click.Option) for word in p.opts]
        missing += [f"{path}: {word}" for word in words if word not in text]

    assert missing == []


def walk(command: click.Command, path: str) -> list[tuple[str, click.Command]]:
    found = []
    for name in command.list_commands(click.Context(command)) if isinstance(command, click.Group) else []:
        assert isinstance(command, click.Group)
        below = command.get_command(click.Context(command), name)
        assert below is not None
        found += [(f"{path} {name}", below), *walk(below, f"{path} {name}")]
    return found


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_setting_is_in_the_reference_with_its_environment_variable(library: str):
    text = reference(library)

    for setting in import_module(f"{library}.settings").SETTINGS:
        assert f"| `{setting.name}` | `{library.upper()}_{setting.name.upper()}` |" in text


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_error_is_in_the_reference_with_its_exit_code(library: str):
    text = reference(library)
    errors = vars(import_module(f"{library}.errors")).items()

    for name, error in errors:
        if isinstance(error, type) and hasattr(error, "exit_code"):
            assert f"| {error.exit_code} | `{name}` |" in text


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_public_name_is_in_the_reference(library: str):
    text = reference(library)

    missing = [name for name in import_module(library).__all__ if f".{name}`" not in text and f"`{name}`" not in text]

    assert missing == []


def test_a_page_that_says_something_else_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written = tmp_path / "veda.md"
    written.write_text("old")
    monkeypatch.setattr(pages, "pages", lambda: {written: "new", tmp_path / "none.md": "new"})

    assert pages.stale() == [written, tmp_path / "none.md"]


def test_every_command_has_an_example():
    without = [
        path
        for library in LIBRARIES
        for path, command in commands.commands(commands.root_of(library), library)
        if not isinstance(command, click.Group) and "Example: " not in (command.epilog or "")
    ]

    assert without == []
