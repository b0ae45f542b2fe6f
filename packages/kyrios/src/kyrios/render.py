"""Rendered files and their manifest: plan, write and check, without touching what a person has edited."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kyrios._house.backends import BackendURL
from kyrios._house.config import load_config
from kyrios._house.files import write_durably
from kyrios.engine import Target, open_engine
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
    return _render(flow, recipe)


def _render(flow: Flow, recipe: Recipe) -> list[RenderedFile]:
    target = Target(recipe.folder, recipe.command, recipe.environment, recipe.params)
    files = open_engine(recipe.engine).render(flow.graph, target)
    return [RenderedFile(name, text, flow.name, flow.digest, recipe) for name, text in sorted(files.items())]


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
    for file in files:
        path = out / file.name
        known = manifest.get(file.name)
        if force or not path.exists() or path.read_bytes() == file.text.encode():
            continue
        if known is None:
            raise Conflict(f"{path} is not Kyrios' own file", hint="move it, or give --force")
        if _digest(path.read_bytes()) != known["content"]:
            raise Conflict(f"{path} was edited by hand", hint="kyrios plan shows the difference; --force overwrites it")
        if known["recipe"]["source"] != file.recipe.source:
            raise Conflict(
                f"{path} belongs to the flow in {known['recipe']['source']}", hint="give the flow another name"
            )
    for file in files:
        path = out / file.name
        if not path.exists() or path.read_bytes() != file.text.encode():
            write_durably(path, file.text.encode())
    entries = {**manifest, **{f.name: _entry(f) for f in files}}
    text = json.dumps({"kyrios": 1, "files": entries}, indent=2, sort_keys=True) + "\n"
    if not (out / MANIFEST).exists() or (out / MANIFEST).read_text(encoding="utf-8") != text:
        write_durably(out / MANIFEST, text.encode())
    return files


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
    findings = []
    for name, entry in sorted(read_manifest(out).items()):
        path = out / name
        if not path.exists():
            findings.append(Finding(name, "missing", "it was rendered and is gone"))
        elif _digest(path.read_bytes()) != entry["content"]:
            findings.append(Finding(name, "edited", "it was edited by hand"))
        try:
            recipe = Recipe(**entry["recipe"])
            now = {file.name: file for file in _render(load_flow(recipe.source), recipe)}
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
