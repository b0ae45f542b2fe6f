"""A real Airflow in a throw-away home: its commands, and its scheduler with all that belongs to it, on loopback."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
#: Each tested version of Airflow, and the folder of its own environment at the root.
VERSIONS = {"3.3": ".venv-airflow", "2.11": ".venv-airflow-2.11"}
#: Their servers of logs listen on all addresses, and no setting changes that; the logs lie in files all the same.
_QUIET = {"scheduler": ["--skip-serve-logs"], "celery worker": ["--skip-serve-logs", "--without-gossip"]}
_KEPT = ("HOME", "LANG", "PATH", "TMPDIR", "SSL_CERT_FILE")


class Airflow:
    """Runs programs of an Airflow environment in one home, with its metadata in SQLite."""

    def __init__(self, home: Path, version: str = "3.3", **settings: str) -> None:
        self.home = home
        self.version = version
        self.environment = ROOT / VERSIONS[version]
        self.dags = home / "dags"
        self.dags.mkdir(parents=True)
        self.variables = {
            **{name: value for name, value in os.environ.items() if name in _KEPT},
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
            **settings,
        }

    @property
    def installed(self) -> bool:
        """Whether the environment is there."""
        return (self.environment / "bin" / "airflow").exists()

    def call(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment to its end."""
        return subprocess.run(
            [str(self.environment / "bin" / words[0]), *words[1:]],
            env={**self.variables, **environment},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=600,
        )

    def migrate(self) -> None:
        """Make the tables of the metadata."""
        made = self.call("airflow", "db", "migrate")
        assert made.returncode == 0, made.stderr


class Scheduled(Airflow):
    """An Airflow 3 that runs by itself: API server, DAG processor, scheduler and, with Celery, a worker.

    Parameters
    ----------
    redis
        URL of the broker; without one the scheduler executes tasks itself, by ``LocalExecutor``.
    told
        Variables that the tasks, and so their commands, find in their environment.
    """

    def __init__(
        self, home: Path, *, redis: str = "", told: Mapping[str, str] | None = None, parallel: int = 2
    ) -> None:
        port = _free_port()
        super().__init__(
            home,
            **dict(told or {}),
            AIRFLOW__CORE__EXECUTOR="CeleryExecutor" if redis else "LocalExecutor",
            AIRFLOW__CORE__PARALLELISM=str(parallel),
            AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION="False",
            AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="True",
            AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"http://127.0.0.1:{port}/execution/",
            AIRFLOW__API__HOST="127.0.0.1",
            AIRFLOW__API__PORT=str(port),
            AIRFLOW__API__BASE_URL=f"http://127.0.0.1:{port}",
            AIRFLOW__API__WORKERS="1",
            AIRFLOW__API__SECRET_KEY=secrets.token_hex(32),
            AIRFLOW__API_AUTH__JWT_SECRET=secrets.token_hex(64),
            AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD="10",
            AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL="5",
            AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT="20",
            AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL="5",
            AIRFLOW__CELERY__BROKER_URL=redis,
            AIRFLOW__CELERY__RESULT_BACKEND=redis,
            AIRFLOW__CELERY__WORKER_CONCURRENCY=str(parallel),
        )
        self.port = port
        self.programs = ["api-server", "dag-processor", "scheduler", *(["celery worker"] if redis else [])]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make the metadata, start all programs, and stop them at the end."""
        self.migrate()
        with ExitStack() as stack:
            for program in self.programs:
                stack.callback(self.stop, program)
                self.start(program)
                if program == "api-server":  # the others call it at once
                    self.wait(self._answers, "the API server answers")
            yield

    def start(self, program: str) -> None:
        """Start one program, which leads a session of its own; its output goes to a file in the home."""
        with (self.home / f"{program.replace(' ', '-')}.log").open("ab") as log:
            self.processes[program] = subprocess.Popen(
                [str(self.environment / "bin" / "airflow"), *program.split(), *_QUIET.get(program, ())],
                env=self.variables,
                cwd=self.home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self, program: str) -> None:
        """Ask a program to end; after fifteen seconds it and its children are killed."""
        process = self.processes.pop(program, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _kill_session(process)

    def kill(self, program: str) -> None:
        """Kill a program and its children, as a machine that fails does."""
        _kill_session(self.processes.pop(program))

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG, the oldest first."""
        found = self._get(f"/api/v2/dags/{dag}/dagRuns?order_by=run_after")
        return list(found["dag_runs"])

    def tasks(self, dag: str, run: str) -> list[dict[str, Any]]:
        """Return the tasks of a run."""
        return list(self._get(f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances?limit=1000")["task_instances"])

    def trigger(self, dag: str, **params: Any) -> str:
        """Begin a run by hand; return its name."""
        return str(self._get(f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None, "conf": params})["dag_run_id"])

    def ended(self, dag: str, run: str) -> bool:
        """Tell whether a run has ended."""
        return bool(self._get(f"/api/v2/dags/{dag}/dagRuns/{run}")["end_date"])

    def knows(self, dag: str) -> bool:
        """Tell whether the DAG has been read."""
        return any(found["dag_id"] == dag for found in self._get("/api/v2/dags?limit=1000")["dags"])

    def wait(self, happened: Callable[[], Any], what: str, *, longest: float = 180) -> Any:
        """Return what `happened` returns once it is true; raise `TimeoutError` after `longest` seconds."""
        until = time.monotonic() + longest
        while not (found := happened()):
            for program, process in self.processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"airflow {program} has ended: {self.said(program)}")
            if time.monotonic() > until:
                raise TimeoutError(f"not within {longest:g} s: {what}\n" + "".join(map(self.said, self.processes)))
            time.sleep(0.2)
        return found

    def said(self, program: str) -> str:
        """Return the end of what a program has said."""
        return (self.home / f"{program.replace(' ', '-')}.log").read_text(errors="replace")[-3000:]

    def _answers(self) -> bool:
        from http.client import HTTPException

        try:
            return bool(self._get("/api/v2/version"))
        except (OSError, HTTPException):
            return False

    def _get(self, path: str, body: object = None) -> Any:
        from urllib.request import ProxyHandler, Request, build_opener

        headers = {"Content-Type": "application/json"}
        if not path.endswith("/version"):
            headers["Authorization"] = f"Bearer {self._token()}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        with build_opener(ProxyHandler({})).open(request, timeout=30) as answer:
            return json.load(answer)

    def _token(self) -> str:
        from urllib.request import ProxyHandler, build_opener

        if not hasattr(self, "_kept_token"):
            with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{self.port}/auth/token", timeout=30) as answer:
                self._kept_token: str = json.load(answer)["access_token"]
        return self._kept_token


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _kill_session(leader: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the session that `leader` led: Airflow's tasks have groups of their own in it."""
    import signal

    while left := _members(leader.pid):
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        leader.poll()
        time.sleep(0.02)
    leader.wait()


def _members(session: int) -> list[int]:
    """Return the processes of a session that still run."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, _, _, its = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if int(its) == session and state != "Z":
                found.append(int(folder.name))
    return found
