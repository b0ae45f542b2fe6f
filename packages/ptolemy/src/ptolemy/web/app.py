"""The ASGI application of the page; everything below ``/web``."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from ptolemy.errors import BadParam, NotFound, PtolemyError, RateLimited, UnknownComponent
from ptolemy.http.guard import is_own_host, is_own_origin
from ptolemy.http.tokens import Tokens
from ptolemy.http.wire import read_body
from ptolemy.services import State
from ptolemy.services.port import record
from ptolemy.web import data, writing
from ptolemy.web.alerts import Alerts
from ptolemy.web.audit import Audit
from ptolemy.web.board import Board, age_of
from ptolemy.web.more import NOTHING, More, View
from ptolemy.web.sessions import COOKIE, Session, Sessions
from ptolemy.web.words import LANGUAGES, choose, say

_STATIC = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
_VERBS = ("up", "down", "restart")
_SILENCES = {"hour": 3600.0, "day": 86400.0, "end": 0.0}
_SHOWN = 500  # findings on a page
_PUSH = 0.3  # seconds between two looks for what has changed
_WAIT = 2.0  # seconds that an action has before the page goes on without its end


@dataclass
class Page:
    """What the page shows, and who may see it.

    Parameters
    ----------
    store
        URL of the series store; None takes the setting.
    hosts
        Names by which it may be called besides addresses, in lower case.
    quotas
        Gives how many calls each interface has answered; None where no service is known.
    """

    board: Board
    alerts: Alerts
    audit: Audit
    tokens: Tokens
    sessions: Sessions
    store: str | None = None
    hosts: frozenset[str] = frozenset({"localhost"})
    has_webhook: bool = False
    quotas: Callable[[], dict[str, int] | None] = lambda: None
    running: set[asyncio.Task[None]] = field(default_factory=set)
    ended: bool = False  #: whether the pages that listen are to be let go


Endpoint = Callable[[Request, Session], Awaitable[Response]]


def application(page: Page, more: More = NOTHING) -> Starlette:
    """Return the ASGI application of `page`, with the views of `more` behind the same door."""
    web = _Web(page, more)
    routes = [
        Route("/", lambda request: RedirectResponse(more.first)),
        Route("/web", web.guarded(web.components)),
        Route("/web/state.json", web.guarded(web.state)),
        Route("/web/events", web.guarded(web.events)),
        Route("/web/metrics", web.guarded(web.metrics)),
        Route("/web/component", web.guarded(web.component)),
        Route("/web/act", web.guarded(web.act), methods=["POST"]),
        Route("/web/log", web.guarded(web.log)),
        Route("/web/data", web.guarded(web.datasets)),
        Route("/web/data/{name}", web.guarded(web.dataset)),
        Route("/web/data/{name}/quality", web.guarded(web.quality)),
        Route("/web/tokens", web.guarded(web.tokens)),
        Route("/web/tokens/revoke", web.guarded(web.revoke), methods=["POST"]),
        Route("/web/alerts", web.guarded(web.alerts)),
        Route("/web/alerts/silence", web.guarded(web.silence), methods=["POST"]),
        Route("/web/audit", web.guarded(web.audit)),
        Route("/web/login", web.hosted(web.login), methods=["GET", "POST"]),
        Route("/web/logout", web.guarded(web.logout), methods=["POST"]),
        Route("/web/static/{name}", web.hosted(web.static)),
        Route("/healthz", web.hosted(web.health)),
        *(Route(path, web.guarded(partial(web.added, view))) for path, view in more.views.items()),
    ]
    return Starlette(routes=routes)


class _Web:
    def __init__(self, page: Page, more: More) -> None:
        self.page, self.more = page, more
        here = files("ptolemy.web")
        folders = [str(here / "templates"), *([str(more.templates)] if more.templates else [])]
        self._templates = Environment(
            loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]), autoescape=True,
            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._templates.filters.update(
            when=writing.when, seconds=writing.seconds, size=writing.size, place=partial(quote, safe="")
        )
        self._files = {name: (here / "static" / name).read_bytes() for name in _STATIC}
        self._files["page.css"] += more.style.encode()

    def hosted(self, answer: Callable[[Request], Awaitable[Response]]) -> Any:
        """Let in whoever calls this page by its own name."""

        async def endpoint(request: Request) -> Response:
            host = request.headers.get("host", "")
            if not is_own_host(host, self.page.hosts) or not is_own_origin(request.headers.get("origin"), host):
                return self._message(request, 403, "this page is not called by that name, or another page called it")
            try:
                response = await answer(request)
            except PtolemyError as exc:
                status = 404 if isinstance(exc, NotFound) else 429 if isinstance(exc, RateLimited) else 400
                response = self._message(request, status, str(exc), exc.hint or "")
            except OSError as exc:
                response = self._message(request, 503, f"{exc.filename or ''} {exc.strerror or exc}".strip())
            response.headers.update(_HEADERS)
            return response

        return endpoint

    def guarded(self, answer: Endpoint) -> Any:
        """Let in whoever has a session; an action must also bear what only this page's forms know."""

        async def endpoint(request: Request) -> Response:
            session = self.page.sessions.get(request.cookies.get(COOKIE, ""))
            new = None if session else self.page.sessions.begin()
            if session is None and new is None:
                if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
                    return RedirectResponse("/web/login", 303)
                return PlainTextResponse("sign in", 401)
            known = session or new
            assert known is not None
            if request.method == "POST":
                form = await _form(request)
                request.state.form = form
                if not known.may_act(form.get("csrf", "")):
                    return self._message(
                        request, 403, "the form is too old, or is not this page's", "open the page again"
                    )
            response = await answer(request, known)
            if new is not None:
                _set_session(response, new)
            return response

        return self.hosted(endpoint)

    async def added(self, view: View, request: Request, session: Session) -> Response:
        template, facts = await asyncio.to_thread(view, {**request.query_params, **request.path_params})
        return self._show(request, session, template, **facts)

    async def components(self, request: Request, session: Session) -> Response:
        return self._show(request, session, "components.html", states=self._by_group())

    async def state(self, request: Request, session: Session) -> Response:
        return JSONResponse([record(s) for s in self.page.board.states()])

    async def metrics(self, request: Request, session: Session) -> Response:
        lines = ["# HELP ptolemy_component_running Whether the component runs and is ready.",
                 "# TYPE ptolemy_component_running gauge"]  # fmt: skip
        for s in self.page.board.states():
            name = re.sub(r'[\\"\n]', "_", s.component)
            lines.append(f'ptolemy_component_running{{component="{name}"}} {int(s.state == "running")}')
            lines.append(f'ptolemy_component_restarts{{component="{name}"}} {s.restarts}')
            lines.append(f'ptolemy_component_rss_bytes{{component="{name}"}} {s.rss}')
        return PlainTextResponse("\n".join(lines) + "\n")

    async def events(self, request: Request, session: Session) -> Response:
        """Push each tile that has changed, as HTML that the page puts in the place of the old one."""
        shown = self._words(request)

        async def stream() -> AsyncIterator[str]:
            sent: dict[str, str] = {}
            version = -1
            yield "retry: 1000\n\n"
            while True:
                # A token that was revoked ends its open pages too.
                if self.page.ended or self.page.sessions.get(session.id) is None:
                    return
                alerts = str(len([a for a in self.page.alerts.all() if not a.is_silent]))
                if self.page.board.version != version or alerts != sent.get("#alerts"):
                    version = self.page.board.version
                    tiles = {s.component: self._tile(s, shown) for s in self.page.board.states()}
                    changed = [{"id": writing.tile_id(k), "html": v} for k, v in tiles.items() if sent.get(k) != v]
                    if changed or alerts != sent.get("#alerts"):
                        yield f"event: tiles\ndata: {json.dumps({'tiles': changed, 'alerts': int(alerts)})}\n\n"
                    sent = {**tiles, "#alerts": alerts}
                await asyncio.sleep(_PUSH)

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def component(self, request: Request, session: Session) -> Response:
        state = self._known(request.query_params.get("name", ""))
        part = await asyncio.to_thread(self._log_part, state.component, -1)
        return self._show(
            request, session, "component.html", s=state, part=part, beat=age_of(state), verbs=self._verbs(state),
        )  # fmt: skip

    async def log(self, request: Request, session: Session) -> Response:
        state = self._known(request.query_params.get("name", ""))
        try:
            offset = int(request.query_params.get("offset", "-1"))
        except ValueError:
            raise BadParam("offset is a whole number") from None
        return JSONResponse(await asyncio.to_thread(self._log_part, state.component, offset))

    async def act(self, request: Request, session: Session) -> Response:
        form = request.state.form
        verb, state = form.get("verb", ""), self._known(form.get("name", ""))
        if verb not in _VERBS:
            raise BadParam(f"{verb!r} is nothing that can be done", hint="up, down or restart")
        # Nothing is done of which no line is kept.
        await asyncio.to_thread(self.page.audit.write, session.who, verb, state.component, "asked")
        doing = asyncio.create_task(self._do(session.who, verb, state.component))
        self.page.running.add(doing)
        doing.add_done_callback(self.page.running.discard)
        await asyncio.wait([doing], timeout=_WAIT)
        return RedirectResponse(f"/web/component?name={quote(state.component, safe='')}", 303)

    async def datasets(self, request: Request, session: Session) -> Response:
        return self._show(request, session, "data.html", rows=await asyncio.to_thread(data.datasets, self.page.store))

    async def dataset(self, request: Request, session: Session) -> Response:
        name, asked = request.path_params["name"], request.query_params
        page = _count(asked.get("page", "0"), 100_000)
        code = asked.get("code", "").strip()
        bars = _count(asked.get("bars", "120"), 2000)
        found = await asyncio.to_thread(data.coverage, self.page.store, name, page, [code] if code else ())
        drawn = data.drawing(await asyncio.to_thread(data.candles, self.page.store, name, code, bars)) if code else None
        return self._show(
            request, session, "dataset.html", name=name, c=found, page=page, code=code, bars=bars, d=drawn
        )

    async def quality(self, request: Request, session: Session) -> Response:
        name = request.path_params["name"]
        found = await asyncio.to_thread(data.findings, self.page.store, name)
        aside = await asyncio.to_thread(data.quarantined, name)
        return self._show(request, session, "quality.html", name=name, found=found, aside=aside, most=_SHOWN)

    async def tokens(self, request: Request, session: Session) -> Response:
        rows = list(self.page.tokens.all().values())[::-1]
        quotas = await asyncio.to_thread(self.page.quotas)
        return self._show(request, session, "tokens.html", tokens=rows, quotas=quotas)

    async def revoke(self, request: Request, session: Session) -> Response:
        id = request.state.form.get("id", "")
        if id not in self.page.tokens.all():
            raise NotFound(f"there is no token {id[:20]!r}", hint="open the page of the tokens again")
        await asyncio.to_thread(self.page.audit.write, session.who, "revoke", id, "asked")
        await asyncio.to_thread(self.page.tokens.revoke, id)
        await asyncio.to_thread(self.page.audit.write, session.who, "revoke", id, "done")
        return RedirectResponse("/web/tokens", 303)

    async def alerts(self, request: Request, session: Session) -> Response:
        return self._show(request, session, "alerts.html", alerts=self.page.alerts.all(), webhook=self.page.has_webhook)

    async def silence(self, request: Request, session: Session) -> Response:
        form = request.state.form
        name, how = form.get("name", ""), form.get("for", "")
        if how not in _SILENCES or not any(a.component == name for a in self.page.alerts.all()):
            raise NotFound("there is no such alert any more", hint="open the page of the alerts again")
        await asyncio.to_thread(self.page.audit.write, session.who, f"silence {how}", name, "done")
        await asyncio.to_thread(self.page.alerts.silence, name, _SILENCES[how])
        return RedirectResponse("/web/alerts", 303)

    async def audit(self, request: Request, session: Session) -> Response:
        lines = await asyncio.to_thread(self.page.audit.last, 200)
        return self._show(request, session, "audit.html", lines=lines)

    async def login(self, request: Request) -> Response:
        if request.method == "GET":
            if self.page.sessions.is_open:
                return RedirectResponse("/web", 303)
            return self._show(request, None, "login.html", wrong=False)
        form = await _form(request)
        address = request.client.host if request.client else ""
        session = self.page.sessions.login(form.get("token", ""), address)
        if session is None:
            return self._show(request, None, "login.html", wrong=True, status=401)
        response = RedirectResponse("/web", 303)
        _set_session(response, session)
        return response

    async def logout(self, request: Request, session: Session) -> Response:
        self.page.sessions.end(session.id)
        response = RedirectResponse("/web/login", 303)
        response.delete_cookie(COOKIE, path="/web")
        return response

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _STATIC:
            return PlainTextResponse("no such file", 404)
        return Response(self._files[name], media_type=_STATIC[name])

    async def health(self, request: Request) -> Response:
        return JSONResponse({"healthy": True})

    async def _do(self, who: str, verb: str, name: str) -> None:
        try:
            await asyncio.to_thread(self.page.board.act, verb, name)
            result = "done"
        except (PtolemyError, OSError) as exc:
            result = f"failed: {exc}"
        await asyncio.to_thread(self.page.audit.write, who, verb, name, result)

    def _known(self, name: str) -> State:
        state = self.page.board.get(name)
        if state is None:
            raise UnknownComponent(name[:100], [s.component for s in self.page.board.states()])
        return state

    def _verbs(self, state: State) -> list[tuple[str, str, str]]:
        if state.component.endswith("/"):  # a node that does not answer
            return []
        up, down = ("up", "Start", "Start it?"), ("down", "Stop", "Stop it, and what depends on it?")
        return [("restart", "Restart", "Start it again?"), down] if state.pid else [up]

    def _log_part(self, name: str, offset: int) -> dict[str, Any]:
        try:
            part = self.page.board.services.log(name, offset, 65536)
        except (PtolemyError, OSError) as exc:
            return {"text": "", "offset": max(offset, 0), "why": str(exc)}
        return {"text": part.text, "offset": part.offset, "why": ""}

    def _by_group(self) -> dict[str, list[State]]:
        found: dict[str, list[State]] = {}
        for state in self.page.board.states():
            found.setdefault(state.node or state.group, []).append(state)
        return found

    def _tile(self, state: State, words: dict[str, Any]) -> str:
        return self._templates.get_template("_tile.html").render(
            s=state, beat=age_of(state), id=writing.tile_id, **words
        )

    def _words(self, request: Request) -> dict[str, Any]:
        asked = request.query_params.get("lang", "")
        language = asked if asked in LANGUAGES else choose(
            request.cookies.get("ptolemy_lang", ""), request.headers.get("accept-language", "")
        )  # fmt: skip
        return {"language": language, "t": partial(say, language, also=self.more.words)}

    def _show(
        self, request: Request, session: Session | None, template: str, status: int = 200, **facts: Any
    ) -> Response:
        words = self._words(request)
        asked = request.query_params.get("theme", "")
        theme = asked if asked in ("light", "dark", "auto") else request.cookies.get("ptolemy_theme", "auto")
        alerts = len([a for a in self.page.alerts.all() if not a.is_silent])
        html = self._templates.get_template(template).render(
            house=self.more.name, links=self.more.links, session=session, board=self.page.board,
            theme=theme if theme in ("light", "dark") else "auto", path=request.url.path,
            alerts_now=alerts, again=lambda **words: "?" + urlencode({**request.query_params, **words}),
            id=writing.tile_id, beat_of=age_of, **words, **facts,
        )  # fmt: skip
        response = HTMLResponse(html, status)
        for name, value in (("lang", request.query_params.get("lang")), ("theme", request.query_params.get("theme"))):
            if value and value in (*LANGUAGES, "light", "dark", "auto"):
                response.set_cookie(f"ptolemy_{name}", value, max_age=86400 * 365, path="/web", samesite="strict")
        return response

    def _message(self, request: Request, status: int, text: str, hint: str = "") -> Response:
        if request.url.path.endswith((".json", "/log", "/events")):
            return JSONResponse({"message": text, "hint": hint}, status, headers=_HEADERS)
        response = self._show(request, None, "message.html", status=status, text=text, hint=hint)
        response.headers.update(_HEADERS)
        return response


def _set_session(response: Response, session: Session) -> None:
    response.set_cookie(COOKIE, session.id, path="/web", httponly=True, samesite="strict")


async def _form(request: Request) -> dict[str, str]:
    body = await read_body(request.scope, request.receive, 1 << 16)
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=50))


def _count(text: str, most: int) -> int:
    if not text.isdecimal() or int(text) > most:
        raise BadParam(f"{text[:20]!r} is no number up to {most}")
    return int(text)
