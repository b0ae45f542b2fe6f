"""Load the entry point of a package in isolation: its modules meet no other module of the same name."""

from __future__ import annotations

import builtins
import importlib
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from packaging.requirements import Requirement

from veda.errors import BadInput, MissingRequirement, NotFound
from veda.fetch import ensure_installed
from veda.names import Ref, path_fault
from veda.registry import open_registry
from veda.resolve import find_release
from veda.workspace import source_root

_PREFIX = "_veda_"


@dataclass(frozen=True)
class PackageFacts:
    """Which release a loaded class came from; it is the class's ``package``.

    Parameters
    ----------
    folder
        Where the release's files are; they never change.
    """

    name: str
    version: str
    digest: str
    folder: Path = field(default=Path(), compare=False)

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    def file(self, path: str) -> Path:
        """Return where a file or folder of the release is, such as ``"models/net.onnx"``; raise `NotFound` if nowhere.

        Parameters
        ----------
        path
            As it was in the workspace.
        """
        found = self.folder / path
        if path_fault(path) or not found.exists():
            raise NotFound(f"{self} has no file {path!r}", hint=f"veda inspect {self} --files")
        return found


@dataclass(frozen=True)
class LoadedAlgorithm:
    """A loaded entry point and what its package says of it.

    Parameters
    ----------
    factory
        The class or function; calling it with the constructor's parameters makes one object.
    name, version, digest
        The release.
    methods
        Each public method to its ``signature``, as it is called, and ``summary``.
    parameters
        JSON Schema of what `factory` takes.
    """

    factory: Callable[..., Any]
    name: str
    version: str
    digest: str
    methods: Mapping[str, Mapping[str, str]]
    parameters: Mapping[str, Any]


def load(
    ref: str,
    entry_point: str | None = None,
    *,
    registry: str | None = None,
    home: Path | str | None = None,
) -> Any:
    """Return the class (or factory) of a registered package; its ``package`` says which release it is.

    The package's modules get private names, so that two versions can be loaded at once and
    neither meets a module of the caller.

    Parameters
    ----------
    ref
        Such as ``"momentum@~=1.2"``.
    entry_point
        Its name in ``veda.toml``, by default ``default`` or the only one.

    Raises
    ------
    NotFound
        If no such release is registered, or nothing has its files.
    MissingRequirement
        If a Python distribution that it needs is not installed.
    BadInput
        If its code fails on import.
    """
    return load_algorithm(ref, entry_point, registry=registry, home=home).factory


def load_algorithm(
    ref: str,
    entry_point: str | None = None,
    *,
    registry: str | None = None,
    home: Path | str | None = None,
) -> LoadedAlgorithm:
    """Load like `load`, and return the methods and parameters beside the class."""
    with open_registry(registry, home=home) as catalogue:
        release = find_release(Ref.parse(ref), catalogue)
    tree = ensure_installed(release, registry=registry, home=home)
    for requirement in release.facts["requires"]:
        _require(requirement, str(release))
    point = _choose(release.facts["entry_points"], entry_point, str(release))
    module, _, attribute = point["target"].partition(":")
    factory = getattr(_import(tree, release.digest, module, str(release)), attribute, None)
    if not callable(factory):
        raise BadInput(f"{release}: {point['target']} is nothing that can be called", hint="veda check the workspace")
    factory.package = PackageFacts(release.name, release.version, release.digest, tree)
    return LoadedAlgorithm(
        factory, release.name, release.version, release.digest, point["methods"], point["parameters"]
    )


def exia_loader(ref: str) -> LoadedAlgorithm:
    """Load for Exia, which finds this function as the entry point ``veda`` of the group ``exia.loaders``."""
    return load_algorithm(ref)


class _Finder(MetaPathFinder):
    """Finds ``_veda_<digest>`` and what lies below it, in the trees that were loaded from."""

    def __init__(self) -> None:
        self.roots: dict[str, Path] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top, _, below = fullname.partition(".")
        if top not in self.roots:
            return None
        if not below:
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(self.roots[top])]
            return spec
        found = PathFinder.find_spec(fullname, path)
        if found is not None and isinstance(found.loader, SourceFileLoader):
            found.loader = _Loader(fullname, found.loader.path)
        return found


class _Loader(SourceFileLoader):
    """Runs a module whose absolute imports look into its own tree first; writes no bytecode there."""

    def exec_module(self, module: ModuleType) -> None:
        top = module.__name__.partition(".")[0]
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _importer(top)}
        super().exec_module(module)

    def _cache_bytecode(self, source_path: str, cache_path: str, data: Any) -> None:
        """Keep nothing: a tree never changes, not even by what Python leaves beside a source."""

    def get_code(self, fullname: str) -> CodeType | None:
        return self.source_to_code(self.get_data(self.path), self.path)


_finder = _Finder()
_lock = threading.Lock()


def _import(tree: Path, digest: str, module: str, release: str) -> ModuleType:
    top = _PREFIX + digest.removeprefix("sha256:")
    with _lock:
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)  # before PathFinder, which would find our modules first
        if top not in _finder.roots:
            paths = [str(p.relative_to(tree)) for p in tree.glob("src/*")]
            _finder.roots[top] = tree / source_root(paths)
    try:
        return importlib.import_module(f"{top}.{module}")
    except Exception as exc:  # whatever a stranger's module does when it is imported
        raise BadInput(
            f"{release} fails on import: {type(exc).__name__}: {exc}", hint="veda check its workspace"
        ) from exc


@lru_cache(maxsize=1024)
def _is_own(top: str, name: str) -> bool:
    spec = PathFinder.find_spec(name, [str(_finder.roots[top])])
    return spec is not None and spec.loader is not None


def _importer(top: str) -> Callable[..., ModuleType]:
    def own_import(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        first = name.partition(".")[0]
        if level or not _is_own(top, first):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = builtins.__import__(f"{top}.{name}", globals, locals, fromlist or (), 0)
        return module if fromlist else sys.modules[f"{top}.{first}"]

    return own_import


def _require(text: str, release: str) -> None:
    requirement = Requirement(text)
    if requirement.marker is not None and not requirement.marker.evaluate():
        return
    try:
        present = version(requirement.name)
    except PackageNotFoundError:
        present = None
    if present is None or not requirement.specifier.contains(present, prereleases=True):
        found = f"{present} is" if present else "it is not"
        raise MissingRequirement(f"{release} needs {text}, but {found} installed here", hint=f"pip install '{text}'")


def _choose(points: Sequence[Mapping[str, Any]], wanted: str | None, release: str) -> Mapping[str, Any]:
    by_name = {p["name"]: p for p in points}
    name = wanted or ("default" if "default" in by_name else next(iter(by_name)) if len(by_name) == 1 else None)
    if name is None:
        raise BadInput(f"{release} has several entry points: {', '.join(by_name)}", hint="name one of them")
    if name not in by_name:
        raise NotFound(f"{release} has no entry point {name!r}; it has {', '.join(by_name)}")
    return by_name[name]
