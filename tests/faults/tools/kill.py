"""``kill -9`` of a process at a chosen system call: its N-th write, fsync or rename."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: The calls that change what is on the disk, or make it last.
CHANGES = (
    "write", "pwrite64", "writev", "fsync", "fdatasync", "ftruncate",
    "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat",
)  # fmt: skip

_CALL = re.compile(r"^(\d+)\s+(\w+)\(")


@dataclass(frozen=True, order=True)
class Point:
    """The `when`-th use of `call` by one thread of the process, from 1."""

    call: str
    when: int


@dataclass(frozen=True)
class Run:
    """How a process ended: `killed` by the tool, or by itself with `exit_code`."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def killed(self) -> bool:
        return self.exit_code in (-9, 137)

    @property
    def acknowledged(self) -> list[str]:
        """The complete lines of stdout; a line that the kill has torn was never said."""
        return self.stdout.split("\n")[:-1]


def available() -> str | None:
    """Return None, or why no process can be killed this way here."""
    if shutil.which("strace") is None:
        return "strace is not installed: apt-get install strace"
    probe = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    return None if probe.returncode == 0 else f"strace may not trace here: {probe.stderr.strip()}"


def points(
    argv: Sequence[str],
    *,
    calls: Iterable[str] = CHANGES,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 120,
) -> list[Point]:
    """Run `argv` to its end once and return every point at which it can be killed, in order of the run.

    Raises
    ------
    RuntimeError
        If the process fails: what does not run cannot be killed at a point.
    """
    seen: dict[Point, None] = {}
    with tempfile.NamedTemporaryFile("r", suffix=".strace") as log:
        done = _strace(["--seccomp-bpf", f"-etrace={_known(calls)}", "-s0", "-o", log.name], argv, env, cwd, timeout)
        if done.exit_code:
            raise RuntimeError(f"{argv} ended with {done.exit_code}: {done.stderr}")
        # strace counts each call of each thread apart.
        used: Counter[tuple[str, str]] = Counter()
        for found in filter(None, map(_CALL.match, log)):
            used[found.group(1), found.group(2)] += 1
            seen[Point(found.group(2), used[found.group(1), found.group(2)])] = None
    return list(seen)


def spread(found: Sequence[Point], count: int) -> list[Point]:
    """Return `count` of the points `found`, or all if there are fewer, evenly over the run."""
    count = min(count, len(found))
    return [found[n * len(found) // count] for n in range(count)]


def kill_at(
    point: Point,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 120,
) -> Run:
    """Run `argv` and kill it as it enters the call that `point` names."""
    # Not with --seccomp-bpf, which is faster but loses the signal (strace 6.1).
    inject = f"-einject={point.call}:signal=SIGKILL:when={point.when}"
    return _strace([f"-etrace={point.call}", inject, "-o", os.devnull], argv, env, cwd, timeout)


def fail_at(
    point: Point,
    error: str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 120,
) -> Run:
    """Run `argv` and let the call that `point` names fail with `error`, such as ``"EIO"`` or ``"ENOSPC"``."""
    inject = f"-einject={point.call}:error={error}:when={point.when}"
    return _strace([f"-etrace={point.call}", inject, "-o", os.devnull], argv, env, cwd, timeout)


def _strace(
    options: list[str], argv: Sequence[str], env: Mapping[str, str] | None, cwd: Path | None, timeout: float
) -> Run:
    # Compiling would add writes that a second run does not have: points must be the same in each run.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", **(env or {})}
    command = ["strace", "-f", "-qq", *options, "--", *argv]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=cwd,
        start_new_session=True,  # strace and all that it traces, so that a time-out ends all of them
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.communicate()
            raise
    return Run(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def _known(calls: Iterable[str]) -> str:
    return ",".join(f"?{call}" for call in calls)  # "?": not every machine has every call
