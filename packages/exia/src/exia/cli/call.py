"""``exia call``: one method of one object, from the command line."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from exia._house.command import Command
from exia._house.output import json_text
from exia.errors import BadInput, ExiaError, MethodFailed
from exia.plain import plain
from exia.pooling import pool


@click.command(cls=Command, epilog="Example: exia call python:statistics:NormalDist pdf --json '[0]'")
@click.argument("ref")
@click.argument("method")
@click.option(
    "--json",
    "arguments",
    metavar="ARGS",
    default="[]",
    help="Arguments as JSON: a list by position, an object by name; - reads them from stdin.",
)
@click.option("--params", metavar="JSON", default="{}", help="What the object is made with, as a JSON object by name.")
def call(ref: str, method: str, arguments: str, params: str) -> None:
    """Call one METHOD and print its result as JSON.

    REF names what is called. NaN and infinities print as null, arrays as lists, and what JSON lacks as text.
    """
    args, kwargs = _parsed(sys.stdin.read() if arguments == "-" else arguments)
    unnamed, made_with = _parsed(params)
    if unnamed:
        raise BadInput("--params is a list, not an object", hint="""write it as --params '{"window": 20}'""")
    with pool(ref, max_size=1, params=made_with) as one, one.acquire() as lease:
        try:
            result = lease.call(method, *args, **kwargs)
        except ExiaError:
            raise
        except Exception as exc:
            raise MethodFailed(
                f"{method} raised {type(exc).__name__}: {exc}", hint="run it again with --debug for its traceback"
            ) from exc
    print(json_text(plain(result)))


def _parsed(text: str) -> tuple[list[Any], dict[str, Any]]:
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise BadInput(f"the arguments are no JSON: {exc}", hint="write them as --json '[1, 2]'") from None
    if isinstance(value, list):
        return value, {}
    if isinstance(value, dict):
        return [], value
    raise BadInput(
        f"the arguments are {text.strip()[:40]}, neither a list nor an object", hint=f"write them as --json '[{value}]'"
    )
