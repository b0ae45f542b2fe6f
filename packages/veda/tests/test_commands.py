"""The commands: results on stdout, the rest on stderr, one line and the right exit code for each error."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import veda
from veda.cli import main as entry
from veda.cli import root

HEAVY = {"minio", "numpy", "packaging", "rich", "sqlite3", "urllib3", "zstandard"}


@pytest.fixture
def run(capsys, monkeypatch):
    """Give a function that runs one command line and returns its exit code, stdout and stderr."""

    def run(line: str):
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        with pytest.raises(SystemExit) as left:
            entry()
        out, err = capsys.readouterr()
        return left.value.code, out, err

    return run


def test_the_whole_way_from_a_new_workspace_to_another_machine(run, tmp_path, monkeypatch):
    store = f"file:{tmp_path}/shared"
    for line in [
        "veda init",
        "veda new mean-reversion",
        "veda check mean-reversion",
        "veda pack mean-reversion -o p.vedapkg",
        "veda inspect p.vedapkg --files",
        "veda verify p.vedapkg",
        "veda register ./p.vedapkg",
        f"veda push mean-reversion --to {store}",
        "veda tag mean-reversion champion",
    ]:
        code, _, err = run(line)
        assert (code, "error" in err) == (0, False), (line, err)
    monkeypatch.setenv("VEDA_HOME", str(tmp_path / "other"))

    code, out, _ = run(f"veda pull mean-reversion@0.1.0 --from {store} --json")

    assert code == 0
    assert Path(json.loads(out)["path"], "veda.toml").is_file()
    assert run("veda verify mean-reversion")[0] == 0
    assert run("veda unpack p.vedapkg out")[0] == 0
    assert run("veda doctor")[0] == 0
    listed = json.loads(run("veda list --json")[1])
    assert [(r["name"], r["version"]) for r in listed] == [("mean-reversion", "0.1.0")]


def test_the_test_of_a_new_workspace_passes(run, tmp_path):
    run("veda new mean-reversion")

    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "mean-reversion"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip

    assert answer.returncode == 0, answer.stdout


@pytest.fixture
def registered(workspace):
    package = veda.pack(workspace(), "small.vedapkg")
    veda.register(package)
    veda.push("small")
    veda.tag("small", "champion")
    return package


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ("veda inspect small.vedapkg", {"name", "version", "digest", "entry_points", "requires", "provenance", "tags"}),
        ("veda inspect small@champion --files", {"files", "size", "packed_size", "file_count"}),
        ("veda verify small.vedapkg", {"name", "version", "digest", "files", "state"}),
        ("veda show small", {"name", "version", "digest", "tags", "methods", "installed"}),
        ("veda pack small", {"file", "name", "version", "digest", "files", "size", "packed_size"}),
        ("veda push small", {"chunks", "chunks_sent", "bytes", "bytes_sent"}),
        ("veda pull small", {"path", "chunks_fetched", "bytes_fetched"}),
        ("veda register small.vedapkg", {"name", "version", "digest"}),
        ("veda tag small stable", {"name", "tag", "version"}),
        ("veda unpack small.vedapkg out", {"folder"}),
        ("veda new other", {"workspace"}),
        ("veda init", {"home", "registry", "store"}),
    ],
)
def test_json_goes_to_stdout_with_stable_keys(registered, run, line, keys):
    code, out, _ = run(f"{line} --json")

    assert code == 0
    assert keys <= json.loads(out).keys()


def test_people_read_the_same_in_columns(registered, run):
    assert run("veda list")[1].splitlines()[1].split() == ["small", "1.0", "champion", "-"]
    assert re.search(r"^tags +champion$", run("veda show small")[1], re.MULTILINE)
    assert "signal(value: float) -> float" in run("veda inspect small")[1]


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("veda pack nowhere", 2, "nowhere is not a folder"),
        ("veda pack small -o small.zip", 2, "does not end in .vedapkg"),
        ("veda verify none.vedapkg", 3, "there is no file none.vedapkg"),
        ("veda verify bad.vedapkg", 1, "refused (not-an-archive)"),
        ("veda register bad.vedapkg", 1, "refused (not-an-archive)"),
        ("veda verify small", 3, "is not installed here"),
        ("veda unpack small.vedapkg small", 5, "small exists already"),
        ("veda new small", 5, "small exists already"),
        ("veda new 'two words'", 2, "not a package name"),
        ("veda new 7up", 2, "begins with a digit"),
        ("veda show other", 3, "no release of other is registered"),
        ("veda show small@9", 3, "no release fits small@9; versions of small: 1.0"),
        ("veda show small@", 2, "not a tag"),
        ("veda tag small 1.0", 2, "not a tag"),
        ("veda pull other", 3, "the store has no other"),
        ("veda push small --to gopher://host", 2, "known: file, minio"),
        ("veda push small --to file:small.vedapkg/store", 6, "file store"),
        ("veda list --registry sqlite:bad.vedapkg", 6, "not a database"),
        ("veda packs", 2, "no command 'packs'"),
        ("veda query --since banana", 2, "since 'banana' is no date"),
        ("veda search small --until 2026-02-30", 2, "until '2026-02-30' is no date"),
        ("veda query --since 2026", 2, "since '2026' is no date"),
        ("veda pack --colour", 2, "--colour"),
    ],
)  # fmt: skip
def test_bad_input_gives_one_line_a_hint_and_its_exit_code(registered, run, tmp_path, line, code, message):
    Path("bad.vedapkg").write_bytes(b"GIF89a" * 999)
    before = sorted(p for p in tmp_path.rglob("*") if p.is_file() and p.suffix not in (".db-wal", ".db-shm"))

    left, out, err = run(line)

    errors = err.splitlines()
    assert (left, out) == (code, "")
    assert errors[0].startswith("error: ")
    assert message in errors[0]
    assert errors[1].startswith("hint: ")
    assert len(errors) == 2
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file() and p.suffix not in (".db-wal", ".db-shm")) == before


def test_other_content_of_a_version_is_a_conflict(registered, run, workspace):
    workspace(word="other")

    assert run("veda pack small -o other.vedapkg")[0] == 0
    code, _, err = run("veda push other.vedapkg")

    assert code == 5
    assert "hint: raise the version in veda.toml" in err


def test_findings_of_check_are_listed_and_exit_1(run, workspace):
    source = 'import numpy, small.parts\nclass Small:\n    def go(self): ...\nKEY = "AKIAABCDEFGHIJKLMNOP"\n'
    workspace(
        **{"src/small/__init__.py": source, "src/small/broken.py": "class :", "id": "-----BEGIN PRIVATE KEY-----"}
    )

    code, out, _ = run("veda check small --json")

    found = {(f["rule"], f["where"]) for f in json.loads(out)}
    assert code == 1
    assert found == {
        ("import", "src/small/__init__.py:1"),
        ("docstring", "src/small/__init__.py"),
        ("secret", "src/small/__init__.py:4"),
        ("secret", "id:1"),
        ("syntax", "src/small/broken.py"),
    }


def test_a_sound_workspace_has_no_findings(run):
    momentum = Path(__file__).parents[3] / "examples" / "momentum"

    code, out, _ = run(f"veda check {momentum} --json")

    assert (code, out) == (0, "[]\n")


def test_doctor_names_what_does_not_answer(run, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VEDA_STORE", f"file:{tmp_path}/file/store")

    code, out, err = run("veda doctor --json")

    assert code == 6
    answers = {f["name"]: f["ok"] for f in json.loads(out)}
    assert answers == {"registry": True, "store": False, "activation": True, "deploy": True}
    assert "hint: store: " in err


def test_settings_come_from_the_project_file_and_a_password_never_shows(run, tmp_path):
    (tmp_path / "jiyuan.toml").write_text(
        '[veda]\nstore = "minio://key:hush@127.0.0.1:1/b"\nregistry = "sqlite:here.db"\n'
    )

    _, out, err = run("veda config show --origin")

    assert "minio://key:***@127.0.0.1:1/b" in out
    assert "hush" not in out + err
    assert run("veda list")[0] == 0
    assert (tmp_path / "here.db").is_file()


def leaves(group=root, path=()):
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "list_commands"):
            yield from leaves(command, (*path, name))
        elif path[:1] not in (("config",),) and name not in ("doctor", "completion"):
            yield " ".join((*path, name)), command


@pytest.mark.parametrize(("path", "command"), list(leaves()))
def test_every_command_explains_itself_with_an_example(path, command):
    assert command.help
    assert command.epilog.startswith(f"Example: veda {path}")
    assert any("--json" in option.opts for option in command.params)


#: The commands in an order in which the example of each has what it needs.
ORDER = (
    "init", "new", "add", "check", "pack", "inspect", "verify", "register", "push", "pull", "list", "show", "tag",
    "browse", "unpack", "diff", "key new", "key list", "key export", "key trust", "search", "query", "update",
    "history", "remote check", "channel promote", "channel list", "channel show", "channel renew",
    "channel withdraw", "sync", "registry reindex",
    "remote outbox", "remote deliver", "store verify", "store stats", "gc", "yank", "key revoke",
)  # fmt: skip


def test_the_examples_of_the_commands_work(run, tmp_path, monkeypatch):
    monkeypatch.setenv("VEDA_INDEX", f"sqlite:{tmp_path}/index.db")
    run("veda new momentum")
    toml = Path("momentum/veda.toml")
    toml.write_text(toml.read_text().replace("0.1.0", "1.2.0"))
    commands = dict(leaves())

    for path in ORDER:
        if path == "diff":
            toml.write_text(toml.read_text().replace("1.2.0", "1.3.0"))
            run("veda pack momentum -o momentum-1.3.0-any.vedapkg")
        if path == "key trust":
            Path("alice.pub").write_text(veda.new_key("alice", home=tmp_path / "alice").public.__str__())
        if path == "channel promote":
            run("veda push momentum@1.2.0")
            run(f"veda channel promote momentum@1.2.0 --to stable --store file:{tmp_path}/srv")
        line = (
            commands[path]
            .epilog.removeprefix("Example: ")
            .partition(" > ")[0]
            .replace("file:/srv/store", f"file:{tmp_path}/srv")
        )

        code, _, err = run(line)

        assert code == (1 if path == "diff" else 0), (line, err)
    ours = {name for name, command in commands.items() if command.callback.__module__.startswith("veda.cli.")}
    # tests/environments runs the commands of environments and hosts, on packages that need one another.
    elsewhere = {name for name in ours if name.partition(" ")[0] in ("env", "fleet", "lock", "ops")}
    assert sorted(ours - elsewhere - {*ORDER}) == []


def test_help_imports_nothing_heavy():
    script = "import sys, veda.cli\ntry: veda.cli.main()\nexcept SystemExit: print('\\n', *sys.modules)"

    answer = subprocess.run([sys.executable, "-c", script, "--help"], capture_output=True, text=True, env=os.environ)

    loaded = {m.partition(".")[0] for m in answer.stdout.splitlines()[-1].split()}
    assert "click" in loaded
    assert not loaded & HEAVY


def test_every_promised_name_is_there_and_they_are_sorted():
    assert sorted(veda.__all__) == veda.__all__
    assert all(getattr(veda, name) is not None for name in veda.__all__)
