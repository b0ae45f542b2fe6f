"""The platform that a package's compiled files were made for, and whether this machine is one.

A tag is ``any``, a platform such as ``linux_x86_64``, or one with the interpreter that the extension
modules were compiled for, such as ``cp311-linux_x86_64``.
"""

from __future__ import annotations

import platform
import re
import struct
import sys
from collections.abc import Iterable

from veda.errors import BadInput
from veda.workspace import SourceFile

ANY = "any"
_COMPILED = re.compile(r"\.(?:so(?:\.[0-9]+)*|pyd|dll|dylib)$")
_INTERPRETER = re.compile(r"\.(?:cpython-|cp)([0-9]{2,4})-")
# e_machine of ELF, Machine of PE, cputype of Mach-O: the values of the processors that wheels are made for.
_ELF = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
_PE = {0x014C: "win_x86", 0x8664: "win_amd64", 0xAA64: "win_arm64"}
_MACH = {0x01000007: "macosx_x86_64", 0x0100000C: "macosx_arm64"}


def tag_of(files: Iterable[SourceFile]) -> str:
    """Return the tag that compiled files ask for, ``any`` where there are none.

    Raises
    ------
    BadInput
        If they were made for more than one platform or interpreter, or a file cannot be read.
    """
    made_for: dict[str, str] = {}
    interpreters: dict[str, str] = {}
    for file in files:
        if not _COMPILED.search(file.path) or not (found := _platform_of(file)):
            continue
        made_for.setdefault(found, file.path)
        if interpreter := _INTERPRETER.search(file.path):
            interpreters.setdefault(f"cp{interpreter[1]}", file.path)
    for kinds in (made_for, interpreters):
        if len(kinds) > 1:
            shown = " and ".join(f"{path} ({kind})" for kind, path in list(kinds.items())[:2])
            raise BadInput(
                f"{shown} were made for different machines",
                hint='pack a version for each, such as 1.2.0+arm, or write platform = "any" in veda.toml',
            )
    if not made_for:
        return ANY
    return "-".join([*interpreters, *made_for])


def here() -> str:
    """Return the platform of this machine, such as ``linux_x86_64``."""
    system = {"darwin": "macosx", "win32": "win"}.get(sys.platform, sys.platform)
    return f"{system}_{platform.machine().lower()}"


def fits(tag: str, python: str = "") -> bool:
    """Tell whether what has `tag` runs on this machine, on `python` (such as ``"3.11"``) or this interpreter."""
    if tag == ANY:
        return True
    interpreter, _, made_for = tag.rpartition("-")
    major, minor = (python.split(".") if python else [str(n) for n in sys.version_info[:2]])[:2]
    return made_for == here() and interpreter in ("", f"cp{major}{minor}")


def refuse_foreign(tag: str, what: str) -> None:
    """Raise `BadInput` if this machine is not of `tag`; `what` names the release."""
    if not fits(tag):
        version = "".join(str(n) for n in sys.version_info[:2])
        raise BadInput(
            f"{what} was packed for {tag}, and this machine is cp{version}-{here()}",
            hint=f"find one for this machine: veda list {what.partition('@')[0]} --json",
        )


def _platform_of(file: SourceFile) -> str:
    try:
        with file.source.open("rb") as opened:
            head = opened.read(4096)
    except OSError as exc:
        raise BadInput(f"{file.source} cannot be read: {exc.strerror}") from None
    if head[:4] == b"\x7fELF" and len(head) >= 20:
        (machine,) = struct.unpack_from("<H" if head[5] == 1 else ">H", head, 18)
        return f"linux_{_ELF.get(machine, f'elf{machine}')}"
    if head[:2] == b"MZ" and len(head) >= 64:
        (offset,) = struct.unpack_from("<I", head, 60)
        if head[offset : offset + 4] == b"PE\0\0" and len(head) >= offset + 6:
            (machine,) = struct.unpack_from("<H", head, offset + 4)
            return _PE.get(machine, f"win_pe{machine}")
    if head[:4] == b"\xcf\xfa\xed\xfe" and len(head) >= 8:
        (processor,) = struct.unpack_from("<I", head, 4)
        return _MACH.get(processor, f"macosx_cpu{processor}")
    return ""  # named like a library, but none: data
