"""``modules://``: one flat modulefile a generation, for the ``module`` command of Environment Modules."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from veda._house.backends import BackendURL
from veda._house.files import write_durably
from veda.activation.port import SHELLS, Activation, Available
from veda.environment_model import Generation
from veda.errors import BadInput
from veda.settings import home

_PLAIN = re.compile(r"[A-Za-z0-9/._:@+,=-]")


class ModulesActivation:
    """Modulefiles ``<environment>/<generation>`` below one folder, which belongs on ``MODULEPATH``."""

    def __init__(self, url: BackendURL) -> None:
        self._root = url.file_path(home() / "modules").absolute()

    def write(self, generation: Generation, folder: Path) -> None:
        """Do nothing: modulefiles have a folder of their own."""

    def publish(self, generation: Generation) -> None:
        """Write the modulefile."""
        path = self._root / generation.environment / str(generation.number)
        data = modulefile(generation).encode()
        if not path.is_file() or path.read_bytes() != data:
            write_durably(path, data)

    def point(self, environment: str, number: int) -> None:
        """Write ``.modulerc``, so that the bare name means `number`."""
        text = f"#%Module5.1\nmodule-version {escaped(f'{environment}/{number}')} default\n"
        path = self._root / environment / ".modulerc"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_durably(path, text.encode())

    def withdraw(self, environment: str, number: int) -> None:
        """Remove the modulefile, and the folder with the last one."""
        folder = self._root / environment
        (folder / str(number)).unlink(missing_ok=True)
        if folder.is_dir() and not any(p.name.isdigit() for p in folder.iterdir()):
            (folder / ".modulerc").unlink(missing_ok=True)
            folder.rmdir()

    def load_command(self, generation: Generation, shell: str) -> str:
        """Return a line that tells ``module`` where to look, leaves what is loaded and loads."""
        _known(shell)
        root, name = shlex.quote(str(self._root)), f"{generation.environment}/{generation.number}"
        # A modulefile that fails must not cost the environment that was loaded before; `module switch` loses it.
        if shell == "fish":
            leave = 'set -q VEDA_ENV; and set was "$VEDA_ENV/$VEDA_ENV_GENERATION"; and module unload $was'
            back = 'begin; test -n "$was"; and module load $was; false; end'
            return f"module use {root}; set -l was; {leave}; module load {name}; or {back}"
        was = '_veda_was="${VEDA_ENV:+$VEDA_ENV/$VEDA_ENV_GENERATION}"'
        leave = '[ -z "$_veda_was" ] || module unload "$_veda_was"'
        back = '{ [ -z "$_veda_was" ] || module load "$_veda_was"; unset _veda_was; false; }'
        return f"module use {root}; {was}; {leave}; module load {name} || {back} && unset _veda_was"

    def unload_command(self, shell: str) -> str:
        """Return a line that unloads what ``VEDA_ENV`` names."""
        if _known(shell) == "fish":
            return 'set -q VEDA_ENV; and module unload "$VEDA_ENV/$VEDA_ENV_GENERATION"; or true'
        return 'if [ "${VEDA_ENV:-}" ]; then module unload "$VEDA_ENV/$VEDA_ENV_GENERATION"; fi'

    def available(self) -> list[Available]:
        """Return the modulefiles; the file system is asked, which is faster than ``module avail``."""
        found: list[Available] = []
        for folder in sorted(self._root.glob("[!.]*")):
            rc = folder / ".modulerc"
            now = re.search(r"/([0-9]+) default", rc.read_text(encoding="utf-8")) if rc.is_file() else None
            numbers = sorted(int(p.name) for p in folder.iterdir() if p.name.isdigit()) if folder.is_dir() else []
            for number in numbers:
                current = now is not None and int(now[1]) == number
                found.append({"environment": folder.name, "generation": number, "current": current})
        return found


def modulefile(generation: Generation) -> str:
    """Return the modulefile: no logic, one line a variable, every value escaped."""
    lines = [
        "#%Module5.1",
        f"module-whatis {escaped(f'veda environment {generation}')}",
        "family veda_env",
        *(f"pushenv {escaped(name)} {escaped(value)}" for name, value in generation.set.items()),
        *(f"prepend-path {escaped(n)} {escaped(os.pathsep.join(p))}" for n, p in generation.prepend.items()),
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return one Tcl word that means `text`: an unescaped bracket in a path would run a command at load."""
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise BadInput(f"{text!r} holds a control character, which no module can carry")
    return "".join(c if _PLAIN.fullmatch(c) else _escape(c) for c in text) or "{}"


def _escape(character: str) -> str:
    code = ord(character)
    if code < 128:
        return f"\\{character}"
    return f"\\u{code:04x}" if code < 0x10000 else character


def _known(shell: str) -> str:
    if shell not in SHELLS:
        raise BadInput(f"veda does not speak {shell!r}", hint=f"--shell {'|'.join(SHELLS)}")
    return shell


if TYPE_CHECKING:
    _fits: type[Activation] = ModulesActivation
