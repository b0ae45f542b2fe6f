"""Pack, open, verify, unpack; the identity depends on the files alone."""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest

import veda
from veda import BadInput, Conflict, NotFound


def test_a_package_says_what_it_holds(workspace):
    package = veda.pack(workspace())

    facts = veda.inspect(package.path, files=True)

    assert (facts["name"], facts["version"], facts["license"]) == ("small", "1.0", "Apache-2.0")
    assert [f["path"] for f in facts["files"]] == [
        "README.md",
        "src/small/__init__.py",
        "src/small/parts.py",
        "veda.toml",
    ]
    (point,) = facts["entry_points"]
    assert point["target"] == "small:Small"
    assert point["summary"] == "Add a number to what comes in."
    assert point["methods"]["signal"] == {
        "signature": "(value: float) -> float",
        "summary": "Return `value` plus the step.",
    }
    assert point["parameters"]["properties"] == {"step": {"annotation": "int", "type": "integer", "default": 1}}


def test_a_package_that_was_just_packed_is_the_one_that_its_file_holds(workspace):
    package = veda.pack(workspace())

    opened = veda.open_package(package.path)

    assert opened.members == package.members
    assert opened.manifest.to_bytes() == package.manifest.to_bytes()


def test_packing_runs_no_code_of_the_package(workspace, tmp_path):
    source = f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Small:\n    pass\n"

    veda.pack(workspace(**{"src/small/__init__.py": source}))

    assert not (tmp_path / "ran").exists()


def test_a_class_that_a_module_of_the_package_defines_is_found(workspace):
    files = {
        "src/small/__init__.py": "from .deep import Small\n",
        "src/small/deep.py": "class Small:\n    def go(self): ...\n",
    }

    (point,) = veda.inspect(veda.pack(workspace(**files)).path)["entry_points"]

    assert list(point["methods"]) == ["go"]


def test_any_zip_reader_can_list_a_package_and_the_manifest_is_first(workspace):
    package = veda.pack(workspace())

    with zipfile.ZipFile(package.path) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
    assert names[0] == "small-1.0.dist-info/MANIFEST.json"
    assert {Path(n).name for n in names[1:4]} == {"METADATA", "VEDA", "RECORD"}


def test_the_same_tree_gives_the_same_bytes_whatever_the_machine(workspace, tmp_path):
    first = veda.pack(workspace(**{"data/中文.txt": "价格", "run.sh": "#!/bin/sh\n"}))
    copy = tmp_path / "elsewhere" / "deeper"
    files = sorted(p for p in (tmp_path / "small").rglob("*") if p.is_file() and "dist" not in p.parts)
    for path in reversed(files):  # made in another order
        target = copy / path.relative_to(tmp_path / "small")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o660)
        os.utime(target, (1e9, 1e9))
    script = "import os, sys, veda; os.umask(0o077); print(veda.pack(sys.argv[1], sys.argv[2]).digest)"
    somebody = {"HOME": str(tmp_path / "nobody"), "USER": "nobody", "VEDA_HOME": str(tmp_path / "nobody" / "veda")}
    environment = {**os.environ, "TZ": "Asia/Shanghai", "LC_ALL": "C", "PYTHONHASHSEED": "7", **somebody}

    answer = subprocess.run(
        [sys.executable, "-c", script, copy, tmp_path / "second.vedapkg"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert answer.stdout.strip() == first.digest
    assert (tmp_path / "second.vedapkg").read_bytes() == first.path.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "src/small/parts.py").write_text("WORD = 'two'\n"),
        lambda root: (root / "src/small/parts.py").chmod(0o755),
        lambda root: (root / "src/small/parts.py").rename(root / "src/small/part.py"),
        lambda root: (root / "empty").touch(),
    ],
    ids=["content", "mode", "name", "one file more"],
)
def test_every_change_of_the_tree_changes_the_digest(workspace, change):
    root = workspace()
    before = veda.pack(root).digest

    change(root)

    assert veda.pack(root).digest != before


def test_provenance_is_no_part_of_the_identity(workspace):
    root = workspace()
    before = veda.pack(root)
    git = ["git", "-C", root, "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "init", "-q", root], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "begin"], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()

    after = veda.pack(root, root.parent)

    assert after.manifest.facts["provenance"]["git_commit"] == commit
    assert before.manifest.facts["provenance"]["git_commit"] is None
    assert after.digest == before.digest


def test_what_tools_leave_behind_and_what_is_excluded_is_not_packed(workspace):
    extra = {
        "src/small/__pycache__/x.pyc": "",
        ".pytest_cache/x": "",
        "dist/old.vedapkg": "",
        "notes.txt": "",
        ".git/x": "",
    }
    root = workspace(**extra)
    toml = (root / "veda.toml").read_text().replace("requires = []", 'requires = []\nexclude = ["notes.txt"]')
    (root / "veda.toml").write_text(toml)

    paths = [f.path for f in veda.pack(root).manifest.files]

    assert paths == ["README.md", "src/small/__init__.py", "src/small/parts.py", "veda.toml"]


def test_one_edited_file_among_many_changes_few_chunks(workspace):
    noise = random.Random(1)
    root = workspace(**{f"data/{n:03}.bin": noise.randbytes(200_000) for n in range(150)})
    before = {c.sha256 for c in veda.pack(root).manifest.chunks}
    (root / "data/070.bin").write_bytes(noise.randbytes(200_000))
    (root / "data/070b.bin").write_bytes(noise.randbytes(100))

    after = {c.sha256 for c in veda.pack(root).manifest.chunks}

    assert len(before) >= 5
    assert len(after - before) <= 2


def test_unpack_gives_back_every_byte_and_mode(workspace, tmp_path):
    root = workspace(**{"run.sh": "#!/bin/sh\n", "data/zero": "", "data/big": os.urandom(3_000_000) * 2})
    (root / "run.sh").chmod(0o755)
    package = veda.pack(root, tmp_path)

    target = veda.unpack(package.path, tmp_path / "out" / "here")

    assert {f.path: (target / f.path).read_bytes() for f in package.manifest.files} == {
        f.path: (root / f.path).read_bytes() for f in package.manifest.files
    }
    assert (target / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (target / "data/zero").stat().st_mode & 0o777 == 0o644
    assert veda.pack(target, tmp_path / "again.vedapkg").digest == package.digest


def test_unpack_touches_nothing_that_exists(workspace, tmp_path):
    package = veda.pack(workspace())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")

    with pytest.raises(Conflict, match="out exists already"):
        veda.unpack(package.path, tmp_path / "out")

    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_tree_of_zeros_is_packed_and_read_again(workspace):
    package = veda.pack(workspace(**{"data/zeros.bin": bytes(5 << 20)}))

    assert veda.verify(package.path).digest == package.digest
    assert package.read("data/zeros.bin") == bytes(5 << 20)


def test_progress_is_counted_to_the_end(workspace):
    seen = []

    package = veda.pack(workspace(), progress=lambda done, total: seen.append((done, total)))

    assert seen[-1] == (package.manifest.size, package.manifest.size)


def _toml(root, old, new):
    (root / "veda.toml").write_text((root / "veda.toml").read_text().replace(old, new))


BAD_WORKSPACES = {
    "no veda.toml": (lambda r: (r / "veda.toml").unlink(), "no veda.toml"),
    "not TOML": (lambda r: (r / "veda.toml").write_text("name ="), "cannot be read"),
    "bad name": (lambda r: _toml(r, '"small"', '"sm all!"'), "not a package name"),
    "bad version": (lambda r: _toml(r, '"1.0"', '"one"'), "not a version"),
    "no licence": (lambda r: _toml(r, 'license = "Apache-2.0"', ""), "needs license"),
    "bad requirement": (lambda r: _toml(r, "[]", '["numpy >> 1"]'), "not a requirement"),
    "unknown key": (lambda r: _toml(r, "requires", "require"), "unknown key .*'require'"),
    "no entry point": (lambda r: _toml(r, 'default = "small:Small"', ""), "no entry point"),
    "entry point without a module": (lambda r: _toml(r, "small:Small", "tiny:Small"), "defines no class"),
    "entry point without a class": (lambda r: _toml(r, "small:Small", "small:Large"), "defines no class"),
    "bad entry point": (lambda r: _toml(r, "small:Small", "small"), "entry point default"),
    "source is not Python": (lambda r: (r / "src/small/__init__.py").write_text("class :"), "not Python"),
    "link out": (lambda r: (r / "out").symlink_to("/etc/passwd"), "symbolic link"),
    "link to a folder": (lambda r: (r / "loop").symlink_to("."), "symbolic link"),
    "pipe": (lambda r: os.mkfifo(r / "pipe"), "neither a file nor a folder"),
    "names that clash": (lambda r: (r / "readme.MD").touch(), "one file where case"),
    "name with a line break": (lambda r: (r / "a\nb").touch(), "control character"),
    "name in another normal form": (lambda r: (r / "cafe\u0301").touch(), "normal form"),
    "name that Windows lacks": (lambda r: (r / "aux.txt").touch(), "every system"),
    "member called package": (
        lambda r: (r / "src/small/__init__.py").write_text("class Small:\n    package = 1\n"),
        "named 'package'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "message"), BAD_WORKSPACES.values(), ids=BAD_WORKSPACES)
def test_a_workspace_that_cannot_be_packed_is_refused_and_nothing_is_written(workspace, spoil, message):
    root = workspace()
    spoil(root)

    with pytest.raises(BadInput, match=message):
        veda.pack(root)

    assert not (root / "dist").exists()


def test_an_unreadable_file_is_named(workspace, tmp_path):
    root = workspace()
    (root / "README.md").chmod(0)
    script = (
        "import os, sys, veda.package\n"
        "if os.geteuid() == 0: os.setegid(65534), os.seteuid(65534)  # root would read every file\n"
        "try: veda.pack(sys.argv[1])\n"
        "except veda.BadInput as exc: print(exc)\n"
    )
    for folder in (tmp_path, *tmp_path.parents):  # pytest's own, which nobody else may enter
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)

    done = subprocess.run([sys.executable, "-c", script, root], capture_output=True, text=True, check=True)

    assert "README.md cannot be read" in done.stdout
    assert not (root / "dist").exists()


def test_a_package_that_does_not_exist_is_not_found(tmp_path):
    with pytest.raises(NotFound, match="no file"):
        veda.open_package(tmp_path / "none.vedapkg")


def test_an_older_package_is_replaced_only_by_a_whole_one(workspace, tmp_path, monkeypatch):
    root = workspace()
    before = veda.pack(root).path.read_bytes()
    (root / "README.md").write_text("longer than before")
    monkeypatch.setattr(os, "fsync", _fail)

    with pytest.raises(BadInput, match="No space"):
        veda.pack(root)

    assert [p.read_bytes() for p in (root / "dist").iterdir()] == [before]


def _fail(descriptor):
    raise OSError(28, "No space left on device")


def test_the_time_of_day_is_nowhere_in_a_package(workspace, monkeypatch):
    root = workspace()
    before = veda.pack(root).path.read_bytes()
    monkeypatch.setattr(time, "time", lambda: 4e9)

    assert veda.pack(root).path.read_bytes() == before


def test_a_workspace_that_has_not_changed_is_not_packed_again(workspace, monkeypatch):
    import os
    import time

    folder = workspace()
    past = time.time() - 60
    with monkeypatch.context() as patch:  # time stamps that are old enough to be believed
        later = time.time_ns() + 10**9
        patch.setattr(time, "time_ns", lambda: later)
        first = veda.pack(folder)
    written = first.path.stat().st_mtime_ns

    assert veda.pack(folder).path.stat().st_mtime_ns == written

    part = folder / "src" / "small" / "parts.py"
    part.write_text(part.read_text().replace("one", "two"))
    os.utime(part, (past, past))  # not even an old time stamp hides a change
    changed = veda.pack(folder)
    assert changed.digest != first.digest

    changed.path.write_bytes(b"x" * changed.path.stat().st_size)
    assert veda.pack(folder).digest == changed.digest


def test_a_workspace_that_changed_just_now_is_read_again(workspace):
    folder = workspace()
    first = veda.pack(folder)
    part = folder / "src" / "small" / "parts.py"

    part.write_text(part.read_text().replace("one", "two"))

    assert veda.pack(folder).digest != first.digest
