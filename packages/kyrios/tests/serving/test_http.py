"""Flows over HTTP: listed, judged, planned, rendered, run, followed, cancelled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest
from time_machine import travel

from kyrios import load_flow
from kyrios.errors import BadInput
from kyrios.serving import Tokens
from kyrios.serving.app import LARGEST
from kyrios.serving.server import FlowServer


def begun(ask, run):
    """Return when the first unit of a run is running."""
    for _, _, step in ask.steps(run):
        if (step.get("unit"), step["state"]) == ("numbers", "running"):
            return


def test_every_flow_is_listed_the_broken_ones_too(ask, flow_folder):
    flow_folder("broken").replace("flow.yaml", "flow: sums", "flwo: sums")

    broken, sums = ask.get("/flows").json

    assert (broken["name"], broken["usable"], broken["problems"] > 0) == ("broken", False, True)
    assert (sums["flow"], sums["units"], sums["usable"]) == ("sums", 4, True)


def test_a_flow_is_shown_with_its_units_and_a_schema_of_its_parameters(ask):
    flow = ask.get("/flows/sums").json

    assert [task["name"] for task in flow["tasks"]] == ["numbers", "again", "double", "both"]
    assert flow["params"]["properties"] == {"first": {"type": "integer", "default": 1}}


def test_a_flow_that_has_changed_is_read_again(ask, sums):
    before = ask.get("/flows/sums").json["digest"]
    sums.replace("flow.yaml", "first: 1", "first: 2")

    assert ask.get("/flows/sums").json["digest"] == load_flow(sums).digest != before


def test_validate_names_every_mistake_with_its_line(ask, sums):
    assert ask.post("/flows/sums/validate").json == {"name": "sums", "valid": True, "problems": []}
    sums.replace("flow.yaml", "use: both@1", "use: boht@1")

    found = ask.post("/flows/sums/validate").json
    refused = ask.post("/flows/sums/runs")

    assert found["valid"] is False
    assert (found["problems"][0]["line"], found["problems"][0]["file"].endswith("flow.yaml")) == (9, True)
    assert (refused.status, refused.json["problems"]) == (400, found["problems"])


def test_a_run_is_followed_step_by_step_to_its_end(ask):
    started = ask.post("/flows/sums/runs", {"params": {"first": 5}})
    steps = list(ask.steps(started.json["run"]))

    assert (started.status, started.headers["Location"]) == (202, f"/runs/{started.json['run']}")
    assert [id for id, kind, _ in steps if kind == "step"] == [str(n + 1) for n in range(len(steps) - 1)]
    assert [s["state"] for _, _, s in steps if s.get("unit") == "both"] == ["queued", "running", "succeeded"]
    assert steps[-1][1:] == ("end", {"state": "succeeded", "seconds": steps[-1][2]["seconds"]})


def test_who_was_cut_off_goes_on_where_he_was(ask):
    run = ask.post("/flows/sums/runs").json["run"]
    whole = list(ask.steps(run))

    assert list(ask.steps(run, **{"Last-Event-ID": "4"})) == whole[4:]


def test_a_run_that_another_program_drives_is_followed_as_well(ask, sums):
    run = load_flow(sums).run()

    assert list(ask.steps(run.run_id))[-1][2]["state"] == "succeeded"
    assert [line["run"] for line in ask.get("/runs?flow=sums").json] == [run.run_id]


def test_tables_and_logs_of_a_run_are_read(ask):
    run = ask.end_of(ask.post("/flows/sums/runs").json["run"])["run"]

    table = ask.get(f"/runs/{run}/tables/both.sums?limit=1").json
    log = ask.get(f"/runs/{run}/logs/numbers").json

    assert table == {"table": "both.sums", "rows": 2, "columns": {"n": "int64"}, "first": [{"n": 4}]}
    assert "first is 1\n" in log["text"]
    assert ask.get(f"/runs/{run}/logs/numbers?offset={log['offset']}").json["text"] == ""
    assert ask.get(f"/runs/{run}/logs/numbers?offset=-5").json["text"] == log["text"][-5:]


def test_a_log_is_never_cut_inside_of_a_character(tmp_path, ask, sums):
    from kyrios.execution import log_path
    from kyrios.serving import answers

    run = ask.end_of(ask.post("/flows/sums/runs").json["run"])["run"]
    text = "xx" + "绩元" * 50_000
    log_path(run, "numbers").write_text(text, encoding="utf-8")

    first = ask.get(f"/runs/{run}/logs/numbers").json
    second = ask.get(f"/runs/{run}/logs/numbers?offset={first['offset']}").json

    assert len(first["text"].encode()) < answers.LONGEST_LOG
    assert first["text"] + second["text"] == text


def test_a_run_is_cancelled_and_resumed(ask, gate):
    run = ask.post("/flows/sums/runs").json["run"]
    begun(ask, run)

    assert ask.post(f"/runs/{run}/cancel").status == 202
    cancelled = ask.end_of(run)
    gate.touch()
    resumed = ask.post(f"/runs/{run}/resume")

    assert (cancelled["state"], cancelled["units"][0]["state"]) == ("cancelled", "cancelled")
    assert resumed.status == 202
    assert ask.end_of(run)["state"] == "succeeded"


def test_a_run_that_has_ended_is_not_cancelled(ask):
    run = ask.post("/flows/sums/runs").json["run"]
    ask.end_of(run)

    assert ask.post(f"/runs/{run}/cancel").status == 409
    assert ask.post(f"/runs/{run}/resume").status == 409
    assert ask.post("/runs/none/cancel").status == 404


def test_a_run_whose_process_is_killed_is_recorded_as_cancelled(serving, gate):
    server, ask = serving()
    run = ask.post("/flows/sums/runs").json["run"]
    begun(ask, run)
    os.killpg(server.service.runs._under_way[run].pid, signal.SIGKILL)

    ended = ask.end_of(run)

    assert ended["state"] == "cancelled"
    assert "signal 9" in ended["units"][0]["reason"]


def test_the_end_of_the_server_cancels_its_runs(sums, gate):
    with FlowServer([sums.folder], 0) as server:
        run, _ = server.service.runs.start(load_flow(sums))

    from kyrios import get_run

    assert get_run(run.run_id).state == "cancelled"


def test_a_request_that_is_sent_again_with_its_run_id_starts_nothing(serving):
    server, ask = serving()
    first = ask.post("/flows/sums/runs", {"run_id": "mine-1"})
    again = ask.post("/flows/sums/runs", {"run_id": "mine-1"})
    other = ask.post("/flows/sums/runs", {"run_id": "mine-1", "params": {"first": 9}})

    assert (first.status, again.status, other.status) == (202, 200, 409)
    assert server.service.runs.started == 1
    ask.end_of("mine-1")


def test_a_run_that_a_server_recorded_and_died_before_it_was_started_is_started_by_the_next_request(ask, sums):
    from kyrios import open_data, open_history

    with open_history() as record:
        record.begin(load_flow(sums).head("mine-2", "local", {}, open_data()))

    assert ask.post("/flows/sums/runs", {"run_id": "mine-2"}).status == 202
    assert ask.end_of("mine-2")["state"] == "succeeded"


def test_no_more_runs_than_allowed_are_under_way(serving, gate):
    _, ask = serving(max_runs=1)
    run = ask.post("/flows/sums/runs").json["run"]
    refused = ask.post("/flows/sums/runs")
    gate.touch()

    assert (refused.status, "1 runs are under way" in refused.json["error"]) == (429, True)
    assert ask.end_of(run)["state"] == "succeeded"


def test_a_failed_unit_is_told_with_its_reason(ask, monkeypatch):
    monkeypatch.setenv("BREAK", "1")

    run = ask.end_of(ask.post("/flows/sums/runs").json["run"])

    assert run["state"] == "failed"
    assert "the numbers" in next(unit["error"] for unit in run["units"] if unit["unit"] == "double")


def test_a_dry_run_tells_what_would_run(ask):
    steps = ask.post("/flows/sums/runs", {"dry_run": True}).json["plan"]

    assert [step["unit"] for step in steps] == ["numbers", "again", "double", "both"]
    assert ask.get("/runs").json == []


def test_plan_shows_what_render_writes(serving, tmp_path):
    _, ask = serving(out=tmp_path / "dags")
    planned = ask.post("/flows/sums/plan", {"engine": "airflow"}).json
    rendered = ask.post("/flows/sums/render", {"engine": "airflow"}).json

    assert planned[0]["diff"].startswith("--- /dev/null")
    assert [file["digest"] for file in rendered] == [file["digest"] for file in planned]
    assert (tmp_path / "dags" / "sums.py").is_file()
    assert ask.post("/flows/sums/plan", {"engine": "airflow"}).json[0]["diff"] == ""
    (tmp_path / "dags" / "sums.py").write_text("mine")
    assert ask.post("/flows/sums/render", {"engine": "airflow"}).status == 409


def test_a_server_without_a_folder_for_files_writes_none(ask):
    refused = ask.post("/flows/sums/render", {"engine": "airflow"})

    assert (refused.status, "--out" in refused.json["hint"]) == (403, True)


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/flows/smus/runs", {}, 404, "did you mean 'sums'?"),
        ("/flows/..%2f..%2fetc/runs", {}, 404, ""),
        ("/flows/sums/runs", {"params": {"frist": 1}}, 400, "did you mean 'first'?"),
        ("/flows/sums/runs", {"params": {"first": "x"}}, 400, "type integer"),
        ("/flows/sums/runs", {"parms": {}}, 400, "did you mean 'params'?"),
        ("/flows/sums/runs", {"only": ["nubmers"]}, 404, "did you mean 'numbers'?"),
        ("/flows/sums/runs", {"run_id": "../x"}, 400, "cannot be the id"),
        ("/flows/sums/runs", {"engine": "airflow"}, 400, "by its own scheduler"),
        ("/flows/sums/runs", {"engine": "nothing"}, 400, "no engine backend"),
        ("/flows/sums/runs", {"engine": "celery://evil.example:6379"}, 403, "by its word alone"),
        ("/flows/sums/runs", {"workers": 0}, 400, "workers"),
        ("/flows/sums/runs", [], 400, "no JSON object"),
        ("/flows/sums/runs", b"{", 400, "no JSON"),
        ("/flows/sums/runs", b'{"params": {"first": NaN}}', 400, "no JSON"),
        ("/flows/sums/runs", b"[" * 100_000, 400, "no JSON"),
        ("/flows/sums/start", {}, 404, "openapi.json"),
        ("/flows", {}, 405, "openapi.json"),
    ],
)
def test_mistakes_are_answered_with_a_status_and_a_way_out(ask, path, body, status, text):
    answer = ask("POST", path, body)

    assert answer.status == status
    assert text in f"{answer.json['error']} {answer.json['hint']}"
    assert ask.get("/runs").json == []


@pytest.mark.parametrize("path", ["/runs?limit=x", "/runs?limit=1001", "/runs/none", "/runs/none/events", "/nothing"])
def test_questions_that_make_no_sense_are_refused(ask, path):
    assert ask.get(path).status in (400, 404)


def test_a_body_that_is_too_large_is_refused(ask):
    assert ask("POST", "/flows/sums/runs", b" " * (LARGEST + 1)).status == 413


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}],
)  # fmt: skip
def test_requests_from_elsewhere_are_refused(ask, headers):
    assert ask.post("/flows/sums/runs", **headers).status == 403
    assert ask.get("/", **headers).status == 403
    assert ask.get("/runs").json == []


def test_a_page_from_elsewhere_cannot_send_a_form(ask):
    assert ask.post("/flows/sums/runs", Content_Type="text/plain").status == 400


def test_another_name_is_allowed_by_hand(serving):
    _, ask = serving(names=["Centre.example"])

    assert ask.get("/healthz", Host="centre.example:8300").status == 200


def test_once_there_is_a_token_every_caller_needs_one(ask):
    made, text = Tokens().create("desk")

    assert ask.get("/flows").status == 401
    assert ask.get("/healthz").json == {"status": "ok", "tokens": "required", "admitted": False}
    assert "WWW-Authenticate" in ask.get("/metrics").headers
    ask.token = text
    assert ask.get("/flows").status == 200
    Tokens().revoke(made.id)
    assert ask.get("/flows").status == 401


def test_a_token_does_what_its_scopes_say(ask):
    _, ask.token = Tokens().create("screen", ["read"])

    assert ask.get("/flows").status == 200
    refused = ask.post("/flows/sums/runs")
    assert (refused.status, "may not run" in refused.json["error"]) == (403, True)
    assert ask.post("/flows/sums/render").status == 403


def test_a_token_expires_and_is_rotated_with_an_overlap(ask):
    made, ask.token = Tokens().create("desk", days=1)
    _, new = Tokens().rotate(made.id, overlap=60)
    assert ask.get("/flows").status == 200

    with travel(made.created + 120, tick=True):
        assert ask.get("/flows").status == 401
        ask.token = new
        assert ask.get("/flows").status == 200


def test_the_secret_of_a_token_is_nowhere_on_disk(home):
    _, text = Tokens().create("desk")

    assert text.split("_")[2] not in (home / "tokens.json").read_text()
    assert (home / "tokens.json").stat().st_mode & 0o777 == 0o600


def test_wrong_tokens_are_no_longer_read_after_sixty_of_them(ask):
    Tokens().create("desk")
    ask.token = "kyrios_00000000_x_00000000"

    statuses = {ask.get("/flows").status for _ in range(60)}

    assert (statuses, ask.get("/flows").status) == ({401}, 429)


def test_a_stream_ends_when_its_token_is_revoked(ask, gate):
    made, ask.token = Tokens().create("desk")
    run = ask.post("/flows/sums/runs").json["run"]
    steps = ask.steps(run)
    next(steps)

    Tokens().revoke(made.id)

    assert "end" not in [kind for _, kind, _ in steps]
    gate.touch()


def test_beyond_loopback_there_must_be_a_token(sums):
    with pytest.raises(BadInput, match="no token to ask for"):
        FlowServer([sums.folder], 0, "0.0.0.0")
    Tokens().create("desk")

    with FlowServer([sums.folder], 0, "0.0.0.0") as server:
        assert server.service.guard.open is False


def test_a_port_that_is_taken_is_refused(serving, sums):
    server, _ = serving()

    with pytest.raises(BadInput, match="cannot be taken"):
        FlowServer([sums.folder], int(server.url.rpartition(":")[2]))


def test_the_metrics_count_runs_and_requests(ask):
    ask.end_of(ask.post("/flows/sums/runs").json["run"])
    threads = [t for t in threading.enumerate() if t.name.startswith("kyrios-run-")]
    for thread in threads:
        thread.join()

    lines = ask.get("/metrics").text.splitlines()

    assert 'kyrios_flows{state="usable"} 1' in lines
    assert 'kyrios_runs_ended_total{state="succeeded"} 1' in lines
    assert 'kyrios_http_requests_total{method="POST",status="202"} 1' in lines


def test_the_description_names_every_request_and_its_schema(ask):
    from schemathesis import openapi

    document = ask.get("/openapi.json").json
    schema = openapi.from_dict(document)

    assert {f"{o.ok().method.upper()} {o.ok().path}" for o in schema.get_all_operations()} >= {
        "GET /flows", "POST /flows/{flow}/runs", "GET /runs/{run}/events", "POST /runs/{run}/cancel",
    }  # fmt: skip
    assert document["components"]["schemas"]["RunOrder"]["additionalProperties"] is False


def test_the_page_may_load_nothing_from_elsewhere(ask):
    page = ask.get("/")

    assert page.status == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "http" not in page.text
    assert ask.get("/static/page.js").headers["Content-Type"].startswith("text/javascript")
    assert ask.get("/static/..%2Fapp.py").status == 404


def test_the_command_serves_and_ends_in_order(sums, tmp_path):
    words = [sys.executable, "-c", "from kyrios.cli import main; main()", "serve", str(sums.folder), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, notes = process.communicate(timeout=60)

    assert said.startswith("serving 1 flow at http://127.0.0.1:")
    assert (process.returncode, "no token exists yet" in notes) == (0, True)
