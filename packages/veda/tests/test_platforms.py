"""Compiled files tie a package to the machines that they were made for."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
import zstandard.backend_c

import veda
from veda import BadInput, Unsatisfiable
from veda.platforms import fits, here

COMPILED = Path(zstandard.backend_c.__file__)
PYTHON = f"cp{sys.version_info[0]}{sys.version_info[1]}"


def elf(machine: int) -> bytes:
    """Return the head of an ELF file for a processor, by its number in the ELF specification."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 3, machine, 1) + bytes(40)


def test_an_extension_module_of_this_interpreter_gives_its_platform_and_interpreter(workspace):
    package = veda.pack(workspace(**{f"src/small/{COMPILED.name}": COMPILED.read_bytes()}))

    assert package.manifest.tag == f"{PYTHON}-{here()}"
    assert package.path.name == f"small-1.0-{PYTHON}-{here()}.vedapkg"
    assert veda.verify(package.path).manifest.tag == package.manifest.tag
    veda.register(package)
    assert veda.load("small")().word() == "one"


@pytest.mark.parametrize(
    ("path", "content", "tag"),
    [
        ("src/small/fast.so", elf(183), "linux_aarch64"),
        ("src/small/fast.abi3.so", elf(62), "linux_x86_64"),
        ("lib/libfast.so.1.2", elf(62), "linux_x86_64"),
        ("src/small/fast.cp311-win_amd64.pyd", b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0\x64\x86", "cp311-win_amd64"),
        ("lib/libfast.dylib", b"\xcf\xfa\xed\xfe\x0c\0\0\x01", "macosx_arm64"),
        ("data/notes.so", b"text", "any"),
    ],
)
def test_a_compiled_file_tells_what_it_was_made_for(workspace, path, content, tag):
    assert veda.pack(workspace(**{path: content})).manifest.tag == tag


def test_files_for_two_machines_are_refused_by_name(workspace, tmp_path):
    folder = workspace(**{"src/small/arm.so": elf(183), "src/small/intel.so": elf(62)})

    with pytest.raises(BadInput, match=r"arm\.so \(linux_aarch64\) and .*intel\.so \(linux_x86_64\)") as caught:
        veda.pack(folder)

    assert 'platform = "any"' in (caught.value.hint or "")
    assert not (folder / "dist").exists()


def test_the_author_may_say_the_platform(workspace):
    folder = workspace(**{"src/small/arm.so": elf(183), "src/small/intel.so": elf(62)})
    toml = folder / "veda.toml"
    toml.write_text(toml.read_text().replace("requires = []", 'platform = "any"'))

    assert veda.pack(folder).manifest.tag == "any"


def test_a_platform_that_is_none_is_refused(workspace):
    folder = workspace()
    toml = folder / "veda.toml"
    toml.write_text(toml.read_text().replace("requires = []", 'platform = "Linux x86"'))

    with pytest.raises(BadInput, match="platform 'Linux x86' is none"):
        veda.pack(folder)


def test_a_package_of_another_machine_is_not_installed(workspace, home):
    package = veda.pack(workspace(**{"src/small/fast.so": elf(243)}))
    veda.push(package)

    with pytest.raises(BadInput, match=r"small@1\.0 was packed for linux_riscv64, and this machine is") as caught:
        veda.pull("small")

    assert caught.value.hint == "find one for this machine: veda list small --json"
    assert not (home / "trees").exists()


def test_a_lock_passes_over_what_runs_elsewhere(workspace):
    veda.register(veda.pack(workspace(version="1.0")))
    veda.register(veda.pack(workspace(version="1.1", **{"src/small/fast.so": elf(243)})))

    lock = veda.lock(["small"])

    assert [(p.name, p.version) for p in lock.packages] == [("small", "1.0")]
    with pytest.raises(Unsatisfiable, match="or need another Python or machine"):
        veda.lock(["small@1.1"])


def test_an_interpreter_counts_where_the_tag_names_one():
    assert fits("any", "3.9")
    assert fits(here(), "3.9")
    assert fits(f"cp312-{here()}", "3.12.4")
    assert not fits(f"cp312-{here()}", "3.11")
    assert not fits("linux_elf9999")
