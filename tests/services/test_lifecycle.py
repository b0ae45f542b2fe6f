"""Nothing is left behind, whichever way a run ends, and what is missing is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.services import places, running
from tests.services.process import StartFailed
from tests.services.redis import Redis
from tests.services.running import Running, create
from tests.services.table import SERVICES, service

ROOT = Path(__file__).resolve().parents[2]

HOLDER = """
import sys
from tests.services.running import Running
services = Running()
try:
    print(services.folder, services.start("redis").pid, flush=True)
    sys.stdin.read()
finally:
    services.close()
"""

needs_redis = pytest.mark.skipif(
    places.find(service("redis")) is None, reason="redis is not installed; hint: scripts/services install"
)


@pytest.fixture
def holder():
    """Run a process that has started Redis and waits; give it, its folder and Redis's process id."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        assert process.stdout is not None
        folder, pid = process.stdout.readline().decode().split()
        yield process, Path(folder), int(pid)
        process.kill()


@needs_redis
def test_ctrl_c_leaves_no_process_and_no_file(holder):
    process, folder, pid = holder

    process.send_signal(signal.SIGINT)
    process.wait(20)

    assert not folder.exists()
    assert not _runs(pid)


@needs_redis
def test_a_killed_run_takes_its_servers_with_it_and_the_next_run_removes_its_files(holder):
    process, folder, pid = holder

    process.kill()
    process.wait(20)

    assert _becomes(lambda: not _runs(pid))
    Running().close()
    assert not folder.exists()


@needs_redis
def test_a_server_that_cannot_start_says_why_at_once(tmp_path):
    server = create("redis", tmp_path / "redis")
    server.release_ports()
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "appendonlydir").write_text("a file where Redis wants a folder")

    with pytest.raises(StartFailed, match=r"redis ended with 1(?s:.*)appendonlydir"):
        server.start()
    assert server.pid is None


@needs_redis
def test_two_servers_of_a_kind_live_side_by_side(tmp_path):
    first, second = create("redis", tmp_path / "1"), create("redis", tmp_path / "2")
    try:
        first.start()
        second.start()

        assert first.url("") != second.url("")
    finally:
        first.stop()
        second.stop()


def test_a_hidden_binary_is_named_with_what_to_type(monkeypatch, tmp_path):
    monkeypatch.setenv("JIYUAN_SERVICES_PATH", str(tmp_path))

    with pytest.raises(places.Missing, match="redis: redis-server is not installed; hint: scripts/services install"):
        Redis(tmp_path)


def test_required_fails_at_once_and_names_the_missing_server(tmp_path):
    done = _pytest("--version", JIYUAN_SERVICES="auto")
    assert done.returncode == 0

    for row in SERVICES:
        if row.word != "redis" and (found := places.find(row)):
            (tmp_path / row.binary).symlink_to(found)
    done = _pytest("tests/services/test_table.py", JIYUAN_SERVICES="required", JIYUAN_SERVICES_PATH=str(tmp_path))

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "redis: redis-server is not installed" in done.stderr


def test_an_unknown_mode_is_refused(tmp_path):
    done = _pytest("tests/services/test_table.py", JIYUAN_SERVICES="always")

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "JIYUAN_SERVICES='always' is none of auto, required, off" in done.stderr


def test_a_given_url_is_used_instead_of_starting_a_server(monkeypatch):
    row = service("seaweedfs")
    monkeypatch.setenv("VEDA_TEST_MINIO_URL", "minio://k:s@127.0.0.1:1/b?secure=false")
    monkeypatch.delenv("EXIA_TEST_MINIO_URL", raising=False)

    assert running.given(row)["VEDA_TEST_MINIO_URL"] == "minio://k:s@127.0.0.1:1/b?secure=false"
    assert "EXIA_TEST_MINIO_URL" not in running.given(row)


def test_a_marked_test_is_skipped_with_one_line_where_no_server_is(tmp_path):
    suite = tmp_path / "test_it.py"
    suite.write_text("import pytest\n@pytest.mark.redis\ndef test_it():\n    raise AssertionError\n")

    done = _pytest(str(suite), "-rs", JIYUAN_SERVICES_PATH=str(tmp_path))

    assert "set KYRIOS_TEST_REDIS_URL, or redis is not installed: scripts/services install" in done.stdout
    assert "services missing: postgresql, redis" in done.stdout


@needs_redis
def test_urls_are_there_before_collection_and_answer_in_a_marked_test(tmp_path):
    suite = tmp_path / "test_it.py"
    suite.write_text(
        "import os, socket, urllib.parse, pytest\n"
        "URL = os.environ['KYRIOS_TEST_REDIS_URL']\n"
        "@pytest.mark.redis\n"
        "def test_it():\n"
        "    socket.create_connection(('127.0.0.1', urllib.parse.urlsplit(URL).port)).close()\n"
    )

    done = _pytest(str(suite), JIYUAN_SERVICES="auto")

    assert done.returncode == 0, done.stdout
    assert f"redis {places.version(service('redis'))}" in done.stdout


@needs_redis
def test_a_pytest_inside_a_test_does_not_take_the_outer_ones_urls_for_the_persons(tmp_path):
    suite = tmp_path / "test_it.py"
    suite.write_text("import os\ndef test_it():\n    print(os.environ['KYRIOS_TEST_REDIS_URL'])\n")
    outer = {"KYRIOS_TEST_REDIS_URL": "redis://127.0.0.1:1", "JIYUAN_SERVICES_EXPORTED": "KYRIOS_TEST_REDIS_URL"}

    done = _pytest(str(suite), "-s", JIYUAN_SERVICES="auto", **outer)

    assert done.returncode == 0, done.stdout
    assert "redis://127.0.0.1:1\n" not in done.stdout
    assert "services given" not in done.stdout


def _pytest(*argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        k: v for k, v in os.environ.items() if "_TEST_" not in k and not k.startswith("JIYUAN_SERVICES")
    } | variables
    command = [sys.executable, "-m", "pytest", "-p", "tests.services.plugin", "-p", "no:cacheprovider", *argv]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _becomes(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()
