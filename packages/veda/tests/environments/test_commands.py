"""The commands of locks, environments and roll-outs: results on stdout, one line and the right code for an error."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

import pytest

import veda
from veda.cli import main as entry


@pytest.fixture
def run(capsys, monkeypatch):
    """Give a function that runs one command line and returns its exit code, stdout and stderr."""

    def run(line):
        monkeypatch.setattr(sys, "argv", ["veda", *shlex.split(line)])
        with pytest.raises(SystemExit) as left:
            entry()
        out, err = capsys.readouterr()
        return left.value.code, out, err

    return run


def test_the_whole_way_from_a_lock_to_a_roll_out_and_back(run, family, tmp_path, monkeypatch):
    monkeypatch.setenv("VEDA_DEPLOY", f"local:{tmp_path}/host")
    monkeypatch.setenv("VEDA_STORE", f"file:{tmp_path}/shared")
    for ref in ("alpha@1.0", "beta@1.0", "common@1.0", "common@2.0"):
        veda.push(ref)
    for line in [
        "lock alpha --set A=1 -o a.lock",
        "lock alpha --set A=1 -o a.lock --check",
        "lock beta -o b.lock --json",
        "env create research --lock a.lock",
        "env create research beta --json",
        "env list --json",
        "env show research",
        "env show research@1",
        "env load research --shell zsh",
        "env unload --shell fish",
        "env rollback research",
        "env export research --format modulefile",
        "env repair research",
        "env upload research --version 1.0",
        "env avail",
        "env loaded",
        "env clean --keep 0 --dry-run --json",
        "env create copy --template research-env",
        "env remove copy --yes",
        "ops hosts",
        "ops ping",
        "ops facts --json",
        "ops plan research --lock a.lock",
        "ops deploy research --lock a.lock --canary 1",
        "ops deploy research --lock b.lock --json",
        "ops rollback research --to alpha@1.0",
        "ops status research --verify",
        "ops run --env research -- python -c 'import alpha'",
        "ops drift",
        "fleet",
    ]:
        code, _, err = run(line)
        assert (code, "error" in err) == (0, False), (line, err)
    rows = json.loads(run("fleet --json")[1])
    assert [(r["package"], r["version"], r["generation"]) for r in rows] == [("alpha", "1.0", 1), ("common", "1.0", 1)]


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("lock nobody", 3, "no release of nobody"),
        ("lock alpha beta@1.0", 5, "hint: veda lock alpha beta@0.9"),
        ("lock alpha --set 'A B=1'", 2, "cannot set 'A B'"),
        ("lock alpha --set A", 2, "NAME=VALUE"),
        ("lock alpha -P nobody", 2, "the lock has nothing called nobody"),
        ("lock alpha --check -o none.lock", 1, ""),
        ("env create research", 2, "give REFs, --lock or --template"),
        ("env create research --lock none.lock", 2, "none.lock cannot be read"),
        ("env create 'a b' alpha", 2, "not a package name"),
        ("env create research --template alpha", 2, "is no template"),
        ("env load nothing", 3, "hint: veda env create nothing"),
        ("env rollback nothing", 3, "there is no environment"),
        ("env remove nothing", 2, "--yes"),
        ("env load research --activation csh://", 2, "csh"),
        ("ops deploy research --lock none.lock", 2, "none.lock"),
        ("ops rollback nothing", 1, "there is no environment"),
        ("ops hosts --hosts nobody", 3, "nobody"),
        ("ops ping --deploy ansible:none.ini", 3, "no inventory"),
        ("ops ping --deploy ansible:?forks=many", 2, "numbers"),
        ("ops run -- false", 1, "exit code 1"),
    ],
)
def test_an_error_is_one_line_with_the_right_code(run, family, home, line, code, said):
    if "ansible" in line:
        pytest.importorskip("ansible_runner", reason="pip install 'jiyuan-veda[ansible]'")
    found, out, err = run(line)

    assert found == code, err
    assert said in err + out
    assert "Traceback" not in err
    assert not (home / "envs").exists() or not [p for p in (home / "envs").iterdir() if p.name[0] != "."]


@pytest.mark.ansible
def test_a_host_that_does_not_answer_is_named_with_exit_code_6(run, tmp_path):
    pytest.importorskip("ansible_runner", reason="pip install 'jiyuan-veda[ansible]'")
    (tmp_path / "hosts.ini").write_text("gone ansible_host=127.0.0.1 ansible_port=1\n")

    code, out, err = run("ops ping --deploy ansible:hosts.ini")

    assert code == 6
    assert "gone" in out
    assert "unreachable" in out
    assert "Connection refused" in out
    assert "Traceback" not in err


def test_a_lock_file_keeps_its_versions_until_somebody_asks_for_newer_ones(run, publish, tmp_path):
    publish("alpha", "1.0")
    run("lock alpha -o a.lock")
    publish("alpha", "2.0")

    assert run("lock alpha -o a.lock --check")[0] == 0
    assert json.loads(run("lock alpha -o a.lock --json")[1])["packages"] == ["alpha@1.0"]
    assert run("lock alpha -o a.lock -P alpha")[2].startswith("package alpha: 1.0")
    publish("alpha", "3.0")
    assert run("lock alpha -o a.lock --upgrade")[0] == 0
    assert "alpha@3.0" in (tmp_path / "a.lock").read_text() or '"3.0"' in (tmp_path / "a.lock").read_text()
    run("yank alpha@3.0 --reason 'wrong sign'")
    assert "alpha@3.0 is yanked: wrong sign; -P alpha takes another" in run("lock alpha -o a.lock")[2]


def test_a_damaged_lock_file_is_written_anew_by_an_upgrade_alone(run, publish, tmp_path):
    publish("alpha", "1.0")
    (tmp_path / "a.lock").write_text("{}")

    code, _, err = run("lock alpha -o a.lock")
    assert (code, "--upgrade" in err) == (2, True)
    assert run("lock alpha -o a.lock --upgrade")[0] == 0


def test_a_difference_is_a_finding(run, family):
    veda.create_environment("research", ["alpha"])
    veda.create_environment("research", ["beta"])

    code, out, _ = run("env diff research@1 research@2 --json")

    assert code == 1
    assert {row["name"] for row in json.loads(out)} == {"alpha", "beta", "common"}
    assert run("env diff research research@2")[0] == 0


def test_help_imports_no_driver():
    code = (
        "import sys; sys.argv = ['veda', 'ops', '--help']\n"
        "import contextlib\nfrom veda.cli import main\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "heavy = {'ansible', 'ansible_runner', 'resolvelib', 'packaging', 'sqlite3'}\n"
        "print(heavy & {m.partition('.')[0] for m in sys.modules}, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stderr == "set()\n"
