"""The completion scripts, each sourced and asked in the real shell."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from tests.conformance.commands import BIN

# How each shell is asked what can follow `<lib> con`; the answer is on stdout.
ASK = {
    "bash": """
        eval "$({library} completion bash)"
        COMP_WORDS=({library} con) COMP_CWORD=1
        "$(complete -p {library} | sed 's/.*-F \\([^ ]*\\).*/\\1/')" {library}
        echo "${{COMPREPLY[@]}}"
    """,
    "zsh": """
        autoload -U compinit && compinit -D -u
        eval "$({library} completion zsh)"
        [ -n "${{_comps[{library}]}}" ] || exit 1
        compadd() {{ :; }}; compdef() {{ :; }}
        _describe() {{ print -l -- "${{(@P)4}}" "${{(@P)3}}"; }}
        words=({library} con) CURRENT=2
        ${{_comps[{library}]}}
    """,
    "fish": """
        {library} completion fish | source
        complete -C "{library} con"
    """,
}
QUIET = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}


@pytest.mark.parametrize("shell", ASK)
def test_a_real_shell_completes_a_command(library, shell, place):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed; apt-get install {shell}")
    place.folder.mkdir()
    path = {"PATH": f"{BIN}:{place.environment()['PATH']}", "HOME": str(place.folder)}

    done = subprocess.run(
        [shell, *QUIET[shell], "-c", ASK[shell].format(library=library)],
        env=place.environment(**path),
        cwd=place.folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert "config" in done.stdout, done.stdout + done.stderr
    assert "doctor" not in done.stdout
