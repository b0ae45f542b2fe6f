"""What the kernel forbids a process from now on: files, the network, other processes, more rights.

Landlock (Linux 5.13) hides every file that is not named, seccomp refuses the system calls that reach
out of the process, and its capabilities are given up. None of it needs a right, and none of it can be
taken back. Asked by number, because Python's library has none of the three.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446  # the same on every architecture
_READ = 1 << 2 | 1 << 3  # read a file, read a folder
_ABI_FILES = {
    1: (1 << 13) - 1,
    2: (1 << 14) - 1,
    3: (1 << 15) - 1,
    5: (1 << 16) - 1,
}  # every right on files, by version
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER, _DUMPABLE = 38, 22, 2, 4  # words of prctl
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_REFUSE, _ABSENT = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_X32 = 0x40000000

# Calls that begin a connection, start a program, touch another process, or reach what is not a file.
_REFUSED_X86 = {
    "socket": 41, "connect": 42, "bind": 49, "fork": 57, "vfork": 58, "execve": 59, "kill": 62,
    "ptrace": 101, "rt_sigqueueinfo": 129,
    "mount": 165, "chroot": 161, "tkill": 200, "tgkill": 234, "mq_open": 240, "add_key": 248, "request_key": 249,
    "keyctl": 250, "unshare": 272, "rt_tgsigqueueinfo": 297, "perf_event_open": 298, "open_by_handle_at": 304,
    "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "bpf": 321, "execveat": 322, "userfaultfd": 323,
    "shmget": 29, "shmat": 30, "sched_setaffinity": 203,
}  # fmt: skip
_REFUSED_ARM = {
    "mount": 40, "chroot": 51, "unshare": 97, "ptrace": 117, "kill": 129, "tkill": 130, "tgkill": 131,
    "rt_sigqueueinfo": 138, "mq_open": 180, "shmget": 194, "shmat": 196, "socket": 198, "bind": 200, "connect": 203,
    "add_key": 217, "request_key": 218, "keyctl": 219, "execve": 221, "rt_tgsigqueueinfo": 240, "perf_event_open": 241,
    "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "bpf": 280,
    "execveat": 281, "userfaultfd": 282, "sched_setaffinity": 122,
}  # fmt: skip
# pidfd_send_signal, io_uring_setup, pidfd_open and pidfd_getfd have one number everywhere.
_REFUSED_BOTH = (424, 425, 434, 438)
_CLONE3 = 435
_THREAD = 0x10000  # of clone: a thread, not a process that would live on
#: Each machine's word for itself, its refused calls, prlimit64, which is refused for other processes, and clone.
_MACHINES = {"x86_64": (0xC000003E, _REFUSED_X86, 302, 56), "aarch64": (0xC00000B7, _REFUSED_ARM, 261, 220)}


@lru_cache(maxsize=1)
def missing() -> str:
    """Return what this kernel lacks to fence a process, in a few words; nothing if it lacks nothing."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES or sys.maxsize < 2**32:
        return f"{sys.platform} on {platform.machine()} is not supported"
    if _syscall(_LANDLOCK_CREATE, None, 0, 1) < 1:
        return "the kernel has no Landlock (Linux 5.13, and 'landlock' among its lsm=)"
    if _libc().prctl(21, 0, 0, 0, 0) < 0:  # PR_GET_SECCOMP
        return "the kernel has no seccomp"
    return ""


def fence(readable: Iterable[str]) -> None:
    """Take from this process all but its memory, its open files, and reading what lies under `readable`.

    To be called before there is a second thread, which would keep its rights.

    Raises
    ------
    OSError
        If the kernel refuses a part of it; the process must end then.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = _libc()
    _checked(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "no_new_privs")
    _hide_files(readable)
    header = struct.pack("<Ii", 0x20080522, 0)
    _checked(libc.capset(header, bytes(24)), "capset")
    _refuse_calls()
    _checked(libc.prctl(_DUMPABLE, 0, 0, 0, 0), "dumpable")


def readable_here() -> list[str]:
    """Return where Python and the installed packages lie, but no folder that holds the user's own files.

    A folder on the path of imports that holds the working folder, the home or Exia's folder is left out.
    """
    from exia._house.config import home

    private = [Path.cwd(), Path.home(), home()]
    wanted = [*sys.path, sys.prefix, sys.base_prefix, "/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64"]
    wanted += [
        "/usr/share/zoneinfo",
        "/etc/ld.so.cache",
        "/etc/localtime",
        "/dev/null",
        "/dev/urandom",
        "/proc/cpuinfo",
    ]
    found: dict[str, None] = {}
    for name in wanted:
        path = Path(os.path.realpath(name)) if name else None
        if path is None or not path.exists() or path == Path("/"):
            continue
        if not any(own.resolve().is_relative_to(path) for own in private):
            found[str(path)] = None
    return list(found)


def _hide_files(readable: Iterable[str]) -> None:
    version = _syscall(_LANDLOCK_CREATE, None, 0, 1)
    files = _ABI_FILES[max(known for known in _ABI_FILES if known <= max(1, version))]
    attributes = struct.pack("<Q", files)
    if version >= 4:
        attributes += struct.pack("<Q", 0b11)  # TCP: bind and connect
    if version >= 6:
        attributes += struct.pack("<Q", 0b11)  # sockets without a name in a folder, and signals
    ruleset = _checked(_syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0), "landlock")
    try:
        for name in readable:
            descriptor = os.open(name, os.O_PATH | os.O_CLOEXEC)
            try:
                rights = _READ if Path(name).is_dir() else 1 << 2
                _checked(
                    _syscall(_LANDLOCK_ADD, ruleset, 1, struct.pack("<Qi", rights, descriptor), 0), f"landlock: {name}"
                )
            finally:
                os.close(descriptor)
        _checked(_syscall(_LANDLOCK_RESTRICT, ruleset, 0), "landlock")
    finally:
        os.close(ruleset)


def _refuse_calls() -> None:
    arch, named, limits, clone = _MACHINES[platform.machine()]
    numbers = sorted({*named.values(), *_REFUSED_BOTH})

    def load(offset: int) -> bytes:
        return struct.pack("<HBBI", 0x20, 0, 0, offset)

    def jump(kind: int, value: int, yes: int, no: int) -> bytes:
        return struct.pack("<HBBI", kind, yes, no, value)

    def give(verdict: int) -> bytes:
        return struct.pack("<HBBI", 0x06, 0, 0, verdict)

    equal, at_least, has = 0x15, 0x35, 0x45
    program = [load(4), jump(equal, arch, 1, 0), give(_KILL), load(0)]
    if platform.machine() == "x86_64":
        program += [jump(at_least, _X32, 0, 1), give(_REFUSE)]  # the same calls under other numbers
    for number in numbers:
        program += [jump(equal, number, 0, 1), give(_REFUSE)]
    # clone3 keeps its flags where a filter cannot look; the C library takes clone where there is no clone3.
    program += [jump(equal, _CLONE3, 0, 1), give(_ABSENT)]
    program += [jump(equal, clone, 0, 4), load(16), jump(has, _THREAD, 0, 1), give(_ALLOW), give(_REFUSE)]
    program += [jump(equal, limits, 0, 3), load(16), jump(equal, 0, 1, 0), give(_REFUSE)]
    program.append(give(_ALLOW))
    code = ctypes.create_string_buffer(b"".join(program))
    # struct sock_fprog: a length, padding, and a pointer
    filter = struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(code))
    _checked(_libc().prctl(_SECCOMP, _FILTER, filter, 0, 0), "seccomp")


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def _syscall(number: int, *args: bytes | int | None) -> int:
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    return int(_libc().syscall(ctypes.c_long(number), *given))


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result
