"""Runs copied to an MLflow server: ``mlflow://user:password@host:5000/experiment``; ``?tls=true`` for HTTPS.

Its REST interface is asked directly. MLflow's client takes its time-outs from the environment of the whole
process, waits minutes by default, and brings some forty packages; see decision 0203.

An MLflow run has an id of the server's making, so ours is its tag ``exia.run_id`` and is looked for before a run
is made: a repeated write finds what an earlier one has made.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from exia._house.backends import BackendURL
from exia.errors import BackendUnavailable, BadInput, NotAllowed, RunNotFound
from exia.mirror.port import Mirror
from exia.runs.port import Point, RunRecord, Status, Values

_PATIENCE = 10.0
_PORT = 5000
_ID = "exia.run_id"
_METRICS, _WORDS = 1_000, 100  # of one request at most
_PARAM, _TAG = 6_000, 5_000  # characters of a value at most
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_FORBIDDEN = re.compile(r"[^/\w.\- :]")


class MlflowMirror:
    """The mirror; acknowledged when the tracking server has stored it."""

    def __init__(self, url: BackendURL) -> None:
        self.url = url
        if not url.host:
            raise BadInput(f"{url} names no host", hint="mlflow://127.0.0.1:5000/experiment")
        scheme = "https" if url.query.get("tls") == "true" else "http"
        host = f"[{url.host}]" if ":" in url.host else url.host
        self._base = f"{scheme}://{host}:{url.port or _PORT}"
        self._headers = {"Content-Type": "application/json", **_login(url)}
        self._runs: dict[str, str] = {}
        self._experiment = self._open_experiment(url.path.strip("/") or "exia")

    def start(self, run: RunRecord) -> None:
        if self._found(run.id) is not None:
            return
        tags = {_ID: run.id, "mlflow.runName": run.name, "mlflow.source.name": run.host, **run.tags}
        if run.commit:
            tags["mlflow.source.git.commit"] = run.commit
        if user := run.facts.get("user"):
            tags["mlflow.user"] = user
        made = self._post(
            "runs/create",
            {
                "experiment_id": self._experiment,
                "run_name": run.name,
                "start_time": _milliseconds(run.started),
                "tags": _words(tags, _TAG),
            },
        )
        self._runs[run.id] = made["run"]["info"]["run_id"]
        self._set(run.id, {"params": run.params, "facts": run.facts})

    def log(
        self, run_id: str, points: Sequence[Point] = (), values: Values | None = None, heartbeat: str | None = None
    ) -> None:
        mlflow_id = self._run(run_id)
        metrics = [
            {"key": _key(p.name), "value": p.value, "timestamp": _milliseconds(p.time), "step": p.step} for p in points
        ]
        for share in _shares(metrics, _METRICS):
            self._post("runs/log-batch", {"run_id": mlflow_id, "metrics": share})
        self._set(run_id, values or {})

    def finish(
        self, run_id: str, status: Status, ended: str, error: str | None = None, traceback: str | None = None
    ) -> None:
        mlflow_id = self._run(run_id)
        info = self._get("runs/get", run_id=mlflow_id)["run"]["info"]
        if info["status"] != "RUNNING":  # the first end counts
            return
        if error is not None:
            self._tag(mlflow_id, {"exia.error": error, "exia.traceback": traceback or ""})
        self._post("runs/update", {"run_id": mlflow_id, "status": _STATUS[status], "end_time": _milliseconds(ended)})

    def attach(self, run_id: str, name: str, data: bytes) -> None:
        uri = self._get("runs/get", run_id=self._run(run_id))["run"]["info"]["artifact_uri"]
        scheme, _, path = uri.partition(":/")
        if scheme != "mlflow-artifacts":
            raise BadInput(
                f"{self.url} does not take files itself: it keeps them at {scheme}:",
                hint="start it with --serve-artifacts",
            )
        where = quote(f"{path.lstrip('/')}/{name}")
        self._ask("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{where}", data, "application/octet-stream")

    def ping(self) -> str:
        return f"MLflow {self._ask('GET', '/version').decode(errors='replace').strip()}"

    def close(self) -> None:
        """Nothing is kept open."""

    def _open_experiment(self, name: str) -> str:
        try:
            found = self._get("experiments/get-by-name", experiment_name=name)
        except RunNotFound:
            try:
                return str(self._post("experiments/create", {"name": name})["experiment_id"])
            except BadInput:  # another process made it in the meantime
                found = self._get("experiments/get-by-name", experiment_name=name)
        return str(found["experiment"]["experiment_id"])

    def _found(self, run_id: str) -> str | None:
        """Return MLflow's id of a run, None if there is none yet."""
        if run_id not in self._runs:
            wanted = {"experiment_ids": [self._experiment], "filter": f"tags.`{_ID}` = '{run_id}'", "max_results": 1}
            for run in self._post("runs/search", wanted).get("runs", []):
                self._runs[run_id] = run["info"]["run_id"]
        return self._runs.get(run_id)

    def _run(self, run_id: str) -> str:
        found = self._found(run_id) if "'" not in run_id else None
        if found is None:
            raise RunNotFound(f"{self.url} has no run {run_id!r}", hint="was it deleted there?")
        return found

    def _set(self, run_id: str, values: Values) -> None:
        mlflow_id = self._run(run_id)
        for share in _shares(_words(values.get("params", {}), _PARAM), _WORDS):
            try:
                self._post("runs/log-batch", {"run_id": mlflow_id, "params": share})
            except BadInput:  # a param of MLflow never changes, and ours may
                self._tag(mlflow_id, {f"param.{p['key']}": p["value"] for p in share})
        facts = {f"exia.{key}": value for key, value in values.get("facts", {}).items()}
        self._tag(mlflow_id, {**values.get("tags", {}), **facts})
        if notes := values.get("notes", {}):
            self._add_notes(mlflow_id, notes)

    def _add_notes(self, mlflow_id: str, notes: Mapping[str, Any]) -> None:
        data = self._get("runs/get", run_id=mlflow_id)["run"]["data"]
        there = {tag["key"]: tag["value"] for tag in data.get("tags", [])}.get("mlflow.note.content", "")
        lines = [line for at, text in notes.items() if (line := f"{at} {text}") not in there]
        if lines:
            self._tag(mlflow_id, {"mlflow.note.content": "\n\n".join(filter(None, [there, *lines]))})

    def _tag(self, mlflow_id: str, tags: Mapping[str, Any]) -> None:
        for share in _shares(_words(tags, _TAG), _WORDS):
            self._post("runs/log-batch", {"run_id": mlflow_id, "tags": share})

    def _get(self, verb: str, **query: str) -> dict[str, Any]:
        return self._json("GET", f"/api/2.0/mlflow/{verb}?{urlencode(query)}")

    def _post(self, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._json("POST", f"/api/2.0/mlflow/{verb}", json.dumps(body).encode())

    def _json(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        answer = self._ask(method, path, body)
        try:
            found: dict[str, Any] = json.loads(answer or b"{}")
        except ValueError:
            raise BackendUnavailable(f"{self.url} did not answer as MLflow does", hint="is it an MLflow?") from None
        return found

    def _ask(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> bytes:
        request = urllib.request.Request(
            self._base + path, body, {**self._headers, "Content-Type": kind}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
                data: bytes = answer.read()
                return data
        except urllib.error.HTTPError as exc:
            with exc:
                raise self._refused(exc.code, exc.read(4_000)) from None
        except (OSError, urllib.error.URLError) as exc:
            reason = getattr(exc, "reason", None) or exc
            raise BackendUnavailable(f"{self.url} did not answer: {reason}", hint="is the server running?") from exc

    def _refused(self, code: int, answer: bytes) -> Exception:
        try:
            said = str(json.loads(answer)["message"])
        except (ValueError, KeyError, TypeError):
            said = answer.decode(errors="replace")
        reason = " ".join(said.split())[:200] or f"status {code}"
        if code == 404:
            return RunNotFound(f"{self.url}: {reason}", hint="was it deleted there?")
        if code in (401, 403):
            return NotAllowed(
                f"{self.url} refused: {reason}", hint="is the login right, and the host among --allowed-hosts?"
            )
        if code == 429 or code >= 500:
            return BackendUnavailable(f"{self.url} did not answer: {reason}", hint="is the server well?")
        return BadInput(f"{self.url} refused: {reason}")


def _login(url: BackendURL) -> dict[str, str]:
    if token := url.query.get("token"):
        return {"Authorization": f"Bearer {token}"}
    if url.user:
        return {"Authorization": f"Basic {base64.b64encode(f'{url.user}:{url.password}'.encode()).decode()}"}
    return {}


def _words(values: Mapping[str, Any], most: int) -> list[dict[str, str]]:
    """Return params or tags as MLflow takes them: texts, and not too long."""
    return [
        {"key": _key(key), "value": (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:most]}
        for key, value in values.items()
    ]


def _key(name: str) -> str:
    return _FORBIDDEN.sub("_", name)


def _milliseconds(at: str) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1_000)


def _shares(items: list[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


if TYPE_CHECKING:
    _fits: type[Mirror] = MlflowMirror
