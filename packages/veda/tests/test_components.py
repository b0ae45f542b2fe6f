"""Components: a file's kind stands in veda.toml, a big one is kept once by its digest and travels once."""

import hashlib
import json
import os
import random
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

import veda
from veda.components import LARGE

NOISE = random.Random(7).randbytes(LARGE + 5)
DIGEST = hashlib.sha256(NOISE).hexdigest()
READER = '''\
from pathlib import Path


class Small:
    """Read its model."""

    def signal(self) -> int:
        """Return the number of bytes of the model."""
        return len(self.package.file("models/net.onnx").read_bytes())


class Other:
    def go(self): ...


class _Hidden:
    def go(self): ...


class SmallError(ValueError):
    def go(self): ...
'''


def said(root):
    return tomllib.loads((root / "veda.toml").read_text())


def blobs(store):
    return sorted(p.name for p in Path(store).rglob("*") if p.parent.parent.name == "sha256")


def test_code_is_added_with_the_classes_that_it_offers(workspace):
    root = workspace(**{"src/small/more.py": READER})

    added = veda.add(root / "src" / "small")

    assert said(root)["components"] == {"src/small": "code"}
    assert (added.kind, added.files, added.references) == ("code", 3, ())
    assert [(p["name"], p["target"], list(p["methods"])) for p in added.entry_points] == [
        ("default", "small:Small", ["signal", "word"]),
        (None, "small.more:Small", ["signal"]),
        (None, "small.more:Other", ["go"]),
    ]


def test_a_class_is_declared_as_an_entry_point_and_loads_by_its_name(workspace):
    root = workspace(**{"src/small/more.py": READER})

    added = veda.add(root / "src/small/more.py", entry_points=["other=small.more:Other"])

    assert [p["name"] for p in added.entry_points] == [None, "other"]
    veda.register(veda.pack(root))
    assert veda.load("small", "other").__name__ == "Other"
    with pytest.raises(veda.Conflict, match="entry point default is small:Small already"):
        veda.add(root / "src/small/more.py", entry_points=["default=small.more:Other"])


@pytest.fixture(params=["file", pytest.param("minio", marks=pytest.mark.minio)])
def store(request, tmp_path):
    return f"file:{tmp_path}/srv" if request.param == "file" else request.getfixturevalue("minio_url")


def test_a_big_model_goes_the_whole_way_from_add_to_load_and_is_in_no_package_file(workspace, store, tmp_path):
    root = workspace(**{"src/small/__init__.py": READER, "models/net.onnx": NOISE, "data/few.csv": "1,2\n"})
    for path in ("models/net.onnx", "data"):
        veda.add(root / path)
    assert said(root)["components"] == {
        "models/net.onnx": {"kind": "model", "size": len(NOISE), "sha256": DIGEST},
        "data": "data",
    }
    assert [f for f in veda.check(root) if f.rule == "component"] == []

    package = veda.pack(root)
    assert package.path.stat().st_size < 10_000
    assert veda.verify(package.path).manifest.size > LARGE
    veda.register(package)
    pushed = veda.push("small", store)
    assert pushed.bytes_sent > LARGE
    with veda.open_store(store) as opened:
        assert opened.has_blob(DIGEST)

    other = tmp_path / "other"
    pulled = veda.pull("small", store, home=other)
    small = veda.load("small", home=other)
    assert small().signal() == len(NOISE)
    assert small.package.file("data/few.csv").read_text() == "1,2\n"
    assert (pulled.path / "models" / "net.onnx").read_bytes() == NOISE
    assert {c["path"]: c["kind"] for c in veda.inspect("small")["components"]} == {
        "data": "data",
        "models/net.onnx": "model",
    }
    with pytest.raises(veda.NotFound, match="has no file"):
        small.package.file("../veda.toml")


def test_a_new_version_sends_what_it_refers_to_no_second_time(workspace, tmp_path):
    root = workspace(**{"models/net.onnx": NOISE})
    veda.add(root / "models/net.onnx")
    veda.push(veda.pack(root), f"file:{tmp_path}/srv")
    toml = root / "veda.toml"
    toml.write_text(toml.read_text().replace('"1.0"', '"1.1"'))

    assert veda.push(veda.pack(root), f"file:{tmp_path}/srv").bytes_sent < 1000
    assert blobs(tmp_path / "srv").count(DIGEST) == 1
    assert veda.verify_store(f"file:{tmp_path}/srv") == []


def test_a_clone_without_the_big_file_packs_to_the_same_digest(workspace, tmp_path, monkeypatch):
    root = workspace(**{"models/net.onnx": NOISE})
    veda.add(root / "models/net.onnx")
    first = veda.pack(root)
    veda.push(first, f"file:{tmp_path}/srv")
    (root / "models/net.onnx").unlink()
    monkeypatch.setenv("VEDA_HOME", str(tmp_path / "clone"))

    second = veda.pack(root, tmp_path / "second.vedapkg")

    assert second.digest == first.digest
    (finding,) = veda.check(root)
    assert (finding.rule, finding.where) == ("component", "models/net.onnx")
    assert veda.push(second, f"file:{tmp_path}/srv").bytes_sent == 0
    with pytest.raises(veda.NotFound, match=r"models/net\.onnx of small@1\.0 is kept by reference"):
        veda.unpack(second.path, "out")
    with pytest.raises(veda.NotFound, match="its bytes are not on this machine"):
        veda.push(second, f"file:{tmp_path}/elsewhere")
    assert not Path("out").exists()
    assert list(Path("elsewhere/versions").rglob("*")) == []


def test_a_release_whose_package_refers_to_bytes_elsewhere_is_pulled_when_it_is_loaded(
    workspace, tmp_path, monkeypatch
):
    root = workspace(**{"src/small/__init__.py": READER, "models/net.onnx": NOISE})
    veda.add(root / "models/net.onnx")
    package = veda.pack(root)
    veda.push(package, f"file:{tmp_path}/srv")
    monkeypatch.setenv("VEDA_HOME", str(tmp_path / "clone"))
    monkeypatch.setenv("VEDA_STORE", f"file:{tmp_path}/srv")

    veda.register(package)

    assert veda.load("small")().signal() == len(NOISE)


def test_a_referenced_file_that_changed_is_named_and_adding_it_again_mends_it(workspace):
    root = workspace(**{"models/net.onnx": NOISE})
    veda.add(root / "models/net.onnx")
    before = veda.pack(root).digest
    (root / "models/net.onnx").write_bytes(NOISE[::-1])

    with pytest.raises(veda.BadInput, match=r"net\.onnx is not what veda\.toml refers to"):
        veda.pack(root)
    assert [f.rule for f in veda.check(root)] == ["component"]
    veda.add(root / "models/net.onnx")

    assert veda.pack(root).digest != before
    assert len(said(root)["components"]) == 1


def test_a_difference_between_components_is_seen(workspace, tmp_path):
    root = workspace(**{"models/net.onnx": "one", "data.csv": "1"})
    veda.add(root / "models/net.onnx", reference=True)
    before = veda.pack(root, tmp_path / "a.vedapkg")
    (root / "models/net.onnx").write_text("two")
    veda.add(root / "models/net.onnx", reference=True)
    veda.add(root / "data.csv")

    found = veda.diff(str(before.path), str(veda.pack(root, tmp_path / "b.vedapkg").path))

    assert [(d.what, d.before, d.after) for d in found if d.kind == "component"] == [
        ("data.csv", None, "data"),
        ("models/net.onnx", "model 7692c3ad3540", "model 3fc4ccfe7458"),
    ]


def test_whether_files_are_kept_by_reference_can_be_said(workspace):
    root = workspace(**{"models/net.onnx": NOISE, "data/a.csv": "1", "data/b.csv": "2"})

    inside = veda.add(root / "models/net.onnx", reference=False)
    outside = veda.add(root / "data", reference=True)

    assert inside.references == ()
    assert outside.references == ("data/a.csv", "data/b.csv")
    assert {f.path for f in veda.pack(root).manifest.files} >= {"data/a.csv", "data/b.csv", "models/net.onnx"}


def test_two_references_to_the_same_bytes_are_one_blob(workspace, tmp_path):
    root = workspace(**{"data/a.csv": "same", "data/b.csv": "same"})
    veda.add(root / "data", reference=True)

    package = veda.pack(root)

    assert len([c for c in package.manifest.chunks if c.external]) == 1
    veda.unpack(package.path, tmp_path / "out")
    assert (tmp_path / "out/data/b.csv").read_text() == "same"


def test_a_lock_becomes_the_environment_of_the_package(workspace):
    root = workspace()
    veda.register(veda.pack(root))
    veda.lock(["small"]).write(root / "veda.lock")

    assert veda.add(root / "veda.lock").kind == "env"

    assert said(root)["environment"] == {"lock": "veda.lock"}
    assert veda.pack(root).manifest.facts["environment"] == "veda.lock"


def test_comments_and_layout_of_veda_toml_stay_and_adding_twice_changes_nothing(workspace):
    root = workspace(**{"data/x.csv": "1"})
    toml = root / "veda.toml"
    head = "# ours\n" + toml.read_text() + "\n[components]   # what it is made of\n# none yet\n"
    toml.write_text(head + "\n# the end\n")

    veda.add(root / "data/x.csv")
    once = toml.read_text()
    veda.add(root / "data/x.csv")

    assert once == head + '\n# the end\n"data/x.csv" = "data"\n'
    assert toml.read_text() == once
    veda.add(root / "data/x.csv", "model")
    assert toml.read_text() == once.replace('= "data"', '= "model"')


def test_a_section_before_others_gets_its_line_at_its_end(workspace):
    root = workspace(**{"data/x.csv": "1"})
    toml = root / "veda.toml"
    toml.write_text('[components]\n"README.md" = "doc"\n\n' + toml.read_text())

    veda.add(root / "data/x.csv")

    assert toml.read_text().startswith('[components]\n"README.md" = "doc"\n"data/x.csv" = "data"\n\n[package]')


def link_out(root):
    (root / "out.csv").symlink_to("/etc/hostname")


def folder_link(root):
    (root / "far").symlink_to(root.parent)


def broken(root):
    (root / "src/small/broken.py").write_text("class :")


def excluded(root):
    (root / "veda.toml").write_text(
        (root / "veda.toml").read_text().replace("[package]", '[package]\nexclude = ["*.csv"]')
    )
    (root / "x.csv").write_text("1")


def inline(root):
    (root / "veda.toml").write_text('components = { "README.md" = "doc" }\n' + (root / "veda.toml").read_text())
    (root / "x.csv").write_text("1")


def sparse(root):
    with (root / "x.csv").open("wb") as file:
        file.truncate((1 << 30) + 1)


BAD = {
    "outside": (None, "small-else/x.csv", {"workspace": "small"}, "lies outside the workspace"),
    "in no workspace": (None, "x.csv", {}, "lies in no workspace"),
    "the workspace": (None, "small", {"workspace": "small"}, "is the workspace itself"),
    "above": (None, "small/../x.csv", {"workspace": "small"}, "lies outside the workspace"),
    "symlink out": (link_out, "small/out.csv", {}, "is a symbolic link to /etc/hostname"),
    "through a symlink": (folder_link, "small/far/x.csv", {}, "far is a symbolic link to"),
    "veda.toml": (None, "small/veda.toml", {}, "is always in it"),
    "no kind": (lambda r: (r / "x.bin").write_text("1"), "small/x.bin", {}, "cannot be told from its name"),
    "unknown kind": (None, "small/README.md", {"kind": "poem"}, "'poem' is no kind"),
    "excluded": (excluded, "small/x.csv", {}, "nothing of .* is packed"),
    "empty folder": (lambda r: (r / "data").mkdir(), "small/data", {}, "nothing of .* is packed"),
    "not Python": (broken, "small/src/small", {}, r"broken\.py is not Python"),
    "no code": (None, "small/README.md", {"kind": "code"}, "is no Python source"),
    "code elsewhere": (lambda r: (r / "tool.py").write_text("x = 1"), "small/tool.py", {}, "lies outside src/"),
    "no lock": (None, "small/README.md", {"kind": "env"}, "is not a lock"),
    "too big": (sparse, "small/x.csv", {}, "a file may have"),
    "another class": (None, "small/src/small", {"entry_points": ["a=b:C"]}, "b:C is not among what was found"),
    "no name": (None, "small/src/small", {"entry_points": ["a b"]}, "is no entry point"),
    "inline table": (inline, "small/x.csv", {}, r"veda\.toml cannot be changed by a line"),
    "odd name": (lambda r: (r / "x?.csv").write_text("1"), "small/x?.csv", {}, "cannot exist on every system"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "path", "options", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_added_is_refused_and_veda_toml_stays(workspace, spoil, path, options, message):
    root = workspace()
    if spoil:
        spoil(root)
    before = (root / "veda.toml").read_bytes()

    with pytest.raises(veda.BadInput, match=message) as refused:
        veda.add(path, **options)

    assert refused.value.hint
    assert (root / "veda.toml").read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file; run the tests as a user")
def test_an_unreadable_file_is_named(workspace):
    root = workspace(**{"data.csv": "1"})
    (root / "data.csv").chmod(0)

    with pytest.raises(veda.BadInput, match=r"data\.csv cannot be read"):
        veda.add(root / "data.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('components = 3', "must be a section"),
        ('[components]\n"../x" = "data"', "leaves the package"),
        ('[components]\n"x" = "poem"', "has no kind"),
        ('[components]\n"x" = { kind = "data", size = 1 }', "is no whole reference"),
        ('[components]\n"x" = { kind = "data", size = -1, sha256 = "' + "0" * 64 + '" }', "is no whole reference"),
        ('[components]\n"x" = "data"', "'x' is not among the files that are packed"),
        ('[components]\n"SRC" = { kind = "data", size = 1, sha256 = "' + "0" * 64 + '" }', "is a file, and"),
    ],
)  # fmt: skip
def test_a_component_that_breaks_a_rule_is_refused_when_packing(workspace, text, message):
    root = workspace()
    toml = (root / "veda.toml").read_text()
    (root / "veda.toml").write_text(f"{text}\n{toml}" if text.startswith("components") else f"{toml}\n{text}\n")

    with pytest.raises(veda.BadInput, match=message):
        veda.pack(root)


def test_a_manifest_that_refers_to_other_bytes_than_veda_toml_is_refused(workspace, tmp_path):
    root = workspace(**{"data/x.csv": "12345"})
    veda.add(root / "data/x.csv", reference=True)
    package = veda.pack(root)
    facts = json.loads(package.manifest.to_bytes())
    facts["chunks"][-1]["external"] = False

    with pytest.raises(veda.ArchiveRefused, match="external is either true"):
        veda.Manifest(facts)
    from veda.package import check_project

    toml = (root / "veda.toml").read_bytes().replace(hashlib.sha256(b"12345").hexdigest().encode(), b"0" * 64)
    facts["chunks"][-1]["external"] = True
    facts["components"][-1]["sha256"] = "0" * 64
    with pytest.raises(veda.ArchiveRefused, match=r"is not what the package's veda\.toml refers to"):
        check_project(veda.Manifest(facts), toml)


def test_the_command_prints_what_was_added_and_how_to_declare_a_class(workspace, capsys, monkeypatch):
    from veda.cli import main

    workspace(**{"src/small/more.py": READER})

    def run(line):
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code, *capsys.readouterr()

    code, out, err = run("veda add small/src/small/more.py")
    assert (code, "small.more:Other" in out) == (0, True)
    assert "declare one: veda add small/src/small/more.py --entry-point NAME=small.more:Small" in err
    code, out, _ = run("veda add small/README.md --by-reference --json")
    assert code == 0
    assert json.loads(out)["references"] == ["README.md"]
    (Path("small") / "net.onnx").write_bytes(NOISE)
    assert "net.onnx has 8 MiB; veda add small/net.onnx keeps it out" in run("veda pack small")[2]
    run("veda add small/net.onnx --inside")
    assert "has 8 MiB" not in run("veda pack small")[2]
    code, out, err = run("veda add small/none.csv")
    assert (code, out, err.splitlines()[0].startswith("error: there is no file")) == (3, "", True)
