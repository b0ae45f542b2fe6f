"""The Flask application of ``kyrios serve``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from kyrios._house.backends import BackendURL
from kyrios._house.ids import uuid7
from kyrios.errors import (
    BackendUnavailable,
    BadInput,
    ConfigError,
    Conflict,
    FlowInvalid,
    KyriosError,
    NotAllowed,
    NotFound,
)
from kyrios.history import open_history
from kyrios.run import Run, get_run
from kyrios.serving import answers
from kyrios.serving.following import Follower, TooManyListeners
from kyrios.serving.guard import COOKIE, Guard, TooManyTries, Unauthorized
from kyrios.serving.metrics import Requests, prometheus
from kyrios.serving.openapi import OPERATIONS, Operation, description
from kyrios.serving.orders import read
from kyrios.serving.running import Runs, TooManyRuns
from kyrios.serving.shelf import Shelf

LARGEST = 1 << 20  # bytes of a body

_FILES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_STATUS: tuple[tuple[type[KyriosError], int], ...] = (
    (ConfigError, 500), (Unauthorized, 401), (TooManyTries, 429), (TooManyRuns, 429), (TooManyListeners, 503),
    (BackendUnavailable, 503), (NotFound, 404), (NotAllowed, 403), (Conflict, 409), (BadInput, 400),
)  # fmt: skip


@dataclass
class Service:
    """What is served.

    Parameters
    ----------
    out
        Folder of rendered files; None where none are written.
    """

    shelf: Shelf
    runs: Runs
    guard: Guard
    out: Path | None = None
    requests: Requests = field(default_factory=Requests)
    follower: Follower = field(init=False)

    def __post_init__(self) -> None:
        self.follower = Follower(self.runs.is_under_way)
        self.runs.on_end = self.follower.wake


def application(service: Service) -> Flask:
    """Return the application that answers for `service`."""
    app = Flask("kyrios.serving", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST
    app.json.sort_keys = False  # type: ignore[attr-defined]  # parameters are shown in their own order
    answering = _Answering(service)
    for operation in OPERATIONS:
        path = operation.path.replace("{", "<").replace("}", ">")
        view = partial(answering.answer, operation, getattr(answering, operation.name))
        app.add_url_rule(path, operation.name, view, methods=[operation.method], provide_automatic_options=False)
    app.add_url_rule("/", "page", partial(answering.file, "page.html"))
    app.add_url_rule("/static/<name>", "static", answering.static)
    app.before_request(answering.check_host)
    app.after_request(answering.finish)
    app.register_error_handler(Exception, answering.failed)
    return app


class _Answering:
    def __init__(self, service: Service) -> None:
        self.service = service

    def check_host(self) -> None:
        self.service.guard.check_host(request.headers.get("Host", ""), request.headers.get("Origin"))

    def answer(self, operation: Operation, work: Callable[..., Any], **words: str) -> Any:
        """Let in who may ask, read the body, and answer."""
        if operation.scope:
            self._admit(operation.scope)
        if operation.body is not None:
            if request.mimetype != "application/json":
                # A page from elsewhere can send other types without asking first.
                raise BadInput("the body must be application/json", hint="send Content-Type: application/json")
            words["order"] = read(operation.body, _body())
        found = work(**words)
        return found if isinstance(found, Response | tuple) else (found, operation.status)

    def _admit(self, scope: str) -> None:
        cookie, header = request.cookies.get(COOKIE, ""), request.headers.get("Authorization", "")
        self.service.guard.admit(scope, header, cookie, request.remote_addr or "")

    def failed(self, exc: Exception) -> Any:
        if isinstance(exc, RequestEntityTooLarge):
            return {"error": f"the body is larger than {LARGEST} bytes", "hint": None}, 413
        if isinstance(exc, HTTPException):
            hint = "GET /openapi.json says what can be asked" if exc.code in (404, 405) else None
            return {"error": str(exc.description), "hint": hint}, exc.code or 500
        if not isinstance(exc, KyriosError):
            import traceback

            traceback.print_exception(exc)
            return {"error": f"{type(exc).__name__} in the server", "hint": "its log says more"}, 500
        said: dict[str, Any] = {"error": exc.message, "hint": exc.hint}
        if isinstance(exc, FlowInvalid):
            said["problems"] = [vars(problem) for problem in exc.problems]
        status = next((code for kind, code in _STATUS if isinstance(exc, kind)), 500)
        headers = {"WWW-Authenticate": 'Bearer realm="kyrios"'} if status == 401 else {}
        return said, status, headers | ({"Retry-After": "1"} if status in (429, 503) else {})

    def finish(self, response: Response) -> Response:
        response.headers.update(_HEADERS)
        self.service.requests.add(request.method, response.status_code)
        return response

    def file(self, name: str) -> Response:
        text = (files("kyrios.serving") / "static" / name).read_text(encoding="utf-8")
        if name == "page.css":
            from kyrios.picture import DARK, LIGHT, STYLE

            text = f'{STYLE}:root[data-theme="dark"]{{{DARK}}}:root[data-theme="light"]{{{LIGHT}}}{text}'
        return Response(text, mimetype=_FILES.get(name, "text/html"))

    def static(self, name: str) -> Response:
        if name not in _FILES:
            raise NotFound(f"there is no {name!r}")
        return self.file(name)

    def healthz(self) -> Any:
        try:
            self._admit("read")
        except KyriosError:
            admitted = False
        else:
            admitted = True
        return {"status": "ok", "tokens": "open" if self.service.guard.open else "required", "admitted": admitted}

    def openapi(self) -> Any:
        return description()

    def metrics(self) -> Response:
        service = self.service
        text = prometheus(service.shelf, service.runs, service.follower, service.requests)
        return Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")

    def login(self, order: Any) -> Response:
        session = self.service.guard.login(order.token, request.remote_addr or "")
        response = Response('{"status":"ok"}', mimetype="application/json")
        response.set_cookie(COOKIE, session, httponly=True, samesite="Strict")
        return response

    def logout(self, order: Any) -> Response:
        self.service.guard.logout(request.cookies.get(COOKIE, ""))
        response = Response('{"status":"ok"}', mimetype="application/json")
        response.delete_cookie(COOKIE, httponly=True, samesite="Strict")
        return response

    def flows(self) -> Any:
        return [answers.flow_line(entry) for entry in self.service.shelf.entries()]

    def flow(self, flow: str) -> Any:
        return answers.flow_whole(self.service.shelf.entry(flow))

    def graph(self, flow: str) -> Response:
        from kyrios.picture import svg

        return Response(svg(self.service.shelf.flow(flow).graph, style=False), mimetype="image/svg+xml")

    def validate(self, flow: str, order: Any) -> Any:
        entry = self.service.shelf.entry(flow)
        return {"name": flow, "valid": entry.flow is not None, "problems": entry.problems}

    def plan(self, flow: str, order: Any) -> Any:
        from kyrios.render import difference, planned

        _check_engine(order.engine)
        found = planned(self.service.shelf.flow(flow), order.engine, params=order.params)
        out = self.service.out or Path("rendered")
        return [{"file": file.name, "digest": file.content, "diff": difference(file, out)} for file in found]

    def render(self, flow: str, order: Any) -> Any:
        if self.service.out is None:
            raise NotAllowed("this server writes no files", hint="kyrios serve --out DIR")
        _check_engine(order.engine)
        found = self.service.shelf.flow(flow).render(
            order.engine, self.service.out, params=order.params, force=order.force
        )
        return [{"file": file.name, "flow": file.flow, "digest": file.content} for file in found]

    def run(self, flow: str, order: Any) -> Any:
        _check_engine(order.engine)
        found = self.service.shelf.flow(flow)
        if order.dry_run:
            from kyrios.params import bind

            bind(found.graph, order.params)
            steps = found.plan(only=order.only, start=order.start, earlier=order.earlier)
            return {"plan": [vars(step) for step in steps]}, 200
        run, new = self.service.runs.start(
            found, order.params, engine=order.engine, workers=order.workers, only=order.only, start=order.start,
            earlier=order.earlier, run_id=order.run_id or uuid7(),
        )  # fmt: skip
        return answers.run_whole(run), 202 if new else 200, {"Location": f"/runs/{run.run_id}"}

    def runs(self) -> Any:
        limit, flow = _number("limit", 50, 1000), request.args.get("flow")
        with open_history() as record:
            # Of each run that is told, all events are read; of the others nothing.
            heads = [head for head in record.heads(1000 if flow else limit) if flow in (None, head.flow)][:limit]
            return [answers.run_line(Run(head, record.events(head.run_id))) for head in heads]

    def show(self, run: str) -> Any:
        return answers.run_whole(get_run(run))

    def events(self, run: str) -> Response:
        known = request.headers.get("Last-Event-ID", "")
        after = int(known) if known.isdecimal() else _number("after", 0, 1 << 31)
        cookie, header = request.cookies.get(COOKIE, ""), request.headers.get("Authorization", "")
        guard, address = self.service.guard, request.remote_addr or ""

        def may_go_on() -> bool:
            try:
                guard.admit("read", header, cookie, address)
            except KyriosError:
                return False
            return True

        told = self.service.follower.stream(get_run(run).run_id, after, may_go_on)
        return Response(told, mimetype="text/event-stream")

    def log(self, run: str, unit: str) -> Any:
        return answers.log_part(get_run(run), unit, _number("offset", 0, 1 << 62, least=-answers.LONGEST_LOG))

    def table(self, run: str, table: str) -> Any:
        return answers.table_part(get_run(run), table, _number("limit", 100, 10_000))

    def cancel(self, run: str, order: Any) -> Any:
        return answers.run_line(self.service.runs.cancel(get_run(run).run_id))

    def resume(self, run: str, order: Any) -> Any:
        found = get_run(run)
        entries = self.service.shelf.entries()
        flow = next((e.flow for e in entries if e.flow and str(e.folder) == found.head.folder), None)
        if flow is None:
            raise NotFound(f"the flow of run {run} is not served here", hint=f"kyrios run --resume {run}")
        return answers.run_whole(self.service.runs.resume(flow, found.run_id))


def _body() -> Any:
    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    try:
        return json.loads(request.get_data(), parse_constant=refuse)
    except (ValueError, RecursionError) as exc:
        raise BadInput(f"the body is no JSON: {exc}", hint="send {}") from None


def _check_engine(engine: str | None) -> None:
    """Refuse an address: whoever may run a flow must not send it, and what it reads, to a server of his own."""
    if engine is not None and BackendURL.parse(engine).host:
        raise NotAllowed(
            "an engine is chosen here by its word alone", hint="send ray, or let the setting engine name the address"
        )


def _number(name: str, default: int, most: int, *, least: int = 0) -> int:
    text = request.args.get(name, str(default))
    try:
        number = int(text)
    except ValueError:
        raise BadInput(f"{name} must be a whole number, not {text[:40]!r}") from None
    if not least <= number <= most:
        raise BadInput(f"{name} must be from {least} to {most}")
    return number
