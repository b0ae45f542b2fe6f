"""What every activation promises, in each of the real shells."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from veda.activation import Activation
from veda.environment_model import Generation

#: Gives the generation `number` of the environment `name`, complete, with these variables.
MakeGeneration = Callable[[str, int, Mapping[str, str]], Generation]

_DUMP = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
_NASTY = "a b'c\"d$HOME`id`[exec id]{x};#\\t\u7ee9*?~!"


class ActivationContract:
    """Give fixtures `activation`, `shell` (a word), `prelude` (what the shell reads first) and `make_generation`."""

    def test_loading_sets_what_the_environment_says(
        self, activation: Activation, shell: str, prelude: str, make_generation: MakeGeneration
    ) -> None:
        generation = make_generation("research", 1, {"OMP_NUM_THREADS": "2"})

        seen = _run(shell, prelude, activation.load_command(generation, shell), _DUMP)[0]

        assert (seen["VEDA_ENV"], seen["VEDA_ENV_GENERATION"]) == ("research", "1")
        assert seen["OMP_NUM_THREADS"] == "2"
        assert seen["PATH"].split(os.pathsep)[0] == str(generation.path / "bin")

    def test_no_character_of_a_value_is_read_by_the_shell(
        self, activation: Activation, shell: str, prelude: str, make_generation: MakeGeneration
    ) -> None:
        generation = make_generation("research", 1, {"NASTY": _NASTY, "EMPTY": ""})

        seen = _run(shell, prelude, activation.load_command(generation, shell), _DUMP)[0]

        assert (seen["NASTY"], seen["EMPTY"]) == (_NASTY, "")

    def test_unloading_leaves_the_shell_exactly_as_it_was(
        self, activation: Activation, shell: str, prelude: str, make_generation: MakeGeneration
    ) -> None:
        generation = make_generation("research", 1, {"OMP_NUM_THREADS": "2", "NEW": "x"})
        load, unload = activation.load_command(generation, shell), activation.unload_command(shell)

        before, after = _run(shell, prelude, _DUMP, load, unload, _DUMP, OMP_NUM_THREADS="8 or 'more' $x")

        assert _own(after) == _own(before)

    def test_what_was_put_on_the_path_meanwhile_stays(
        self, activation: Activation, shell: str, prelude: str, make_generation: MakeGeneration
    ) -> None:
        generation = make_generation("research", 1, {})
        load, unload = activation.load_command(generation, shell), activation.unload_command(shell)
        add = "set -gx PATH /first $PATH /last" if shell == "fish" else "export PATH=/first:$PATH:/last"

        before, after = _run(shell, prelude, _DUMP, load, add, unload, _DUMP)

        assert after["PATH"] == f"/first:{before['PATH']}:/last"

    def test_a_second_environment_takes_the_place_of_the_first(
        self, activation: Activation, shell: str, prelude: str, make_generation: MakeGeneration
    ) -> None:
        one = make_generation("research", 1, {"ONLY_ONE": "1", "BOTH": "1"})
        two = make_generation("trading", 4, {"BOTH": "2"})
        loads = [activation.load_command(g, shell) for g in (one, two)]

        before, inside, after = _run(shell, prelude, _DUMP, *loads, _DUMP, activation.unload_command(shell), _DUMP)

        assert (inside["VEDA_ENV"], inside["BOTH"], "ONLY_ONE" in inside) == ("trading", "2", False)
        assert str(one.path) not in inside["PATH"]
        assert _own(after) == _own(before)

    def test_unloading_where_nothing_is_loaded_does_nothing(
        self, activation: Activation, shell: str, prelude: str
    ) -> None:
        before, after = _run(shell, prelude, _DUMP, activation.unload_command(shell), _DUMP)

        assert _own(after) == _own(before)

    def test_what_can_be_loaded_is_listed(self, activation: Activation, make_generation: MakeGeneration) -> None:
        for number in (1, 2, 10):
            make_generation("research", number, {})
        activation.point("research", 10)

        found = [(a["environment"], a["generation"]) for a in activation.available()]

        assert found == [("research", 1), ("research", 2), ("research", 10)]


def _run(shell: str, prelude: str, *lines: str, **variables: str) -> list[dict[str, str]]:
    """Run lines in a real shell and return what each dump of the environment printed."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    options = {"bash": ["--noprofile", "--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    home = str(Path(os.environ.get("VEDA_HOME", os.devnull)).parent)
    kept = {"PATH": os.environ["PATH"], "HOME": home, "LC_ALL": "C.UTF-8", "XDG_CONFIG_HOME": home}
    done = subprocess.run(
        [program, *options, "-c", "\n".join([prelude, *lines])],
        env={**kept, "XDG_DATA_HOME": home, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _own(variables: Mapping[str, str]) -> dict[str, str]:
    """Return what a user sees, without what shells and Environment Modules count for themselves."""
    hidden = ("_", "SHLVL", "LOADEDMODULES", "_LMFILES_", "MODULEPATH", "MODULEPATH_modshare", "OLDPWD")
    return {k: v for k, v in variables.items() if k not in hidden and not k.startswith("__MODULES")}
