"""The container of a ``.vedapkg``: a zip of stored members in one spelling only.

Members lie end to end from byte 0, each with a local header that says the same as the central
directory; the end record closes the file. Whatever differs is refused, never repaired: two
readers must not see two contents in one file, and ``zipfile`` would accept most of it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from veda.errors import ArchiveRefused, BadInput, NotFound
from veda.manifest import MAX_CHUNKS
from veda.names import path_fault, paths_fault

MAX_ARCHIVE = (1 << 32) - 2  #: Bytes; beyond it a zip needs its 64-bit form, which this format does not use.
MAX_MEMBERS = MAX_CHUNKS + 8

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
# version needed 2.0, names are UTF-8, stored, 1980-01-01 00:00: the earliest time that a zip can say
_NEEDED, _FLAGS, _METHOD, _TIME, _DATE = 20, 0x800, 0, 0, 0x21
_MADE_BY_UNIX, _REGULAR = 3 << 8 | 20, 0o100644 << 16


@dataclass(frozen=True)
class Member:
    """Where a member's bytes are in the file."""

    name: str
    offset: int
    size: int
    crc: int


class ArchiveWriter:
    """Write members one after the other; `close` writes the directory, `members` says where each has come to lie."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.members: list[Member] = []
        self._offset = 0

    def add(self, name: str, data: bytes) -> None:
        """Append one member."""
        encoded, crc = name.encode(), zlib.crc32(data)
        if self._offset + len(data) > MAX_ARCHIVE - (1 << 24):
            raise BadInput("the package would be larger than 4 GiB", hint="keep big data out and refer to it")
        head = _LOCAL.pack(
            b"PK\3\4", _NEEDED, _FLAGS, _METHOD, _TIME, _DATE, crc, len(data), len(data), len(encoded), 0
        )
        start = self._offset + len(head) + len(encoded)
        self.members.append(Member(name, start, len(data), crc))
        self._file.write(head + encoded)
        self._file.write(data)
        self._offset = start + len(data)

    def close(self) -> None:
        """Write the central directory and the end record."""
        start = self._offset
        for member in self.members:
            name, crc, size = member.name.encode(), member.crc, member.size
            offset = member.offset - len(name) - _LOCAL.size
            fields = (_FLAGS, _METHOD, _TIME, _DATE, crc, size, size, len(name), 0, 0, 0, 0, _REGULAR, offset)
            head = _CENTRAL.pack(b"PK\1\2", _MADE_BY_UNIX, _NEEDED, *fields)
            self._file.write(head + name)
            self._offset += len(head) + len(name)
        count = len(self.members)
        self._file.write(_END.pack(b"PK\5\6", 0, 0, count, count, self._offset - start, start, 0))


def read_directory(path: Path) -> list[Member]:
    """Return the members of an archive in their order.

    Raises
    ------
    NotFound, BadInput
        If there is no such file, or it cannot be read.
    ArchiveRefused
        If the container is not the one spelling that `ArchiveWriter` produces.
    """
    try:
        with path.open("rb") as file:
            return _directory(file)
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}", hint="veda pack PATH, or veda pull REF") from None
    except OSError as exc:
        raise BadInput(f"{path} cannot be read: {exc.strerror}", hint="name a .vedapkg file") from None


def read_member(file: BinaryIO, member: Member) -> bytes:
    """Return a member's bytes; refuse it if they do not fit its checksum."""
    file.seek(member.offset)
    data = file.read(member.size)
    if len(data) != member.size or zlib.crc32(data) != member.crc:
        _refuse("member-damaged", f"the bytes of {member.name} do not fit their checksum")
    return data


def _directory(file: BinaryIO) -> list[Member]:
    size = file.seek(0, 2)
    if size > MAX_ARCHIVE:
        _refuse("archive-too-large", f"the file has {size} bytes, more than {MAX_ARCHIVE}")
    if size < _END.size:
        _refuse("not-an-archive", "the file is too short to be a package")
    file.seek(size - _END.size)
    mark, disk, disk2, here, count, length, start, comment = _END.unpack(file.read(_END.size))
    if mark != b"PK\5\6":
        file.seek(0)
        looks = file.read(4) == b"PK\3\4"
        _refuse(*(("no-end-record", "bytes follow the end record, or it is missing") if looks else _NOT_OURS))
    if comment or disk or disk2 or here != count:
        _refuse("end-record", "the end record has a comment, names several disks or two counts")
    if count > MAX_MEMBERS or 0xFFFF in (here, count) or 0xFFFFFFFF in (length, start):
        _refuse("too-many-members", f"{count} members, or the 64-bit form, are not part of the format")
    if start + length != size - _END.size:
        _refuse("directory-misplaced", "the central directory does not end where the end record begins")
    file.seek(start)
    members = _entries(file.read(length), count)
    names = [m.name for m in members]
    for name in names:
        if fault := path_fault(name):
            _refuse(*fault)
    if fault := paths_fault(names):
        _refuse(*fault)
    _check_local(file, members, start)
    return members


_NOT_OURS = ("not-an-archive", "the file is no package")


def _entries(data: bytes, count: int) -> list[Member]:
    members, position = [], 0
    for _ in range(count):
        if position + _CENTRAL.size > len(data):
            _refuse("directory-damaged", "the central directory ends in the middle of an entry")
        mark, made, *shared, name_length, extra, comment, disk, inner, outer, offset = _CENTRAL.unpack_from(
            data, position
        )
        needed, flags, method, time, date, crc, packed, size = shared
        name = _name(data[position + _CENTRAL.size : position + _CENTRAL.size + name_length])
        if mark != b"PK\1\2" or len(name.encode()) != name_length:
            _refuse("directory-damaged", "the central directory holds something else than entries")
        if outer >> 16 & 0o170000 not in (0, 0o100000):
            kind = "a symbolic link" if outer >> 16 & 0o170000 == 0o120000 else "no regular file"
            _refuse("not-a-regular-file", f"{name[:120]!r} is {kind}")
        _check_fixed(name, needed, flags, method, time, date)
        if packed != size:
            _refuse("not-stored", f"{name[:120]!r} declares two sizes")
        if (made, extra, comment, disk, inner, outer) != (_MADE_BY_UNIX, 0, 0, 0, 0, _REGULAR):
            _refuse("entry-not-canonical", f"{name[:120]!r} has an extra field, a comment or other attributes")
        members.append(Member(name, offset, size, crc))
        position += _CENTRAL.size + name_length
    if position != len(data):
        _refuse("directory-damaged", "bytes follow the last entry of the central directory")
    return members


def _check_local(file: BinaryIO, members: Iterable[Member], end: int) -> None:
    """Compare each local header with its entry, and turn offsets into those of the bytes themselves."""
    position = 0
    for member in members:
        if member.offset != position:
            _refuse("members-misplaced", f"{member.name[:120]!r} overlaps another member or leaves a gap")
        encoded = member.name.encode()
        file.seek(position)
        head = file.read(_LOCAL.size + len(encoded))
        if len(head) != _LOCAL.size + len(encoded) or position + len(head) + member.size > end:
            _refuse("members-misplaced", f"{member.name[:120]!r} runs into the central directory")
        mark, needed, flags, method, time, date, crc, packed, size, length, extra = _LOCAL.unpack_from(head)
        _check_fixed(member.name, needed, flags, method, time, date)
        local = (mark, crc, packed, size, length, extra, head[_LOCAL.size :])
        if local != (b"PK\3\4", member.crc, member.size, member.size, len(encoded), 0, encoded):
            _refuse("headers-disagree", f"the two headers of {member.name[:120]!r} say different things")
        object.__setattr__(member, "offset", position + len(head))
        position += len(head) + member.size
    if position != end:
        _refuse("members-misplaced", "bytes lie between the last member and the central directory")


def _check_fixed(name: str, needed: int, flags: int, method: int, time: int, date: int) -> None:
    if flags & 1:
        _refuse("encrypted", f"{name[:120]!r} is encrypted")
    if method != _METHOD:
        _refuse("not-stored", f"{name[:120]!r} is compressed by the zip; members are stored")
    if (needed, flags, time, date) != (_NEEDED, _FLAGS, _TIME, _DATE):
        _refuse("entry-not-canonical", f"{name[:120]!r} has other flags or another time than the format's")


def _name(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        _refuse("path-not-utf8", f"{data[:60]!r} is not UTF-8")


def _refuse(reason: str, detail: str) -> NoReturn:
    raise ArchiveRefused(reason, detail) from None
