"""``exia params``: what algorithms run with, and who changed it."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from exia._house.command import Group, json_option
from exia._house.output import json_text, print_record, print_records
from exia.errors import BadInput, ParamsNotFound
from exia.params import ParamsVersion, Schema, Snapshot, follow, open_params

_MOVES = ["version", "at", "who", "why"]
why_option = click.option("--why", default="", metavar="TEXT", help="The reason, kept with the version.")


@click.group(cls=Group, help="Show and change what algorithms run with, while they run.")
def params() -> None:
    pass


@params.command("list", epilog="Example: exia params list")
@json_option
def list_(as_json: bool) -> None:
    """List the names that have parameters."""
    with open_params() as store:
        rows = [_facts(store.get(name)) for name in store.names()]
    print_records(rows, ["name", *_MOVES], as_json=as_json)


@params.command(epilog="Example: exia params define normal python:statistics:NormalDist")
@click.argument("name")
@click.argument("schema")
@click.argument("values", nargs=-1, metavar="[KEY=VALUE]...")
@why_option
@json_option
def define(name: str, schema: str, values: tuple[str, ...], why: str, as_json: bool) -> None:
    """Say what the parameters of NAME may be.

    SCHEMA is a ref (python:MODULE:CLASS, or a package's), or the path of a JSON Schema.
    """
    path = Path(schema)
    source: Any = schema
    if path.suffix == ".json":
        source = _read(path)
    made = Schema.of(source)
    with open_params() as store:
        version = store.define(name, made, _parsed(values, made), why=why)
    _print(version, as_json=as_json)


@params.command(epilog="Example: exia params get normal")
@click.argument("name")
@click.argument("key", required=False)
@click.option("--version", "number", type=click.IntRange(1), help="An old version in place of the one in force.")
@json_option
def get(name: str, key: str | None, number: int | None, as_json: bool) -> None:
    """Show the parameters of NAME, or the value of one KEY."""
    with open_params() as store:
        version = store.get(name, number)
    if key is None:
        _print(version, as_json=as_json)
        return
    if key not in version.values:
        raise ParamsNotFound(f"{name} has no parameter {key!r}", hint=f"it has {', '.join(version.values) or 'none'}")
    value = version.values[key]
    print(json_text(value) if as_json or not isinstance(value, str) else value)


@params.command("set", epilog="Example: exia params set normal mu=2 sigma=0.5 --why 'wider'")
@click.argument("name")
@click.argument("values", nargs=-1, required=True, metavar="KEY=VALUE...")
@why_option
@click.option("--expect", type=click.IntRange(1), help="Refuse if another version than this is in force.")
@json_option
def set_(name: str, values: tuple[str, ...], why: str, expect: int | None, as_json: bool) -> None:
    """Set parameters of NAME, all together or none; a VALUE is JSON, or text as it stands."""
    with open_params() as store:
        schema = Schema(store.get(name).schema)
        version = store.set(name, _parsed(values, schema), why=why, expect=expect)
    _print(version, as_json=as_json)


@params.command("apply", epilog="Example: exia params apply normal normal.toml")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@why_option
@click.option("--expect", type=click.IntRange(1), help="Refuse if another version than this is in force.")
@json_option
def apply_(name: str, file: Path, why: str, expect: int | None, as_json: bool) -> None:
    """Set the parameters of NAME to those in FILE (.json or .toml); what it leaves out goes back to its default."""
    with open_params() as store:
        version = store.set(name, _read(file), why=why or f"apply {file.name}", expect=expect, replace=True)
    _print(version, as_json=as_json)


@params.command(epilog="Example: exia params diff normal")
@click.argument("name")
@click.argument("one", type=click.IntRange(1), required=False)
@click.argument("other", type=click.IntRange(1), required=False)
@json_option
def diff(name: str, one: int | None, other: int | None, as_json: bool) -> None:
    """Show what differs between version ONE (the one before) and version OTHER (the one in force)."""
    with open_params() as store:
        found = store.diff(name, one, other)
    print_records([c._asdict() for c in found], ["key", "one", "other"], as_json=as_json)


@params.command(epilog="Example: exia params history normal")
@click.argument("name")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many at most.")
@json_option
def history(name: str, limit: int, as_json: bool) -> None:
    """List the versions of NAME, newest first: who, when and why."""
    with open_params() as store:
        rows = [_facts(version) for version in store.history(name, limit)]
    print_records(rows, [*_MOVES, "values"], as_json=as_json)


@params.command(epilog="Example: exia params rollback normal 1")
@click.argument("name")
@click.argument("number", type=click.IntRange(1), required=False, metavar="[VERSION]")
@why_option
@json_option
def rollback(name: str, number: int | None, why: str, as_json: bool) -> None:
    """Put VERSION (the one before) of NAME in force again, as a new version."""
    with open_params() as store:
        version = store.rollback(name, number, why=why)
    _print(version, as_json=as_json)


@params.command(epilog="Example: exia params watch normal --count 1")
@click.argument("name")
@click.option("--count", type=click.IntRange(1), help="Stop after so many versions; else Ctrl-C stops it.")
@json_option
def watch(name: str, count: int | None, as_json: bool) -> None:
    """Print the parameters of NAME now and each time that they change: one line each."""
    with follow(name) as live:
        seen, told = 0, 0
        while True:
            snapshot = live.snapshot
            if snapshot.version != seen:
                seen, told = snapshot.version, told + 1
                print(_line(snapshot, as_json=as_json), flush=True)
            if count is not None and told >= count:
                return
            live.wait(seen + 1, timeout=1.0)


def _parsed(pairs: tuple[str, ...], schema: Schema) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise BadInput(f"{pair!r} sets nothing", hint="write it as window=20")
        if key in found:
            raise BadInput(f"{key} is set twice", hint="leave one of them out")
        kind = schema.document.get("properties", {}).get(key, {}).get("type")
        try:
            value = json.loads(text, parse_constant=_no_constant)
        except BadInput:  # a ValueError too
            raise
        except ValueError:
            value = text
        # A text that looks like a number stays text where text is wanted.
        found[key] = text if kind == "string" and not isinstance(value, str) else value
    return found


def _no_constant(word: str) -> float:
    raise BadInput(f"{word} is no value that JSON knows", hint="give a finite number")


def _read(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    try:
        values = tomllib.loads(data.decode()) if path.suffix == ".toml" else json.loads(data)
    except (ValueError, UnicodeDecodeError) as exc:
        raise BadInput(f"{path} cannot be read: {exc}", hint="it is to be .json or .toml") from None
    if not isinstance(values, dict):
        raise BadInput(f"{path} holds no names with values", hint='write {"window": 20}')
    return values


def _facts(version: ParamsVersion) -> dict[str, Any]:
    return {k: v for k, v in asdict(version).items() if k not in ("schema", "id", "parent")}


def _print(version: ParamsVersion, *, as_json: bool) -> None:
    facts = _facts(version)
    if as_json:
        print_record(facts, as_json=True)
        return
    values = facts.pop("values")
    print_record(
        {**{k: v for k, v in facts.items() if v != ""}, **{f"  {k}": v for k, v in values.items()}}, as_json=False
    )


def _line(snapshot: Snapshot, *, as_json: bool) -> str:
    facts = {k: getattr(snapshot, k) for k in ("version", "at", "who", "why", "stale", "values")}
    if as_json:
        return json.dumps(facts, ensure_ascii=False, default=_plain)
    values = json.dumps(snapshot.values, ensure_ascii=False, default=_plain)
    return f"{snapshot.at}  version {snapshot.version}  {snapshot.who}  {values}  {snapshot.why}".rstrip()


def _plain(value: Any) -> Any:
    return dict(value)
