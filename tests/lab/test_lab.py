"""What a team does with a lab: sign in, run notebooks, find their runs; and what it survives."""

from __future__ import annotations

import http.client
import http.cookiejar
import json
import os
import re
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
from tests.lab.conftest import ROOT, Project, Running
from tests.listening import is_loopback, tree

SCHEMA = json.loads((ROOT / "docs" / "reference" / "lineage.schema.json").read_text())
RUN = """
import jiyuan as jy, exia, ptolemy
version = ptolemy.versions("daily")[-1]
closes = jy.api().daily(fields="ts_code,trade_date,close", as_of=version.id)
trend = exia.load("trend")
with jy.run("idea", params={"window": 5}) as run:
    run.log_package(trend)
    run.log_dataset("daily", version.id, rows=len(closes), digest=version.digest)
    run.log_metric("held", trend.factory(window=5).signal(closes["close"].tolist()))
print(run.id)
"""


def until(ask: Callable[[], object], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < end, f"{ask} was never so"
        time.sleep(0.1)


def mirrored(lab: Running, name: str) -> set[str]:
    """Return the runs called `name` that MLflow has, by the id that Exia gave them; none while it is down."""

    def ask(path: str, data: object = None) -> Any:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(
            f"{lab.tracker}/api/2.0/mlflow/{path}", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    try:
        experiment = ask("experiments/get-by-name?experiment_name=jiyuan")["experiment"]["experiment_id"]
        wanted = {"experiment_ids": [experiment], "max_results": 1000, "filter": f"attributes.run_name = '{name}'"}
        runs = ask("runs/search", wanted).get("runs", [])
    except (OSError, http.client.HTTPException):
        return set()
    return {tag["value"] for r in runs for tag in r["data"]["tags"] if tag["key"] == "exia.run_id"}


def test_a_notebook_run_through_the_hub_is_a_run_with_lineage(lab: Running):
    lab.hub.start_server("alice")
    (said,) = lab.hub.run_notebook("alice", [RUN])

    record = lab.project.told("jiyuan", "trace", said.strip())["lineage"]
    jsonschema.validate(record, SCHEMA)
    (package,) = lab.project.told("veda", "list")
    (data,) = lab.project.told("ptolemy", "versions", "daily")
    assert (record["kind"], record["name"], record["user"], record["state"]) == (
        "notebook",
        "idea",
        "alice",
        "succeeded",
    )
    assert record["parameters"]["values"] == {"window": 5}
    assert [(p["ref"], p["digest"]) for p in record["packages"]] == [(f"trend@{package['version']}", package["digest"])]
    assert [(d["version"], d["digest"], d["rows"]) for d in record["datasets"]] == [("1", data["digest"], 180)]


def test_runs_of_notebooks_and_of_flows_are_in_one_list(lab: Running):
    lab.hub.start_server("alice")
    (said,) = lab.hub.run_notebook("alice", [RUN])

    users = lab.project.told("jiyuan", "trace", "--uses", "daily@v1")
    assert {"flow", "notebook"} == {user["kind"] for user in users}
    assert said.strip() in {user["run_id"] for user in users}


def test_what_a_notebook_is_made_of_is_recorded(lab: Running):
    lab.hub.start_server("alice")
    cells = ["import exia", "with exia.run('made of') as run: pass\nprint(run.id)"]
    run = lab.hub.run_notebook("alice", cells, "made.ipynb")[1].strip()

    facts = lab.project.told("exia", "runs", "show", run)["facts"]["notebook"]
    assert facts["path"].endswith("/users/alice/made.ipynb")
    assert facts["cells"] == 2
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", facts["digest"])


def test_trace_is_there_without_loading_it(lab: Running):
    lab.hub.start_server("alice")
    shown = lab.hub.run_notebook("alice", [RUN, "%trace {run.id}", "%load_ext jiyuan\n%trace {run.id}"])

    for page in shown[1:]:
        assert "daily@v1" in page
        assert "alice" in page


def test_a_tracker_killed_in_the_middle_of_a_run_loses_none(lab: Running):
    lab.hub.start_server("bob")
    before = lab.project.pids()["tracker"]
    begin = (
        "import exia, os, signal\nrun = exia.run('kept').start(); run.log_metric('a', 1.0)\nrun.flush(); ids = [run.id]"
    )
    kill = f"os.kill({before}, signal.SIGKILL)"
    rest = (
        "for n in range(20):\n    with exia.run('kept', params={'n': n}) as other:\n        other.log_metric('a', n)\n"
        "    ids.append(other.id)\nrun.log_metric('a', 2.0); run.finish(); print(' '.join(ids))"
    )
    ids = set(lab.hub.run_notebook("bob", [begin, kill, rest])[2].split())

    assert len(ids) == 21
    kept = lab.project.told("exia", "runs", "list", "--limit", "100")
    assert ids <= {row["id"] for row in kept if row["status"] == "finished"}  # whatever the tracker does
    until(lambda: lab.project.pids()["tracker"] not in (None, before))  # kept running by Ptolemy
    until(lambda: lab.project.call("exia", "runs", "ship").returncode == 0 and mirrored(lab, "kept") == ids)


def test_a_hub_that_is_killed_comes_back_and_leaves_the_notebooks_running(lab: Running):
    lab.hub.start_server("carol")
    status, kernel = lab.hub.ask("POST", "/user/carol/api/kernels", {"name": "python3"})
    assert status == 201
    lab.hub._run("carol", kernel["id"], ["kept = 41"])
    before = lab.project.pids()
    os.kill(before["hub"], signal.SIGKILL)
    until(lambda: lab.project.pids()["hub"] not in (None, before["hub"]))
    until(lambda: lab.hub.ask("GET", "/hub/api/users/carol")[0] == 200)

    assert lab.project.pids()["proxy"] == before["proxy"]
    until(lambda: lab.hub.ask("GET", "/user/carol/api/status")[0] == 200)
    assert lab.hub._run("carol", kernel["id"], ["print(kept + 1)"]) == ["42\n"]


def test_up_again_changes_nothing_and_says_where_it_is(lab: Running):
    before = lab.project.pids()
    secret = lab.password.read_text()

    done = lab.project.call("jiyuan", "lab", "up")

    assert done.returncode == 0
    assert done.stdout.split() == ["lab", lab.hub.url, "tracker", lab.tracker]
    assert done.stderr == ""  # where the password lies was said once
    assert (lab.project.pids(), lab.password.read_text()) == (before, secret)
    assert str(lab.password) in lab.said


def test_a_second_hub_on_the_same_port_is_refused_in_one_line(lab: Running, tmp_path: Path):
    other = Project(tmp_path / "other", lab.project.ports)
    other.folder.mkdir()
    (other.folder / "jiyuan.toml").write_text("")

    done = other.call("jiyuan", "lab", "up")

    assert done.returncode == 5
    assert done.stderr.splitlines() == [
        f"error: port {lab.project.ports[0]} of 127.0.0.1 is taken by another program",
        f"hint: jiyuan lab up --port {lab.project.ports[0] + 1}",
    ]
    assert other.told("jiyuan", "lab", "status") == []


def test_doctor_asks_hub_and_tracker(lab: Running):
    rows = {row["name"]: row for row in json.loads(lab.project.call("jiyuan", "doctor", "--json").stdout)}

    assert rows["lab hub"]["detail"].startswith("JupyterHub 6")
    assert rows["lab tracker"]["detail"].startswith("MLflow 3")


def test_whoever_has_the_password_signs_in_and_nobody_else(lab: Running):
    assert sign_in(lab, "dora", lab.password.read_text().strip()) == 302
    assert sign_in(lab, "dora", "wrong-password") == 403
    assert sign_in(lab, "../../dora", lab.password.read_text().strip()) == 403
    assert sign_in(lab, "d" * 33, lab.password.read_text().strip()) == 403


def sign_in(lab: Running, user: str, password: str) -> int:
    """Return the status of the answer to the form of the login page."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: object) -> None:
            return None

    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar), Stay())
    page = browser.open(f"{lab.hub.url}/hub/login", timeout=60).read().decode()
    found = re.search(r'name="_xsrf"\s+value="([^"]+)"', page)
    assert found, page[:2000]
    form = {"username": user, "password": password, "_xsrf": found[1]}
    try:
        return browser.open(f"{lab.hub.url}/hub/login", urllib.parse.urlencode(form).encode(), timeout=60).status
    except urllib.error.HTTPError as exc:
        return exc.code


def test_a_call_under_a_foreign_name_is_told_nothing(lab: Running):
    for port, path in (
        (lab.project.ports[0], "/hub/login"),
        (lab.project.ports[1], "/api/2.0/mlflow/experiments/search"),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", path, headers={"Host": f"evil.example:{port}"})
        answer = connection.getresponse()
        assert answer.status in (403, 418), path
        assert b"upyter" not in answer.read()
        connection.close()


def test_nobody_without_a_token_uses_the_hub_or_a_users_server(lab: Running):
    lab.hub.start_server("alice")
    stranger = type(lab.hub)(lab.hub.url, "0" * 64)

    assert stranger.ask("GET", "/hub/api/users")[0] == 403
    assert stranger.ask("GET", "/user/alice/api/contents")[0] == 403


def test_all_of_it_listens_on_loopback_alone(lab: Running):
    lab.hub.start_server("erin")  # by the hub that runs now: what a killed one started has another parent
    pids = {pid for root in lab.project.pids().values() for pid in tree(root)}
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(str(link.readlink()))
            except OSError:  # closed meanwhile
                continue
    rows = [
        line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    found = {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes}

    assert len(found) >= 5  # proxy twice, hub, tracker, a user's server
    assert all(map(is_loopback, found)), found


def test_no_secret_is_in_a_message_a_log_or_ps(lab: Running):
    names = ("password", "operator.token", "proxy.password", "cookie")
    secrets = [(lab.folder / name).read_text().strip() for name in names]
    logs = [p.read_text(errors="replace") for p in (lab.folder / "services").rglob("*.log*")]
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue

    assert len(logs) >= 3
    for name, secret in zip(names, secrets, strict=True):
        assert (lab.folder / name).stat().st_mode & 0o777 == 0o600
        assert not any(secret in text for text in [*logs, *commands, lab.said]), name
    assert lab.folder.stat().st_mode & 0o777 == 0o700


def test_logs_show_what_a_program_says(lab: Running):
    done = lab.project.call("jiyuan", "lab", "logs", "hub", "--lines", "1000", "--search", "now running")

    assert done.returncode == 0
    assert "JupyterHub is now running" in done.stdout
    assert lab.project.call("jiyuan", "lab", "logs", "nobody").returncode == 3
