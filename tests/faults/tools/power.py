"""Power loss for any process: record its file calls, then lose what it had not fsynced.

The process runs once, unharmed, under strace. Its calls are then played to a `VolatileDisk`, which
can lose power after any of them, any number of times, without running the process again.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.faults.tools.calls import Call, read_calls
from tests.faults.tools.kill import Run
from tests.faults.tools.replay import CALLS, Replay
from tests.faults.tools.volatile import Names, VolatileDisk


@dataclass(frozen=True)
class Loss:
    """What one power loss has left: `files` by path, and the lines said on stdout before it."""

    at: str
    acknowledged: list[str]
    files: dict[str, bytes | None]
    folder: Path

    def restore(self) -> None:
        """Put the folder into the state that the loss has left."""
        for old in self.folder.iterdir():
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            else:
                old.unlink()
        for path, content in self.files.items():
            if content is None:
                Path(path).mkdir(parents=True, exist_ok=True)
            else:
                Path(path).write_bytes(content)


@dataclass(frozen=True)
class Recording:
    """One run of a process: how it ended and each file call that it made."""

    run: Run
    folder: Path
    before: dict[str, bytes | None]
    calls: list[Call]
    cwd: Path

    def losses(self, count: int, *, seed: int = 0, names: Names = "strict") -> Iterator[Loss]:
        """Lose power `count` times, each after a call that chance chooses; see `volatile.Names`."""
        chosen = sorted(random.Random(seed).choices(self.changing, k=count))
        disk, replay = self._start(names)
        done = 0
        for number, position in enumerate(chosen):
            for call in self.calls[done : position + 1]:
                replay.play(call)
            done = position + 1
            call = self.calls[position]
            yield Loss(
                f"after call {position}, {call.name}, seed {seed}/{number}",
                replay.said(),
                disk.after_loss(f"{seed}/{number}"),
                self.folder,
            )

    @cached_property
    def changing(self) -> list[int]:
        """The positions in `calls` of those that change what a power loss leaves.

        Raises
        ------
        RuntimeError
            If playing the calls does not end in what the process has left and said.
        """
        disk, replay = self._start("strict")
        found = [position for position, call in enumerate(self.calls) if replay.play(call)]
        there = {path: content for path, content in _files(self.folder).items() if not path.endswith("-shm")}
        played = {path: None if inode.is_folder else bytes(inode.content) for path, inode in disk.names.items()}
        wrong = [p for p in {*there, *played} if there.get(p, b"") != played.get(p, b"") and not p.endswith("-shm")]
        if wrong or replay.said() != self.run.acknowledged:
            raise RuntimeError(f"the recording of {sorted(wrong) or 'stdout'} is not what the process has done")
        return found

    def _start(self, names: Names) -> tuple[VolatileDisk, Replay]:
        disk = VolatileDisk(names)
        disk.load(self.before)
        return disk, Replay(disk, self.folder, self.cwd, self.calls)


def record(
    argv: Sequence[str],
    folder: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 300,
) -> Recording:
    """Run `argv` to its end and record what it does to files under `folder`.

    What is in `folder` already counts as durable.

    Raises
    ------
    RuntimeError
        If the process changes nothing, or in a way that cannot be recorded, such as through a shared map.
    """
    folder, cwd = folder.resolve(), (cwd or Path.cwd()).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    before = _files(folder)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
    with tempfile.TemporaryDirectory() as place:
        log = Path(place) / "strace"
        trace = ",".join(f"?{name}" for name in CALLS)
        command = ["strace", "-f", "--seccomp-bpf", "-qq", "-xx", "-s", "1000000000", f"-etrace={trace}"]
        done = subprocess.run(
            [*command, "-o", str(log), "--", *argv],
            env=environment, cwd=cwd, timeout=timeout, capture_output=True, text=True, check=False,
        )  # fmt: skip
        calls = list(read_calls(log))
    recording = Recording(Run(done.returncode, done.stdout, done.stderr), folder, before, calls, cwd)
    # Plays all calls once, so that what cannot be recorded is said at once.
    if not recording.changing:
        raise RuntimeError(f"{argv} changed nothing in {folder}: {recording.run.stderr}")
    return recording


def _files(folder: Path) -> dict[str, bytes | None]:
    return {str(path): None if path.is_dir() else path.read_bytes() for path in [folder, *sorted(folder.rglob("*"))]}
