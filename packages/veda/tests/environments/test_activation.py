"""Every activation keeps its contract in the real shells."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from veda import BadInput, Lock
from veda.activation import activations, open_activation
from veda.activation.modules import escaped, modulefile
from veda.environment_build import build, model
from veda.environment_model import Generation
from veda.lock_distributions import base_python
from veda.testing import ActivationContract

SHELLS = ["bash", pytest.param("zsh", marks=pytest.mark.zsh), pytest.param("fish", marks=pytest.mark.fish)]
INIT = Path("/usr/share/modules/init")


@pytest.fixture
def make_generation(home):
    def make(name, number, variables):
        lock = Lock((name,), (), (), "3.11", variables=variables)
        path = home / "envs" / name / str(number)
        bare = Generation(name, number, path, lock, "2026-01-05T09:30:00+00:00", "me@here", {}, {})
        generation = model(bare)
        build(generation, base_python(), None, home)
        return generation

    return make


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = tmp_path / "the home [exec id] of 绩元"
    monkeypatch.setenv("VEDA_HOME", str(home))
    return home


class TestShell(ActivationContract):
    @pytest.fixture(params=SHELLS)
    def shell(self, request):
        return request.param

    @pytest.fixture
    def prelude(self):
        return ""

    @pytest.fixture
    def activation(self, home):
        return open_activation("shell://")


@pytest.mark.modules
class TestModules(ActivationContract):
    @pytest.fixture(params=SHELLS)
    def shell(self, request):
        return request.param

    @pytest.fixture
    def prelude(self, shell):
        if not (INIT / shell).is_file():
            pytest.skip("Environment Modules is not installed")
        return f"source {INIT / shell}"

    @pytest.fixture
    def activation(self, home):
        return open_activation("modules://")


@pytest.mark.modules
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "damage", ["nosuchcommand\n", "setenv {\n", "exit 1\n", None], ids=["command", "Tcl", "exit", "gone"]
)
def test_a_modulefile_that_fails_leaves_the_shell_as_it_was(home, make_generation, shell, damage):
    modules = open_activation("modules://")
    loads = [modules.load_command(make_generation(name, 1, {"OMP_NUM_THREADS": name}), shell) for name in ("a", "b")]
    broken = home / "modules" / "b" / "1"
    broken.unlink() if damage is None else broken.write_text(broken.read_text() + damage)
    status = "$status" if shell == "fish" else "$?"
    program, dump = shutil.which(shell), "env | grep -E '^(PATH|VEDA_|OMP_|VIRTUAL_ENV)' | sort"
    script = f"source {INIT}/{shell}\n{loads[0]}\n{dump}\necho ---\n{loads[1]}\necho {status} >&2\n{dump}\n"

    done = subprocess.run([program or shell, "-c", script], capture_output=True, text=True, check=True)

    before, after = done.stdout.split("---\n")
    assert "OMP_NUM_THREADS=a\n" in before
    assert after == before
    assert "ERROR" in done.stderr
    assert done.stderr.splitlines()[-1] == "1"


@pytest.mark.modules
def test_the_bare_name_of_a_module_means_the_current_generation(home, make_generation):
    for number in (1, 2, 3):
        make_generation("research", number, {})
    for adapter in activations():
        adapter.point("research", 2)

    script = f"source {INIT}/bash; module use '{home}/modules'; module load research; echo $VEDA_ENV_GENERATION"
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)

    assert said.stdout == "2\n"


@pytest.mark.modules
def test_two_environments_cannot_be_loaded_as_modules_at_once(home, make_generation):
    make_generation("research", 1, {})
    make_generation("trading", 1, {})

    script = (
        f"source {INIT}/bash; module use '{home}/modules'; module load research; module load trading/1; echo $VEDA_ENV"
    )
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)

    assert said.stdout == "research\n"
    assert "conflict" in said.stderr


@pytest.mark.modules
@pytest.mark.parametrize(
    "text", ["[exec touch pwned]", "$env(HOME)", "{", "}", '"', ";#", "\\", "a b", "绩元", "😀", ""]
)
def test_no_character_of_a_value_is_read_by_tcl(text, tmp_path):
    tclsh = shutil.which("tclsh")
    if tclsh is None:
        pytest.skip("tclsh is not installed")
    script = f"fconfigure stdout -encoding utf-8\nputs -nonewline {escaped(text)}"

    said = subprocess.run([tclsh], input=script, capture_output=True, text=True, check=True, encoding="utf-8")

    assert said.stdout == text


def test_a_control_character_cannot_become_a_module():
    with pytest.raises(BadInput, match="control character"):
        escaped("a\nexec id")


def test_a_modulefile_holds_one_line_a_variable_and_no_logic(make_generation):
    generation = make_generation("research", 1, {"A": "1"})
    generation = replace(generation, prepend={"PATH": ("/one", "/two")})

    lines = modulefile(generation).splitlines()

    assert lines[0] == "#%Module5.1"
    assert "prepend-path PATH /one:/two" in lines
    assert {line.split()[0] for line in lines[1:]} == {"module-whatis", "family", "pushenv", "prepend-path"}


def test_a_shell_that_veda_does_not_speak_is_refused(make_generation):
    with pytest.raises(BadInput, match="csh"):
        open_activation().load_command(make_generation("research", 1, {}), "csh")
