"""From a ref to what a pool needs; the loaders are entry points of the group ``exia.loaders``.

A ref may begin with its loader, as ``python:statistics:NormalDist`` does. One that does not, such
as ``momentum@~=1.2``, goes to the one loader of packages that is installed; ``jiyuan-veda`` brings one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NoReturn, Protocol

from exia._house.errors import nearest
from exia.errors import (
    BackendUnavailable,
    BadInput,
    Conflict,
    ExiaError,
    LoadError,
    MissingExtra,
    NotAllowed,
    RefNotFound,
)
from exia.methods import MethodInfo, methods_of, methods_of_class

_GROUP = "exia.loaders"
_OWN = {"model", "python"}  # not those of packages
_PREFIX = re.compile(r"([A-Za-z][A-Za-z0-9_-]*):(.+)", re.DOTALL)


class Loaded(Protocol):
    """What a loader returns."""

    @property
    def factory(self) -> Callable[..., Any]:
        """Makes one object; called once per pooled object. What it takes has defaults."""

    @property
    def name(self) -> str:
        """The algorithm's name, without its version."""

    @property
    def version(self) -> str:
        """The version that the ref was resolved to."""

    @property
    def digest(self) -> str:
        """``sha256:`` and the digest of what was loaded; empty if the source keeps none."""

    @property
    def methods(self) -> Mapping[str, MethodInfo]:
        """The object's methods: name to ``{"signature": "(prices)", "summary": "..."}``."""


class Loader(Protocol):
    """An entry point of the group ``exia.loaders``; its name is the prefix of its refs.

    It raises an error whose ``exit_code`` is 3 for an unknown ref, and may give errors the other
    exit codes of the house and a ``hint``; Exia passes both on.
    """

    def __call__(self, ref: str) -> Loaded:
        """Load `ref`, which comes without its prefix."""


def load(ref: str) -> Loaded:
    """Resolve `ref` and load it.

    Raises
    ------
    RefNotFound
        If nothing is published under it.
    MissingExtra
        If no loader for it is installed.
    LoadError
        If it exists, but does not load.
    """
    loader, rest = _choose(ref)
    try:
        call: Loader = loader.load()
        return call(rest)
    except ExiaError:
        raise
    except Exception as exc:
        _translate(ref, exc)


@dataclass(frozen=True)
class PythonObject:
    """What a ``python:`` ref loads."""

    factory: Callable[..., Any]
    name: str
    version: str
    methods: Mapping[str, MethodInfo]
    digest: str = field(default="")


def load_python(ref: str) -> PythonObject:
    """Load ``module:attribute`` (a class or a callable without arguments) or a bare ``module``.

    The version is that of the installed distribution, or of Python itself for its own modules. A
    callable that is no class is called once here, to learn its object's methods.
    """
    import importlib
    import sys
    from importlib.metadata import PackageNotFoundError, version

    module_name, _, attribute = ref.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")) or (":" in ref and not attribute.isidentifier()):
        raise BadInput(f"'python:{ref}' is no ref", hint="write it as python:module:Class")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        if exc.name and (module_name == exc.name or module_name.startswith(f"{exc.name}.")):
            raise RefNotFound(f"there is no Python module {module_name!r}", hint="is it installed here?") from None
        raise LoadError(f"python:{ref} does not load: {exc}") from exc
    try:
        distribution = version(module_name.partition(".")[0])
    except PackageNotFoundError:
        distribution = ".".join(str(n) for n in sys.version_info[:3])
    if not attribute:
        return PythonObject(lambda: module, module_name, distribution, methods_of(module))
    target = getattr(module, attribute, None)
    if not callable(target):
        hint = nearest(attribute, (n for n in dir(module) if callable(getattr(module, n, None))))
        raise RefNotFound(f"{module_name} has no class or callable {attribute!r}", hint=hint)
    made = target if isinstance(target, type) else None
    return PythonObject(target, attribute, distribution, methods_of_class(made) if made else methods_of(target()))


def _choose(ref: str) -> tuple[EntryPoint, str]:
    if not ref.strip():
        raise BadInput("the ref is empty", hint="write it as name, name@version or python:module:Class")
    known = {point.name: point for point in entry_points(group=_GROUP)}
    match = _PREFIX.fullmatch(ref)
    if match and match[1] in known:
        return known[match[1]], match[2]
    if match:
        raise BadInput(
            f"no loader is called {match[1]!r}; known: {', '.join(sorted(known))}",
            hint=nearest(match[1], known) or "a ref without a loader's name is name or name@version",
        )
    packed = sorted(known.keys() - _OWN)
    if not packed:
        raise MissingExtra(
            f"{ref!r} is the ref of a package, and no loader of packages is installed", hint="pip install jiyuan-veda"
        )
    if len(packed) > 1:
        raise BadInput(
            f"{ref!r} could be for any of the loaders {', '.join(packed)}", hint=f"write it as {packed[0]}:{ref}"
        )
    return known[packed[0]], ref


def _translate(ref: str, exc: Exception) -> NoReturn:
    """Raise our own error in the place of a loader's, which Exia's commands do not know."""
    kinds: dict[int, type[ExiaError]] = {
        2: BadInput,
        3: RefNotFound,
        4: NotAllowed,
        5: Conflict,
        6: BackendUnavailable,
    }
    kind = kinds.get(getattr(exc, "exit_code", 1), LoadError)
    if kind is LoadError:
        raise LoadError(f"{ref} does not load: {type(exc).__name__}: {exc}") from exc
    raise kind(str(exc), hint=getattr(exc, "hint", None)) from exc
