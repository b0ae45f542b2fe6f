"""``shell://``: one compiled script a shell, and exact deactivation."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from veda._house.backends import BackendURL
from veda.activation.port import SHELLS, Activation, Available
from veda.environment_model import Generation
from veda.errors import BadInput
from veda.settings import home


class ShellActivation:
    """Scripts ``activate.bash``, ``activate.zsh`` and ``activate.fish`` in each generation."""

    def __init__(self, url: BackendURL) -> None:
        self._root = url.file_path(home() / "envs").absolute()

    def write(self, generation: Generation, folder: Path) -> None:
        """Write the three scripts."""
        for shell in SHELLS:
            text = _fish(generation) if shell == "fish" else _posix(generation)
            with (folder / f"activate.{shell}").open("xb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())

    def publish(self, generation: Generation) -> None:
        """Do nothing: the scripts came with the generation."""

    def point(self, environment: str, number: int) -> None:
        """Do nothing: ``current`` in the environment's folder says it."""

    def withdraw(self, environment: str, number: int) -> None:
        """Do nothing: the scripts go with the generation."""

    def load_command(self, generation: Generation, shell: str) -> str:
        """Return a line that sources the script."""
        script = str(generation.path / f"activate.{_known(shell)}")
        return f"source {_fish_quote(script) if shell == 'fish' else shlex.quote(script)}"

    def unload_command(self, shell: str) -> str:
        """Return a line that calls what the script has left for this."""
        if _known(shell) == "fish":
            return "functions -q veda_deactivate; and veda_deactivate; or true"
        return "if typeset -f veda_deactivate >/dev/null; then veda_deactivate; fi"

    def available(self) -> list[Available]:
        """Return the generations that have scripts."""
        found: list[Available] = []
        for folder in sorted(self._root.glob("[!.]*")):
            current = folder / "current"
            now = str(current.readlink()) if current.is_symlink() else ""
            numbers = sorted(int(p.name) for p in folder.iterdir() if p.name.isdigit()) if folder.is_dir() else []
            found += [{"environment": folder.name, "generation": n, "current": str(n) == now} for n in numbers]
        return found


def _known(shell: str) -> str:
    if shell not in SHELLS:
        raise BadInput(f"veda does not speak {shell!r}", hint=f"--shell {'|'.join(SHELLS)}")
    return shell


def _posix(generation: Generation) -> str:
    """Return a script for bash and zsh: only built-in commands, so that it costs milliseconds."""
    lines = [
        f"# {generation}, made by veda; source it",
        "if typeset -f veda_deactivate >/dev/null; then veda_deactivate; fi",
    ]
    undo: list[str] = []
    for name, value in generation.set.items():
        lines += [
            f'if [ "${{{name}+x}}" ]; then _veda_old_{name}=${name}; else unset _veda_old_{name}; fi',
            f"export {name}={shlex.quote(value)}",
        ]
        undo += [
            f'if [ "${{_veda_old_{name}+x}}" ]; then export {name}="$_veda_old_{name}"; '
            f"unset _veda_old_{name}; else unset {name}; fi"
        ]
    for name, places in generation.prepend.items():
        ours = shlex.quote(os.pathsep.join(places))
        lines += [
            f'if [ "${{{name}+x}}" ]; then _veda_old_{name}=${name}; export {name}={ours}:"${name}"; '
            f"else unset _veda_old_{name}; export {name}={ours}; fi",
            f'_veda_new_{name}="${name}"',
        ]
        undo += [
            # What somebody put there since stays; if nobody did, the very text from before comes back.
            f'if [ "${{{name}-}}" = "$_veda_new_{name}" ]; then '
            f'if [ "${{_veda_old_{name}+x}}" ]; then export {name}="$_veda_old_{name}"; else unset {name}; fi; '
            f'else _veda_ours=:{ours}:; _veda_all=":${{{name}-}}:"; '
            f'case "$_veda_all" in *"$_veda_ours"*) '
            f'_veda_all="${{_veda_all%%"$_veda_ours"*}}:${{_veda_all#*"$_veda_ours"}}" ;; esac; '
            f'_veda_all="${{_veda_all#:}}"; export {name}="${{_veda_all%:}}"; '
            f'[ -n "${name}" ] || unset {name}; unset _veda_ours _veda_all; fi; '
            f"unset _veda_old_{name} _veda_new_{name}",
        ]
    forget = "hash -r 2>/dev/null || true"
    body = "".join(f"    {line}\n" for line in [*undo, "unset -f veda_deactivate", forget])
    return "\n".join([*lines, forget, "veda_deactivate() {", body + "}"]) + "\n"


def _fish(generation: Generation) -> str:
    lines = [f"# {generation}, made by veda; source it", "functions -q veda_deactivate; and veda_deactivate"]
    undo: list[str] = []
    for name, value in generation.set.items():
        lines += [
            f"if set -q {name}; set -g _veda_old_{name} ${name}; else; set -e _veda_old_{name}; end",
            f"set -gx {name} {_fish_quote(value)}",
        ]
        undo.append(
            f"if set -q _veda_old_{name}; set -gx {name} $_veda_old_{name}; set -e _veda_old_{name}; "
            f"else; set -e {name}; end"
        )
    for name, places in generation.prepend.items():
        ours = " ".join(map(_fish_quote, places))
        # PATH is a list in fish, other names that end in PATH are too; the rest is one text with colons.
        lines += [
            f"if set -q {name}; set -g _veda_old_{name} ${name}; set -gx --path {name} {ours} ${name}; "
            f"else; set -e _veda_old_{name}; set -gx --path {name} {ours}; end",
            f"set -g _veda_new_{name} ${name}",
        ]
        undo += [
            f'if test "${name}" = "$_veda_new_{name}"; '
            f"if set -q _veda_old_{name}; set -gx {name} $_veda_old_{name}; else; set -e {name}; end; "
            f"else; for place in {ours}; set -l at (contains -i -- $place ${name}); and set -e {name}[$at]; end; "
            f"test (count ${name}) -gt 0; or set -e {name}; end; set -e _veda_old_{name} _veda_new_{name}",
        ]
    body = "".join(f"    {line}\n" for line in [*undo, "functions -e veda_deactivate"])
    return "\n".join([*lines, "function veda_deactivate", body + "end"]) + "\n"


def _fish_quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


if TYPE_CHECKING:
    _fits: type[Activation] = ShellActivation
