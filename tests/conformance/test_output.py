from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys

import pytest
from tests.conformance.commands import BIN, url_settings

ESCAPE = "\x1b"


@pytest.mark.parametrize("words", [("config", "show"), ("doctor",)])
def test_json_is_all_that_is_printed_and_chinese_stays_readable(library, words, place):
    done = place.run(library, *words, "--json", env={f"{library}_HOME".upper(): str(place.folder / "数据")})

    rows = json.loads(done.stdout)
    assert isinstance(rows, list)
    assert "\\u" not in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("words", [("--help",), ("config", "show"), ("doctor",), ("no-such-command",)])
def test_a_pipe_gets_no_escape_byte_not_even_if_colour_is_forced(library, words, place):
    done = place.run(library, *words, env={"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"})

    assert ESCAPE not in done.stdout + done.stderr


def test_a_terminal_gets_colour_unless_no_color_says_no(library, place):
    assert ESCAPE in _on_a_terminal(place, [library, "no-such-command"])
    assert ESCAPE not in _on_a_terminal(place, [library, "no-such-command"], NO_COLOR="1")
    assert ESCAPE not in _on_a_terminal(place, [library, "no-such-command"], NO_COLOR="1", FORCE_COLOR="1")
    assert ESCAPE not in _on_a_terminal(place, [library, "no-such-command"], TERM="dumb")


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("config", "show"), ("completion", "bash")])
def test_a_reader_that_leaves_early_is_no_error(library, words, place):
    reading, writing = os.pipe()
    os.close(reading)

    done = place.run(library, *words, capture_output=False, stdout=writing, stderr=subprocess.PIPE)

    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


WAITS = """
import sys
from {library}.cli import root
from {library}._house.command import run

@root.command()
def wait():
    print("ready", flush=True)
    sys.stdin.read()

run(root, ["wait"])
"""


def test_ctrl_c_is_one_line_and_exit_130(library, place):
    place.folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS.format(library=library)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=place.environment(),
        cwd=place.folder,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)

        _, errors = process.communicate(timeout=30)

    assert process.returncode == 130
    assert errors.split() == ["interrupted"]


def test_a_password_shows_nowhere(library, place):
    for setting in url_settings(library):
        env = {setting.env: "nowhere://me:canary@127.0.0.1:1/name?secret_key=canary&token=canary"}
        for words in [("config", "show", "--origin"), ("config", "show", "--json"), ("doctor", "--debug")]:
            done = place.run(library, *words, env=env)

            assert "canary" not in done.stdout + done.stderr, f"{setting.env} in {' '.join(words)}"


def test_reading_commands_write_nothing_into_home(library, place):
    home = place.folder / "home"
    home.mkdir(parents=True)

    for words in [("--help",), ("config", "show"), ("doctor",), ("completion", "bash")]:
        place.run(library, *words, env={"HOME": str(home)})

    assert list(home.iterdir()) == []


def _on_a_terminal(place, words, **env):
    """Return what `words` writes when all of its three streams are a terminal."""
    place.folder.mkdir(exist_ok=True)
    try:
        ours, theirs = pty.openpty()
    except OSError as exc:
        pytest.skip(f"there is no terminal to be had here: {exc}; mount /dev/pts")
    process = subprocess.Popen(
        [str(BIN / words[0]), *words[1:]],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=place.environment(**env),
        cwd=place.folder,
    )
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 4096):
            written += chunk
    except OSError:  # the terminal is gone: the process has ended
        pass
    finally:
        os.close(ours)
        process.wait(timeout=30)
    return written.decode()
