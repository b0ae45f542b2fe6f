from __future__ import annotations

import socket
import threading

import pytest

from veda._house.doctor import Check, examine
from veda._house.errors import BackendUnavailable


def test_each_check_gets_its_own_finding_in_its_place():
    def refuse():
        raise BackendUnavailable("nobody listens", hint="start it")

    def fail():
        raise OSError("broken driver")

    findings = examine([Check("a", "file:a", lambda: "3 packages"), Check("b", "b://", refuse), Check("c", "c", fail)])

    assert [(f.name, f.ok, f.detail, f.hint) for f in findings] == [
        ("a", True, "3 packages", None),
        ("b", False, "nobody listens", "start it"),
        ("c", False, "OSError: broken driver", None),
    ]


def test_a_check_that_hangs_fails_at_the_deadline_and_does_not_hold_up_the_others():
    never = threading.Event()

    findings = examine([Check("dead", "db://h", lambda: str(never.wait())), Check("alive", "a", lambda: "yes")], 0.05)

    never.set()
    assert [(f.name, f.ok) for f in findings] == [("dead", False), ("alive", True)]
    assert findings[0].detail == "no answer within 0.05 s"
    assert findings[0].hint


@pytest.fixture
def dead():
    """Give the address of a port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"db://127.0.0.1:{taken.getsockname()[1]}/place"


def test_a_server_that_refuses_the_connection_is_told_though_its_driver_tries_again(dead):
    never = threading.Event()

    (finding,) = examine([Check("dead", dead, lambda: str(never.wait()))], 0.6)

    never.set()
    assert (finding.ok, finding.detail, finding.hint) == (False, "refuses the connection", "is the server running?")


def test_what_a_check_tells_of_a_dead_server_counts(dead):
    def ask():
        raise BackendUnavailable("is away; a copy of yesterday is here", hint="start it")

    (finding,) = examine([Check("dead", dead, ask)])

    assert (finding.ok, finding.detail, finding.hint) == (False, "is away; a copy of yesterday is here", "start it")


def test_a_server_that_listens_is_asked():
    with socket.create_server(("127.0.0.1", 0)) as server:
        (finding,) = examine([Check("alive", f"db://127.0.0.1:{server.getsockname()[1]}", lambda: "yes")])

    assert (finding.ok, finding.detail) == (True, "yes")


def test_a_late_command_still_leaves_each_backend_time_to_answer(monkeypatch):
    monkeypatch.setattr("veda._house.doctor._BEGUN", -1000.0)
    never = threading.Event()

    (finding,) = examine([Check("dead", "db://host", lambda: str(never.wait()))])

    never.set()
    assert finding.detail == "no answer within 0.9 s"


def test_all_checks_share_one_deadline():
    never = threading.Event()
    hanging = [Check(str(i), "db://host", lambda: str(never.wait())) for i in range(50)]

    findings = examine(hanging, 0.1)  # one after the other would take 5 s

    never.set()
    assert not any(f.ok for f in findings)
