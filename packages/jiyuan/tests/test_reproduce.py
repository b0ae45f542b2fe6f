"""A result is proven by running it again: equal where nothing has changed, and named where something has."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest

import jiyuan as jy
import kyrios
from jiyuan.errors import BadInput, Conflict, NotFound


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def said(found, what):
    """The causes of one kind, as one text."""
    return "; ".join(cause.said for cause in found.causes if cause.what == what)


def rewritten(archive: Path, out: Path, name: str, change, *, listed: bool = False) -> Path:
    """Copy an archive with one file changed, and, if `listed`, its digest in the list changed too."""
    with zipfile.ZipFile(archive) as old:
        files = {member: old.read(member) for member in old.namelist()}
    (member,) = [m for m in files if m == name or (name.endswith("/") and m.startswith(name))][:1]
    before = files[member]
    files[member] = change(files[member])
    assert files[member] != before
    if listed:
        head = json.loads(files["archive.json"])
        head["files"][member] = hashlib.sha256(files[member]).hexdigest()
        files["archive.json"] = json.dumps(head).encode()
    with zipfile.ZipFile(out, "w") as new:
        for member, content in files.items():
            new.writestr(member, content)
    return out


def test_a_run_gives_the_same_bytes_again_also_after_newer_data_and_a_newer_package(centre):
    run = centre.run(shift=0.25)
    centre.collect(10.0, 12.0, 13.0)
    centre.publish("1.1.0", "3.0")
    assert centre.run(shift=0.25).table("scaled.scaled") != run.table("scaled.scaled")

    found = jy.reproduce(run.run_id[-6:])

    assert (found.equal, found.outputs, found.difference, found.causes) == (True, 2, "", ())


def test_an_archive_gives_the_same_bytes_in_an_empty_home_elsewhere(centre, command, tmp_path):
    run = centre.run()
    archive = jy.export(run, tmp_path / "run.zip")
    again = jy.export(run.run_id, tmp_path / "again.zip")
    assert archive.read_bytes() == again.read_bytes()
    shutil.rmtree(centre.folder)

    done = command("reproduce", str(archive), home=tmp_path / "other")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "equal: 2 tables of scaled are the same byte by byte\n"
    assert [p.name for p in (tmp_path / "other").iterdir()] == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("data/daily.arrow", "data"),
        ("store/", "package"),
        ("lineage.json", "record"),
        ("flow/units.py", "code"),
        ("outputs/scaled.scaled.arrow", "output"),
    ],
)
def test_one_byte_that_was_changed_in_an_archive_is_found_and_its_file_named(centre, tmp_path, name, kind):
    archive = jy.export(centre.run(), tmp_path / "run.zip")

    def flip(content: bytes) -> bytes:
        middle = len(content) // 2
        return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]

    found = jy.reproduce(rewritten(archive, tmp_path / "changed.zip", name, flip))

    assert not found.equal
    assert found.causes[0].what == kind
    assert name in found.causes[0].said
    assert "was changed after it was exported" in found.causes[0].said


def test_one_byte_that_was_changed_in_the_packed_file_itself_is_found(centre, tmp_path):
    archive = jy.export(centre.run(), tmp_path / "run.zip")
    with zipfile.ZipFile(archive) as opened:
        entry = opened.getinfo("flow/units.py")
    content = bytearray(archive.read_bytes())
    content[entry.header_offset + 30 + len(entry.filename) + 20] ^= 1
    archive.write_bytes(content)

    found = jy.reproduce(archive)

    assert not found.equal
    assert "flow/units.py in the archive was changed" in found.causes[0].said


def test_a_parameter_that_was_changed_is_found_where_the_list_of_the_archive_was_changed_too(centre, tmp_path):
    archive = jy.export(centre.run(shift=0.25), tmp_path / "run.zip")

    found = jy.reproduce(
        rewritten(archive, tmp_path / "x.zip", "lineage.json", lambda b: b.replace(b"0.25", b"0.26"), listed=True)
    )

    assert said(found, "parameter") == "shift was 0.25 when the run began and is 0.26 in its record"


def test_data_that_was_changed_is_found_where_the_list_of_the_archive_was_changed_too(centre, tmp_path):
    archive = jy.export(centre.run(), tmp_path / "run.zip")

    def change(content: bytes) -> bytes:
        import struct

        return content.replace(struct.pack("<d", 11.0), struct.pack("<d", 11.5))

    found = jy.reproduce(rewritten(archive, tmp_path / "x.zip", "data/daily.arrow", change, listed=True))

    assert not found.equal
    assert "daily.arrow of the snapshot is not what was written" in said(found, "flow") + said(found, "data")


def test_a_package_that_was_changed_is_found_where_the_list_of_the_archive_was_changed_too(centre, tmp_path):
    archive = jy.export(centre.run(), tmp_path / "run.zip")
    with zipfile.ZipFile(archive) as opened:
        blob = max((m for m in opened.namelist() if m.startswith("store/blobs/")), key=lambda m: opened.getinfo(m).file_size)

    found = jy.reproduce(rewritten(archive, tmp_path / "x.zip", blob, lambda b: b[:-1] + b"!", listed=True))

    assert not found.equal
    assert found.causes[-1].what == "package"


def test_code_that_was_changed_is_the_cause_of_another_result(centre):
    run = centre.run()
    edit(centre.flow / "units.py", "scale.apply(value) + shift", "scale.apply(value) + shift + 1e-12")

    found = jy.reproduce(run)

    assert found.difference.startswith("scaled.scaled: row 0 of 2, column value, was ")
    assert found.causes[0].what == "code"
    assert "flow/units.py" in found.causes[0].said
    with pytest.raises(Conflict, match=r"flow/units\.py.* has changed since the run"):
        jy.export(run)


def test_a_default_that_was_changed_does_no_harm_to_a_run_that_has_its_own_value(centre):
    run = centre.run()
    edit(centre.flow / "flow.yaml", "shift: 0.5", "shift: 0.75")

    found = jy.reproduce(run)

    assert found.equal
    assert "params.shift was 0.5 and is 0.75" in said(found, "flow")
    assert "does no harm" in str(found)


def test_a_table_that_was_changed_after_the_run_is_told_from_a_run_that_gives_another(centre):
    run = centre.run()
    path = Path(run.where) / "outputs" / "bars.bars.arrow"
    path.write_bytes((Path(run.where) / "outputs" / "scaled.scaled.arrow").read_bytes())

    found = jy.reproduce(run)

    assert not found.equal
    assert "bars.bars was changed after the run" in said(found, "output")


def test_a_data_set_that_was_written_anew_under_the_same_version_is_found(centre):
    run = centre.run()
    shutil.rmtree(centre.folder / "ptolemy")
    centre.collect(10.0, 11.5)

    found = jy.reproduce(run)

    assert not found.equal
    assert found.causes[0].said.startswith("daily@v1 is not what the run read: ")


def test_a_version_of_data_or_of_a_package_that_is_gone_is_named(centre):
    run = centre.run()
    for name in ("ptolemy", "store", "veda", "scaling-1.0.0"):
        shutil.rmtree(centre.folder / name)
    for package in centre.folder.glob("*.vedapkg"):
        package.unlink()

    found = jy.reproduce(run)

    assert "daily@v1: nothing of daily has been collected" in said(found, "data")
    assert "scaling@1.0.0: the store has no scaling@sha256:" in said(found, "package")


def test_a_package_that_was_never_pushed_is_taken_from_where_it_was_registered(centre):
    run = centre.run()
    shutil.rmtree(centre.folder / "store")

    assert jy.reproduce(run).equal


def test_a_unit_that_uses_chance_is_found_out(centre):
    edit(centre.flow / "units.py", "+ shift for", "+ shift + __import__('random').random() for")
    run = centre.run()

    found = jy.reproduce(run)

    assert found.difference.startswith("scaled.scaled: row 0 of 2, column value, was ")
    assert "may use the time, chance or a file elsewhere" in found.causes[0].said


def test_a_flow_may_declare_by_how_much_a_number_may_differ(centre):
    edit(centre.flow / "units.py", "+ shift for", "+ shift + __import__('random').random() * 1e-9 for")
    edit(centre.flow / "flow.yaml", "units:\n", "tolerance: {scaled.scaled: 1e-6}\nunits:\n")
    run = centre.run()

    found = jy.reproduce(run)

    assert (found.equal, found.tolerated) == (True, 1)
    assert "1 of them within the flow's tolerance" in str(found)


def test_a_tolerance_of_no_output_is_a_mistake_with_its_line(centre):
    edit(centre.flow / "flow.yaml", "units:\n", "tolerance: {scaled.scald: 1e-6}\nunits:\n")

    with pytest.raises(kyrios.FlowInvalid, match="scald"):
        kyrios.load_flow(centre.flow)


def test_a_run_that_took_outputs_from_another_is_repeated_whole(centre):
    centre.run()
    run = kyrios.load_flow(centre.flow).run(start="scaled")

    assert jy.reproduce(run).equal


def test_another_environment_and_another_processor_are_named_after_what_is_likelier(centre, tmp_path):
    archive = jy.export(centre.run(), tmp_path / "run.zip")

    def older(content: bytes) -> bytes:
        record = json.loads(content)
        record["environment"]["distributions"]["pyarrow"] = "1.0"
        record["environment"]["cpu"] = ["avx512_of_tomorrow"]
        return json.dumps(record).encode()

    found = jy.reproduce(rewritten(archive, tmp_path / "x.zip", "lineage.json", older, listed=True))

    assert found.equal
    assert said(found, "environment").startswith("pyarrow was 1.0 and is ")
    assert "lacks avx512_of_tomorrow" in said(found, "cpu")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_no_archive_is_refused(centre, tmp_path, content):
    path = tmp_path / "some.zip"
    path.write_bytes(content)

    with pytest.raises(BadInput, match="is no archive of a run"):
        jy.reproduce(path)
    with pytest.raises(NotFound):
        jy.reproduce(tmp_path / "none.zip")


def test_an_archive_that_leads_out_of_its_folder_is_refused(centre, tmp_path):
    archive = jy.export(centre.run(), tmp_path / "run.zip")
    with zipfile.ZipFile(archive) as old:
        files = {m: old.read(m) for m in old.namelist()}
    head = json.loads(files["archive.json"])
    head["files"]["../outside"] = hashlib.sha256(b"x").hexdigest()
    files |= {"archive.json": json.dumps(head).encode(), "../outside": b"x"}
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as new:
        for member, content in files.items():
            new.writestr(member, content)

    with pytest.raises(BadInput, match="leads out of it"):
        jy.reproduce(tmp_path / "x.zip")


def test_only_a_flow_that_succeeded_can_be_run_again(centre):
    with jy.run("signals") as run:
        pass
    with pytest.raises(BadInput, match="no run of a flow"):
        jy.reproduce(run.id)

    edit(centre.flow / "units.py", "scale = loaded", "raise ValueError('no')\n    scale = loaded")
    with pytest.raises(kyrios.UnitFailed) as failed:
        centre.run()
    with pytest.raises(BadInput, match="is failed; only one that succeeded"):
        jy.reproduce(failed.value.run_id)


def test_an_archive_that_is_there_is_not_written_over(centre, tmp_path):
    run = centre.run()
    (tmp_path / "run.zip").write_text("mine")

    with pytest.raises(Conflict, match="is there already"):
        jy.export(run, tmp_path / "run.zip")
    assert (tmp_path / "run.zip").read_text() == "mine"


def test_the_lock_beside_a_flow_is_installed_first(centre, tmp_path):
    if shutil.which("uv") is None:
        pytest.skip("needs uv on the path; run: pip install uv")
    lock_with(centre.flow, "answering", "2.0", "VALUE = 42.0\n")
    edit(centre.flow / "units.py", "scale = loaded.factory()", "scale = loaded.factory()\n    import answering\n    shift = answering.VALUE")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "answering.py").write_text("VALUE = 42.0\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path / "here")
        run = centre.run()

        found = jy.reproduce(run)

    assert found.equal
    assert said(found, "environment") == "answering was not there and is 2.0"


def lock_with(folder, name, version, code):
    """Write a lock of one distribution, whose wheel lies beside it."""
    info = f"{name}-{version}.dist-info"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(f"{name}.py", code)
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (folder / "pylock.toml").write_text(
        f'lock-version = "1.0"\ncreated-by = "tests"\n[[packages]]\nname = "{name}"\nversion = "{version}"\n'
        f'[[packages.wheels]]\nname = "{wheel.name}"\npath = "{wheel.name}"\nhashes = {{sha256 = "{digest}"}}\n'
    )
