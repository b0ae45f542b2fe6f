"""Rendered files and their manifest: plan, write and check, without touching what a person has edited."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kyrios._house.backends import BackendURL
from kyrios._house.config import load_config
from kyrios._house.files import make_folder, sync_folder, write_durably
from kyrios.engine import Engine, Target, open_engine
from kyrios.errors import BadInput, Conflict, FlowInvalid, NotFound
from kyrios.flows import Flow, load_flow
from kyrios.params import bind
from kyrios.settings import SETTINGS

MANIFEST = ".kyrios.json"


@dataclass(frozen=True)
class Recipe:
    """All that a rendered file is made from besides the flow itself."""

    source: str
    engine: str
    folder: str
    command: str
    environment: Mapping[str, str]
    params: Mapping[str, Any]


@dataclass(frozen=True)
class RenderedFile:
    """One file for an engine."""

    name: str
    text: str
    flow: str
    digest: str  #: Of the graph that it was made from.
    recipe: Recipe

    @property
    def content(self) -> str:
        """Digest of the text."""
        return _digest(self.text.encode())


@dataclass(frozen=True)
class Finding:
    """How a rendered file differs from its flow: ``edited``, ``stale``, ``missing`` or ``orphaned``."""

    file: str
    kind: str
    detail: str


class Renderer:
    """Renders many flows: engines are opened, and settings read, once for all of them."""

    def __init__(self) -> None:
        self._engines: dict[str, Engine] = {}

    def files(self, flow: Flow, recipe: Recipe) -> list[RenderedFile]:
        """Return what `recipe` makes of `flow`, by name."""
        if recipe.engine not in self._engines:
            self._engines[recipe.engine] = open_engine(recipe.engine)
        target = Target(recipe.folder, recipe.command, recipe.environment, recipe.params)
        files = self._engines[recipe.engine].render(flow.graph, target)
        return [RenderedFile(name, text, flow.name, flow.digest, recipe) for name, text in sorted(files.items())]


def planned_all(flows: Sequence[Flow], engine: str | None = None, *, command: str | None = None) -> list[RenderedFile]:
    """Return the files that rendering each of `flows` would write; no two flows may have one name.

    Raises
    ------
    Conflict
        If two flows would write one file.
    """
    config = load_config(SETTINGS, {"engine": engine, "command": command})
    environment, renderer = _environment(), Renderer()
    found: dict[str, RenderedFile] = {}
    for flow in flows:
        where = str(flow.folder)
        recipe = Recipe(where, config.text("engine"), where, config.text("command"), environment, {})
        for file in renderer.files(flow, recipe):
            if file.name in found:
                raise Conflict(
                    f"{found[file.name].recipe.source} and {where} both give {file.name}",
                    hint="give one of the flows another name",
                )
            found[file.name] = file
    return [found[name] for name in sorted(found)]


def planned(
    flow: Flow,
    engine: str | None = None,
    *,
    folder: str | None = None,
    command: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> list[RenderedFile]:
    """Return the files that rendering would write, see `Flow.render`."""
    config = load_config(SETTINGS, {"engine": engine, "command": command})
    given = dict(params or {})
    if given:
        bind(flow.graph, given)
    recipe = Recipe(
        source=str(flow.folder),
        engine=config.text("engine"),
        folder=folder or str(flow.folder),
        command=config.text("command"),
        environment=_environment(),
        params=given,
    )
    return Renderer().files(flow, recipe)


def _environment() -> dict[str, str]:
    """Return the settings that tasks need to meet the same data and record, as far as they hold no secret."""
    config = load_config(SETTINGS)
    found = {}
    for name in ("data", "history"):
        address = BackendURL.parse(config.text(name))
        if config.origin(name) == "default" or "***" in str(address):
            continue
        relative = address.scheme in ("file", "sqlite") and address.path and not address.path.startswith("/")
        found[f"KYRIOS_{name.upper()}"] = (
            f"{address.scheme}://{Path(address.path).absolute()}" if relative else str(address)
        )
    return found


def write(files: list[RenderedFile], out: Path, *, force: bool = False) -> list[RenderedFile]:
    """Write `files` into `out`, none if one of them must not be overwritten; see `Flow.render`."""
    manifest = read_manifest(out)
    changed = {}
    for file in files:
        path, data = out / file.name, file.text.encode()
        try:
            there = path.read_bytes()
        except FileNotFoundError:
            changed[path] = data
            continue
        if there == data:
            continue
        changed[path] = data
        known = manifest.get(file.name)
        if force:
            continue
        if known is None:
            raise Conflict(f"{path} is not Kyrios' own file", hint="move it, or give --force")
        if _digest(there) != known["content"]:
            raise Conflict(f"{path} was edited by hand", hint="kyrios plan shows the difference; --force overwrites it")
        if known["recipe"]["source"] != file.recipe.source:
            raise Conflict(
                f"{path} belongs to the flow in {known['recipe']['source']}", hint="give the flow another name"
            )
    entries = {**manifest, **{f.name: _entry(f) for f in files}}
    if entries != manifest or not (out / MANIFEST).exists():
        text = json.dumps({"kyrios": 1, "files": entries}, indent=2, sort_keys=True) + "\n"
        _replace_all(out, changed)
        write_durably(out / MANIFEST, text.encode())
    else:
        _replace_all(out, changed)
    return files


def _replace_all(out: Path, changed: Mapping[Path, bytes]) -> None:
    """Replace files, each all or nothing and durable on return; the folder is made durable once for all of them."""
    if not changed:
        return
    make_folder(out)
    # A disk takes many fsyncs in the time of a few: it joins those that wait at once.
    new = {path: out / f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp" for path in changed}
    try:
        with ThreadPoolExecutor(min(16, len(changed))) as writers:
            for _ in writers.map(lambda path: _write_new(new[path], changed[path]), changed):
                pass
        for path, temporary in new.items():
            temporary.replace(path)
        sync_folder(out)
    finally:
        for temporary in new.values():
            with suppress(FileNotFoundError):
                temporary.unlink()


def _write_new(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _entry(file: RenderedFile) -> dict[str, Any]:
    return {"flow": file.flow, "graph": file.digest, "content": file.content, "recipe": asdict(file.recipe)}


def read_manifest(out: Path) -> dict[str, Any]:
    """Return what is known of the rendered files in `out`, by name; nothing where nothing was rendered."""
    path = out / MANIFEST
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        files: dict[str, Any] = document["files"]
        for entry in files.values():
            Recipe(**entry["recipe"])
            entry["content"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise BadInput(f"{path} cannot be read: {exc}", hint=f"remove {path} and render again with --force") from None
    return files


def difference(file: RenderedFile, out: Path) -> str:
    """Return the unified diff from what lies in `out` to `file`; empty where nothing changes."""
    path = out / file.name
    before = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    after = file.text.splitlines(keepends=True)
    return "".join(difflib.unified_diff(before, after, str(path) if before else "/dev/null", str(path)))


def check(out: Path) -> list[Finding]:
    """Return every way in which the rendered files in `out` differ from their flows.

    Raises
    ------
    NotFound
        If nothing was rendered into `out`.
    """
    if not (out / MANIFEST).exists():
        raise NotFound(f"nothing was rendered into {out}", hint=f"kyrios render FLOW --engine airflow --out {out}")
    findings, renderer = [], Renderer()
    for name, entry in sorted(read_manifest(out).items()):
        path = out / name
        try:
            content = _digest(path.read_bytes())
        except FileNotFoundError:
            findings.append(Finding(name, "missing", "it was rendered and is gone"))
        else:
            if content != entry["content"]:
                findings.append(Finding(name, "edited", "it was edited by hand"))
        try:
            recipe = Recipe(**entry["recipe"])
            now = {file.name: file for file in renderer.files(load_flow(recipe.source), recipe)}
        except (NotFound, FlowInvalid) as exc:
            findings.append(Finding(name, "orphaned", exc.message))
            continue
        if name not in now:
            findings.append(Finding(name, "orphaned", "its flow has another name now"))
        elif now[name].content != entry["content"]:
            findings.append(Finding(name, "stale", f"the flow in {recipe.source} has changed"))
    return findings


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
