"""Run the fenced blocks of a Markdown page, so that what the docs show is what happens.

A block whose first line is ``# some/path.ext`` is written to that file, without that line, in whatever language.
``console`` blocks hold commands after ``$ `` and, below each, what it prints (``...`` stands for anything;
no output shown means any). ``bash`` blocks are scripts. ``python`` blocks are scripts too, or sessions if they
begin with ``>>>``. All blocks of a page run in order and share one working folder, one home, the variables that
a shell block exports, and the folder that it went to. A block is left out if the
line above it says ``<!-- not run: the reason -->``. Other languages are never run.
"""

from __future__ import annotations

import doctest
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

RUN = ("console", "bash", "python")
_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+)(?P<language>\{[\w-]+\}|[\w-]*)[^\n]*$")
_FILE = re.compile(r"# ([\w./-]+\.\w+)\n")
_NOT_RUN = re.compile(r"<!-- not run: (?P<reason>.+?) -->")
_LOOSE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """One fenced block; `line` is that of its opening fence, counted from 1."""

    language: str
    text: str
    line: int
    not_run: str | None

    @property
    def file(self) -> str | None:
        """The file that the block is, by its first line."""
        found = _FILE.match(self.text)
        return found and found[1]

    @property
    def runs(self) -> bool:
        """Whether a reader does something with it."""
        return not self.not_run and bool(self.file or self.language in RUN)


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page in order."""
    found = []
    lines = iter(enumerate(page.splitlines(), 1))
    above = ""
    for number, line in lines:
        if fence := _FENCE.match(line):
            indent, ticks = fence["indent"], fence["ticks"]
            body = []
            for _, inner in lines:
                if inner.strip() == ticks:
                    break
                body.append(inner.removeprefix(indent))
            marker = _NOT_RUN.search(above)
            found.append(Block(fence["language"], "\n".join(body), number, marker and marker["reason"]))
        if line.strip():
            above = line
    return found


@dataclass(frozen=True)
class Runner:
    """Where the blocks of one page run: the folder they begin in, and a file that keeps what they export."""

    folder: Path
    state: Path
    env: Mapping[str, str]
    begun: list[int] = field(default_factory=list)  # process groups of the blocks that ran

    def run(self, block: Block) -> None:
        """Run one block; raise `AssertionError` with what it printed if it is not as shown."""
        if block.file:
            self._bash(
                'mkdir -p "$(dirname "$1")" && printf "%s\\n" "$2" >"$1"', block.file, block.text.partition("\n")[2]
            )
        elif block.language == "bash":
            self._shell(block.text)
        elif block.language == "console":
            for command, shown in _commands(block.text):
                printed = self._shell(command)
                if shown and not doctest.OutputChecker().check_output(shown, printed, _LOOSE):
                    raise AssertionError(f"{command}\nshown:\n{shown}\nprinted:\n{printed}")
        elif block.text.lstrip().startswith(">>>"):
            self._python(f"import doctest, sys\ntext = {block.text + chr(10)!r}\n{_SESSION}")
        else:
            self._python(block.text)

    def _shell(self, script: str) -> str:
        keep = f'{{ export -p; printf "cd %q\\n" "$PWD"; }} >"{self.state}"'
        return self._bash(f"set -euo pipefail\n{script}\n{keep}\n")

    def _python(self, script: str) -> None:
        self._bash('exec python -c "$1"', script)

    def _bash(self, script: str, *words: str) -> str:
        begin = f'if [ -f "{self.state}" ]; then . "{self.state}"; fi\n'
        # Files, not pipes: a server that a block leaves behind would hold a pipe open.
        with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
            running = subprocess.Popen(
                ["bash", "-c", begin + script, "bash", *words],
                cwd=self.folder,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=complained,
                start_new_session=True,
            )
            self.begun.append(running.pid)
            try:
                code = running.wait(timeout=240)
            except subprocess.TimeoutExpired:
                code = None
            if code != 0:  # no block comes that stops what the page has begun
                for group in self.begun:
                    with suppress(ProcessLookupError):
                        os.killpg(group, signal.SIGKILL)
            said.seek(0)
            complained.seek(0)
            printed = said.read()
            assert code == 0, f"exit code {code}:\n{printed}\n{complained.read()}"
        return printed


_SESSION = """
test = doctest.DocTestParser().get_doctest(text, {}, "block", None, 0)
runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
sys.exit(runner.run(test).failed)
"""


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """Give each command of a console block with the output shown below it."""
    command: list[str] = []
    shown: list[str] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            if command:
                yield "\n".join(command), "".join(shown)
            command, shown = [line[2:]], []
        elif line.startswith("> ") and command and not shown:
            command.append(line[2:])
        else:
            shown.append(line + "\n")
    if command:
        yield "\n".join(command), "".join(shown)
