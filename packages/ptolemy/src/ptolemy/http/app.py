"""The ASGI application: two faces, and the few pages about the service itself."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ptolemy.errors import PtolemyError
from ptolemy.http import native, tushare
from ptolemy.http.listening import PATH, listening_face
from ptolemy.http.openapi import openapi, page
from ptolemy.http.service import Service
from ptolemy.http.wire import Receive, Scope, Send

WEB = "/web"
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def application(service: Service, web: App | None = None) -> App:
    """Return the ASGI application of `service`, with the page of the centre below ``/web`` if it is given.

    The faces are reached without a router: a call for one security takes less time than routing it.
    """
    pages = _pages(service)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            if scope["method"] == "POST" and (path == "/" or _is_below(path, tushare.PREFIX)):
                await tushare.tushare_face(service, scope, receive, send)
                return
            if _is_below(path, native.PREFIX):
                await native.native_face(service, scope, receive, send)
                return
            if web is not None and _is_below(path, WEB):
                await web(scope, receive, send)
                return
        elif scope["type"] == "websocket" and scope["path"] == PATH:
            await listening_face(service, scope, receive, send)
            return
        await pages(scope, receive, send)

    return app


def _is_below(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/")


def _pages(service: Service) -> Starlette:
    described = json.dumps(openapi(), ensure_ascii=False).encode()
    shown = page()

    def guarded(answer: Callable[[], Response]) -> Any:
        def endpoint(request: Request) -> Response:
            try:
                service.check_host(request.scope)
            except PtolemyError as exc:
                return JSONResponse({"error": type(exc).__name__, "message": str(exc), "hint": exc.hint}, 403)
            return answer()

        return endpoint

    def ready() -> Response:
        try:
            kept = service.series.datasets()
        except (PtolemyError, OSError) as exc:
            return JSONResponse({"ready": False, "why": str(exc)}, 503)
        return JSONResponse({"ready": True, "datasets": kept})

    policy = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
    answers: dict[str, Callable[[], Response]] = {
        "/": lambda: RedirectResponse("/docs"),
        "/docs": lambda: HTMLResponse(shown, headers=policy),
        "/openapi.json": lambda: Response(described, media_type="application/json"),
        "/healthz": lambda: JSONResponse({"healthy": True}),
        "/readyz": ready,
        "/metrics": lambda: PlainTextResponse(service.metrics.text()),
    }
    return Starlette(routes=[Route(path, guarded(answer)) for path, answer in answers.items()])
