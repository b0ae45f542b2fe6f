"""The description of the interface as OpenAPI 3.1, from the one table of what can be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kyrios._house.version import installed_version
from kyrios.serving.orders import Empty, Login, Order, PlanOrder, RenderOrder, RunOrder


@dataclass(frozen=True)
class Operation:
    """One request: its path has ``{name}`` for what stands there; `scope` is what a token must have."""

    method: str
    path: str
    name: str
    summary: str
    scope: str = "read"
    body: type[Order] | None = None
    query: tuple[tuple[str, str], ...] = ()
    answer: str = "application/json"
    status: int = 200


OPERATIONS = (
    Operation("GET", "/healthz", "healthz", "Whether the server answers.", scope=""),
    Operation("GET", "/openapi.json", "openapi", "This description."),
    Operation("GET", "/metrics", "metrics", "Figures for Prometheus.", answer="text/plain"),
    Operation("POST", "/login", "login", "Open a session of the page.", scope="", body=Login),
    Operation("POST", "/logout", "logout", "End the session.", scope="", body=Empty),
    Operation("GET", "/flows", "flows", "List the flows, the broken ones too."),
    Operation("GET", "/flows/{flow}", "flow", "Show a flow: its units and the schema of its parameters."),
    Operation("GET", "/flows/{flow}/graph.svg", "graph", "Draw a flow.", answer="image/svg+xml"),
    Operation("POST", "/flows/{flow}/validate", "validate", "Check a flow's files.", body=Empty),
    Operation("POST", "/flows/{flow}/plan", "plan", "Show what rendering would change.", body=PlanOrder),
    Operation("POST", "/flows/{flow}/render", "render", "Write rendered files.", scope="render", body=RenderOrder),
    Operation("POST", "/flows/{flow}/runs", "run", "Start a run.", scope="run", body=RunOrder, status=202),
    Operation("GET", "/runs", "runs", "List the newest runs.", query=(("limit", "integer"), ("flow", "string"))),
    Operation("GET", "/runs/{run}", "show", "Show a run and its units."),
    Operation("GET", "/runs/{run}/events", "events", "Follow a run.", answer="text/event-stream",
              query=(("after", "integer"),)),
    Operation("GET", "/runs/{run}/logs/{unit}", "log", "Read a unit's log.", query=(("offset", "integer"),)),
    Operation("GET", "/runs/{run}/tables/{table}", "table", "Read the first rows of a table.",
              query=(("limit", "integer"),)),
    Operation("POST", "/runs/{run}/cancel", "cancel", "End a run as Ctrl-C does.", scope="run", body=Empty, status=202),
    Operation("POST", "/runs/{run}/resume", "resume", "Go on with a run.", scope="run", body=Empty, status=202),
)  # fmt: skip


def description() -> dict[str, Any]:
    """Return the description."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {
        "Error": {
            "type": "object", "required": ["error", "hint"],
            "properties": {
                "error": {"type": "string"}, "hint": {"type": ["string", "null"]},
                "problems": {"type": "array", "items": {"type": "object"}},
            },
        }
    }  # fmt: skip
    for operation in OPERATIONS:
        if operation.body is not None:
            schemas[operation.body.__name__] = operation.body.model_json_schema()
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Kyrios", "version": installed_version(), "summary": "Flows over HTTP"},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    names = [part[1:-1].removesuffix("}") for part in operation.path.split("/") if part.startswith("{")]
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [
            *({"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names),
            *({"name": n, "in": "query", "schema": {"type": kind}} for n, kind in operation.query),
        ],
        "responses": {
            str(operation.status): {"description": "Done.", "content": {operation.answer: {}}},
            "default": {
                "description": "What was wrong, and the next step.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if operation.scope:
        found["security"] = [{}, {"token": [operation.scope]}]
    if operation.body is not None:
        reference = {"$ref": f"#/components/schemas/{operation.body.__name__}"}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": reference}}}
    return found
