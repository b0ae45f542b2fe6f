"""Rendered files and their manifest: plan, write and check, without touching what a person has edited."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
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
from kyrios.sources import Unchanged, made_by

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
    sources: Mapping[str, str]  #: What the flow was read from, see `kyrios.sources`.

    @cached_property
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
    """Renders many flows: engines are opened, settings read and built units looked up once for all of them."""

    def __init__(self) -> None:
        self._engines: dict[str, Engine] = {}
        self._unchanged = Unchanged()

    def files(self, flow: Flow, recipe: Recipe) -> list[RenderedFile]:
        """Return what `recipe` makes of `flow`, by name."""
        if recipe.engine not in self._engines:
            self._engines[recipe.engine] = open_engine(recipe.engine)
        engine = self._engines[recipe.engine]
        files = engine.render(flow.graph, Target(recipe.folder, recipe.command, recipe.environment, recipe.params))
        # Of what others have written, a change goes unnoticed here.
        sources = flow.sources if type(engine).__module__.startswith("kyrios.") else {}
        return [
            RenderedFile(name, text, flow.name, flow.digest, recipe, sources) for name, text in sorted(files.items())
        ]

    def stands(self, entry: Mapping[str, Any]) -> bool:
        """Tell whether the flow of a file in the manifest, and Kyrios, are what they were when it was rendered."""
        return entry.get("made_by") == made_by() and self._unchanged(
            entry["recipe"]["source"], entry.get("sources", {})
        )


def planned_in(
    folders: Iterable[Path],
    engine: str | None = None,
    *,
    out: Path,
    command: str | None = None,
    load: Callable[[Path], Flow | None] = load_flow,
) -> list[RenderedFile]:
    """Return the files that rendering the flows in `folders` into `out` would write, by name.

    A flow is not read again where it, Kyrios and its file in `out` are what they were when it was rendered.

    Parameters
    ----------
    load
        Reads the flow in a folder; None leaves it out.

    Raises
    ------
    Conflict
        If two flows would write one file.
    """
    config = load_config(SETTINGS, {"engine": engine, "command": command})
    environment, renderer = _environment(), Renderer()
    kept: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for name, entry in read_manifest(out).items():
        kept.setdefault(entry["recipe"]["source"], []).append((name, entry))
    found: dict[str, RenderedFile] = {}
    for folder in folders:
        where = str(folder.absolute())
        recipe = Recipe(where, config.text("engine"), where, config.text("command"), environment, {})
        files = _kept(kept.get(where, []), recipe, out, renderer)
        if files is None:
            flow = load(folder)
            files = renderer.files(flow, recipe) if flow else []
        for file in files:
            if file.name in found:
                raise Conflict(
                    f"{found[file.name].recipe.source} and {where} both give {file.name}",
                    hint="give one of the flows another name",
                )
            found[file.name] = file
    return [found[name] for name in sorted(found)]


def _kept(
    known: list[tuple[str, dict[str, Any]]], recipe: Recipe, out: Path, renderer: Renderer
) -> list[RenderedFile] | None:
    """Return the files of a flow as they lie in `out`, or None where they may not be what rendering gives now."""
    ours = vars(recipe)
    found = []
    for name, entry in known:
        data = _read(out / name) if entry["recipe"] == ours else None
        if data is None or _digest(data) != entry["content"] or not renderer.stands(entry):
            return None
        found.append(RenderedFile(name, data.decode(), entry["flow"], entry["graph"], recipe, entry["sources"]))
    return found or None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


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
        there = _read(path)
        if there == data:
            continue
        changed[path] = data
        if there is None:
            continue
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
    return {
        "flow": file.flow,
        "graph": file.digest,
        "content": file.content,
        "made_by": made_by(),
        "recipe": dict(vars(file.recipe)),
        "sources": dict(file.sources),
    }


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
            entry["content"], entry["flow"], entry["graph"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise BadInput(f"{path} cannot be read: {exc}", hint=f"remove {path} and render again with --force") from None
    return files


def difference(file: RenderedFile, out: Path) -> str:
    """Return the unified diff from what lies in `out` to `file`; empty where nothing changes."""
    path = out / file.name
    data = _read(path)
    if data == file.text.encode():
        return ""
    before = (data or b"").decode("utf-8", "replace").splitlines(keepends=True)
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
        data = _read(path)
        if data is None:
            findings.append(Finding(name, "missing", "it was rendered and is gone"))
        elif _digest(data) != entry["content"]:
            findings.append(Finding(name, "edited", "it was edited by hand"))
        if renderer.stands(entry):
            continue
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
