"""The five libraries, all their commands, and a way to run one as a stranger would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import click

LIBRARIES = ("veda", "exia", "kyrios", "ptolemy", "jiyuan")
BIN = Path(sys.executable).parent


def root(library: str) -> click.Group:
    """Return the root command of `library`."""
    found: click.Group = import_module(f"{library}.cli").root
    return found


def settings(library: str) -> list[Any]:
    """Return the settings that `library` declares."""
    return list(import_module(f"{library}.settings").SETTINGS)


def url_settings(library: str) -> list[Any]:
    """Return the settings of `library` that hold a backend's address."""
    return [s for s in settings(library) if s.url]


def base_error(library: str) -> type[Exception]:
    """Return ``VedaError`` and the like."""
    found: type[Exception] = getattr(import_module(library), f"{library.capitalize()}Error")
    return found


def walk(library: str) -> Iterator[tuple[str, click.Command]]:
    """Give every command and group of `library` with what a person types for it, such as ``veda key list``."""
    yield from _walk(library, root(library), click.Context(root(library), info_name=library))


def leaves(library: str) -> Iterator[tuple[str, click.Command]]:
    """Give every command of `library` that is not a group."""
    return ((path, c) for path, c in walk(library) if not isinstance(c, click.Group))


def every(commands: Any) -> list[Any]:
    """Return the parameters for one test per command of all five libraries, each with its path as its id."""
    import pytest

    return [pytest.param(path, command, id=path) for library in LIBRARIES for path, command in commands(library)]


def _walk(path: str, command: click.Command, ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            child = command.get_command(ctx, name)
            assert child is not None, f"{path} {name} is listed and not there"
            yield from _walk(f"{path} {name}", child, click.Context(child, parent=ctx, info_name=name))


@dataclass(frozen=True)
class Place:
    """An empty place: a home that nobody may write to, a folder for each library, a working folder."""

    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        """Return an environment without anything of the caller's but what processes need."""
        kept = {k: os.environ[k] for k in ("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "TMPDIR") if k in os.environ}
        # Below /dev/null nothing can be made, by root neither.
        homes = {f"{library}_HOME".upper(): str(self.folder / library) for library in LIBRARIES}
        return kept | {"HOME": "/dev/null", "TERM": "xterm"} | homes | more

    def run(self, *words: str, env: Mapping[str, str] | None = None, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a command of one of the libraries; its output is captured, its input is empty."""
        self.folder.mkdir(exist_ok=True)
        return subprocess.run(
            [str(BIN / words[0]), *words[1:]],
            **{
                "env": self.environment(**(env or {})),
                "cwd": self.folder,
                "text": True,
                "encoding": "utf-8",
                "stdin": subprocess.DEVNULL,
                "capture_output": True,
                "timeout": 60,
                **more,
            },
        )

    def python(self, code: str, *words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run `code` in a fresh interpreter, with `words` as its arguments."""
        return self.run("python", "-c", code, *words, env=env)
