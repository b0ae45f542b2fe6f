"""What everything that keeps components running keeps."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ptolemy.errors import NotReady, UnknownComponent
from ptolemy.services import Component, Fresh, Ready, Services, State

SECRET = "s3cr3t-of-the-contract"

Opened = Callable[[], Services]


class ServicesContract:
    """Give an `opened` fixture: a callable that opens one and the same services, each time with a new handle.

    Whatever was started must have ended after the test.
    """

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """Return the folder in which the components of a test run."""
        folder = tmp_path / "place"
        folder.mkdir()
        return folder

    @pytest.fixture
    def services(self, opened: Opened) -> Iterator[Services]:
        with opened() as services:
            yield services
            with suppress(OSError):
                services.down()

    def test_a_component_starts_when_what_it_depends_on_is_ready(self, services: Services, place: Path) -> None:
        first = _sleeper(
            "first", place, "sleep 0.3; echo first >> order; echo 'it is ready'", ready=Ready(log="is ready")
        )
        second = _sleeper("second", place, "echo second >> order", depends_on=("first",))
        services.configure([first, second])

        states = services.up(["second"])

        assert _words(states) == {"first": "running", "second": "running"}
        assert [s.component for s in states] == ["first", "second"]
        until(lambda: (place / "order").read_text().split() == ["first", "second"])

    def test_every_kind_of_readiness_is_waited_for(self, services: Services, place: Path) -> None:
        tcp, http = _free_port(), _free_port()
        server = "exec python -m http.server {} --bind 127.0.0.1"
        services.configure(
            [
                _shell("tcp", place, f"sleep 0.2; {server.format(tcp)}", ready=Ready(tcp=f"127.0.0.1:{tcp}")),
                _shell(
                    "http", place, f"sleep 0.2; {server.format(http)}", ready=Ready(http=f"http://127.0.0.1:{http}/")
                ),
                _sleeper("file", place, "sleep 0.2; touch there", ready=Ready(file=str(place / "there"))),
                _sleeper("log", place, "sleep 0.2; echo there", ready=Ready(log="there")),
            ]
        )

        services.up()

        assert (place / "there").exists()
        for port in (tcp, http):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()

    def test_what_runs_already_is_left_alone(self, services: Services, place: Path) -> None:
        services.configure([_sleeper("one", place), _sleeper("two", place)])
        before = _pids(services.up(["one"]))

        after = _pids(services.up())

        assert after["one"] == before["one"]
        assert after["two"] is not None

    def test_a_component_whose_definition_has_changed_is_started_again(self, services: Services, place: Path) -> None:
        one, two = _sleeper("one", place), _sleeper("two", place)
        services.configure([one, two])
        before = _pids(services.up())
        services.configure([replace(one, env={"WORD": "new"}), two])

        assert {s.component: s.changed for s in services.states()}["two"] is False
        after = _pids(services.up())

        assert after["one"] != before["one"]
        assert after["two"] == before["two"]
        assert not any(s.changed for s in services.states())

    def test_a_component_that_is_killed_runs_again(self, services: Services, place: Path) -> None:
        services.configure([_sleeper("one", place)])
        first = _pids(services.up())["one"]
        os.kill(first, signal.SIGKILL)

        until(lambda: _of(services, "one").state == "running" and _pids(services.states())["one"] != first)

        assert _of(services, "one").restarts == 1

    def test_the_components_run_on_when_the_handle_is_closed(
        self, opened: Opened, services: Services, place: Path
    ) -> None:
        component = _sleeper("one", place)
        with opened() as first:
            first.configure([component])
            before = _pids(first.up())["one"]

        services.configure([component])

        assert _pids(services.states())["one"] == before
        assert _pids(services.up())["one"] == before

    def test_down_stops_what_depends_on_a_component_before_it(self, services: Services, place: Path) -> None:
        trap = "trap 'echo {} >> order; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
        ready = Ready(log="ready")
        services.configure(
            [
                _shell("first", place, trap.format("first"), ready=ready),
                _shell("second", place, trap.format("second"), ready=ready, depends_on=("first",)),
                _sleeper("other", place),
            ]
        )
        services.up()

        states = services.down(["first"])

        assert _words(states) == {"first": "stopped", "second": "stopped", "other": "running"}
        assert (place / "order").read_text().split() == ["second", "first"]

    def test_nothing_of_a_component_is_left_when_it_is_down(self, services: Services, place: Path) -> None:
        services.configure(
            [_shell("one", place, "sleep 1000 & echo $! > child; echo ready; wait", ready=Ready(log="ready"))]
        )
        pid = _pids(services.up())["one"]
        child = int((place / "child").read_text())

        services.down()

        assert not _runs(pid)
        until(lambda: not _runs(child))

    def test_one_that_ignores_its_stop_signal_is_killed_in_time(self, services: Services, place: Path) -> None:
        stubborn = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
        services.configure([_shell("one", place, stubborn, ready=Ready(log="ready"), stop_timeout=1.0)])
        pid = _pids(services.up())["one"]

        services.down()

        until(lambda: not _runs(pid))

    def test_the_stop_signal_is_the_one_that_the_definition_names(self, services: Services, place: Path) -> None:
        trap = "trap 'echo INT > got; exit 0' INT; echo ready; while :; do sleep 0.05; done"
        # A shell in the background ignores SIGINT, and a trap on what was ignored at its start does nothing.
        services.configure(
            [_shell("one", place, trap.replace("INT", "USR1"), ready=Ready(log="ready"), stop_signal="USR1")]
        )
        services.up()

        services.down()

        assert (place / "got").read_text().strip() == "USR1"

    def test_restart_goes_one_after_the_other_and_each_gets_a_new_process(
        self, services: Services, place: Path
    ) -> None:
        services.configure(
            [_sleeper("one", place), _sleeper("two", place, depends_on=("one",)), _sleeper("three", place)]
        )
        before = _pids(services.up())
        told: list[tuple[str, str]] = []

        after = _pids(services.restart(["one", "two"], said=lambda s: told.append((s.component, s.state))))

        assert after["one"] != before["one"]
        assert after["two"] != before["two"]
        assert after["three"] == before["three"]
        # The second is touched when the first is ready again.
        assert told.index(("one", "running")) < min(i for i, (name, _) in enumerate(told) if name == "two")

    def test_a_restart_that_fails_leaves_those_after_it_untouched(self, services: Services, place: Path) -> None:
        broken = _shell("one", place, "[ -e broken ] && exit 3; echo ready; exec sleep 1000", ready=Ready(log="ready"))
        services.configure([broken, _sleeper("two", place)])
        before = _pids(services.up())
        (place / "broken").touch()

        with pytest.raises(NotReady, match="one"):
            services.restart()

        assert _pids(services.states())["two"] == before["two"]

    def test_one_that_cannot_be_started_is_said_and_the_others_run(self, services: Services, place: Path) -> None:
        services.configure(
            [
                Component("broken", ("/no/such/program",), cwd=place, retries=1),
                _sleeper("fine", place),
                _sleeper("behind", place, depends_on=("broken",)),
            ]
        )

        with pytest.raises(NotReady) as said:
            services.up()

        assert {s.component for s in said.value.states} == {"broken", "behind"}
        assert "broken" in str(said.value)
        assert said.value.hint == "ptolemy logs broken"
        assert _words(services.states())["fine"] == "running"

    def test_one_that_is_not_ready_in_time_is_said(self, services: Services, place: Path) -> None:
        services.configure([_sleeper("slow", place, ready=Ready(log="never", timeout=0.5), retries=1)])

        with pytest.raises(NotReady, match=r"not ready within 0\.5 s"):
            services.up()

    def test_one_that_ends_by_itself_is_done_where_it_need_not_run_again(self, services: Services, place: Path) -> None:
        job = _shell("job", place, "echo done > done", restart="never")
        services.configure([job, _sleeper("after", place, depends_on=("job",))])

        services.up()

        assert (place / "done").exists()
        state = _of(services, "job")
        assert (state.state, state.code) == ("exited", 0)
        assert _of(services, "after").state == "running"

    def test_one_that_says_nothing_new_for_too_long_is_stale(self, services: Services, place: Path) -> None:
        services.configure([_sleeper("one", place, fresh=Fresh(file=str(place / "beat"), max_age=1.0))])
        (place / "beat").touch()
        services.up()

        until(lambda: _of(services, "one").state == "stale")
        (place / "beat").touch()

        until(lambda: _of(services, "one").state == "running")
        age = _of(services, "one").age
        assert age is not None
        assert age < 1.5

    def test_the_log_goes_on_where_the_part_before_ended(self, services: Services, place: Path) -> None:
        services.configure(
            [_shell("one", place, "echo begin; until [ -e go ]; do sleep 0.02; done; echo end; exec sleep 1000")]
        )
        services.up()
        until(lambda: "begin" in services.log("one").text)
        part = services.log("one")
        (place / "go").touch()

        until(lambda: "end" in services.log("one", part.offset).text)
        assert "begin" not in services.log("one", part.offset).text

    def test_no_secret_is_in_the_log_the_states_or_the_processes(self, services: Services, place: Path) -> None:
        services.configure([_sleeper("one", place, "echo the token is $API_TOKEN", env={"API_TOKEN": SECRET})])
        services.up()

        until(lambda: "the token is ***" in services.log("one").text)
        assert SECRET not in services.log("one").text
        assert SECRET not in repr(services.states())
        shown = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if _readable(p)]
        assert not [line for line in shown if SECRET.encode() in line]

    def test_a_group_stands_for_its_components(self, services: Services, place: Path) -> None:
        services.configure(
            [_sleeper("one", place, group="pair"), _sleeper("two", place, group="pair"), _sleeper("three", place)]
        )

        states = services.up(["pair"])

        assert _words(states) == {"one": "running", "two": "running", "three": "stopped"}

    def test_an_unknown_name_is_answered_with_the_nearest_and_changes_nothing(
        self, services: Services, place: Path
    ) -> None:
        services.configure([_sleeper("collector", place)])

        for verb in (services.up, services.down, services.restart):
            with pytest.raises(UnknownComponent) as said:
                verb(["colector"])
            assert said.value.hint == "did you mean 'collector'?"
        with pytest.raises(UnknownComponent):
            services.log("colector")
        assert _words(services.states()) == {"collector": "stopped"}

    def test_the_files_of_a_component_are_as_open_as_those_of_whoever_started_it(
        self, services: Services, place: Path
    ) -> None:
        (place / "mine").touch()
        services.configure([_sleeper("one", place, "touch its")])
        services.up()

        until((place / "its").exists)
        assert (place / "its").stat().st_mode == (place / "mine").stat().st_mode

    def test_states_tell_what_a_component_uses(self, services: Services, place: Path) -> None:
        services.configure([_shell("one", place, "while :; do :; done")])
        services.up()

        until(lambda: _of(services, "one").cpu > 0)

        state = _of(services, "one")
        assert state.rss > 100_000
        assert state.threads >= 1
        assert time.time() - 60 < state.since <= time.time() + 1


def until(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait until `condition` holds; fail after `seconds`, which only a failure takes."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)


def _shell(name: str, place: Path, script: str, **words: Any) -> Component:
    return Component(name, ("sh", "-c", script), cwd=place, stop_timeout=words.pop("stop_timeout", 5.0), **words)


def _sleeper(name: str, place: Path, script: str = ":", **words: Any) -> Component:
    return _shell(name, place, f"{script}; exec sleep 1000", **words)


def _words(states: list[State]) -> dict[str, str]:
    return {s.component: s.state for s in states}


def _pids(states: list[State]) -> dict[str, Any]:
    return {s.component: s.pid for s in states}


def _of(services: Services, name: str) -> State:
    return next(s for s in services.states() if s.component == name)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _runs(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    return False


def _readable(path: Path) -> bool:
    with suppress(OSError):
        return bool(path.read_bytes())
    return False


@contextmanager
def nobody_left(folder: Path) -> Iterator[None]:
    """Kill, after a test, what bears `folder` in its command or environment; a test that failed may leave some."""
    try:
        yield
    finally:
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                if os.fsencode(folder) in words and int(entry.name) != os.getpid():
                    os.kill(int(entry.name), signal.SIGKILL)
