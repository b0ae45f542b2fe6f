"""veda: pack algorithms into files that cannot change, register them, and move them to every machine.

>>> import veda
>>> package = veda.pack("momentum")  # doctest: +SKIP
>>> release = veda.register(package)  # doctest: +SKIP
>>> pushed = veda.push("momentum@1.2.0")  # doctest: +SKIP
>>> Momentum = veda.load("momentum@~=1.2")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from veda.errors import (
    ArchiveRefused,
    BackendUnavailable,
    BadInput,
    ConfigError,
    Conflict,
    Damaged,
    MissingExtra,
    MissingRequirement,
    NotAllowed,
    NotFound,
    ReleaseExists,
    UnknownBackend,
    Unsatisfiable,
    VedaError,
)

if TYPE_CHECKING:
    from veda.checking import Finding, check
    from veda.environment import create_environment, rollback_environment
    from veda.environment_model import Generation
    from veda.fetch import Pulled, pull
    from veda.inspecting import inspect
    from veda.loading import LoadedAlgorithm, PackageFacts, load, load_algorithm
    from veda.lock_environment import lock
    from veda.lock_file import Lock
    from veda.manifest import Manifest
    from veda.names import Ref
    from veda.package import Package, open_package, pack, unpack, verify
    from veda.publish import Pushed, push, register, tag
    from veda.registry import Registry, Release, open_registry
    from veda.rollout import deploy_environment, fleet
    from veda.starting import new_workspace
    from veda.store import Store, open_store

__all__ = [
    "ArchiveRefused",
    "BackendUnavailable",
    "BadInput",
    "ConfigError",
    "Conflict",
    "Damaged",
    "Finding",
    "Generation",
    "LoadedAlgorithm",
    "Lock",
    "Manifest",
    "MissingExtra",
    "MissingRequirement",
    "NotAllowed",
    "NotFound",
    "Package",
    "PackageFacts",
    "Pulled",
    "Pushed",
    "Ref",
    "Registry",
    "Release",
    "ReleaseExists",
    "Store",
    "UnknownBackend",
    "Unsatisfiable",
    "VedaError",
    "check",
    "create_environment",
    "deploy_environment",
    "fleet",
    "inspect",
    "load",
    "load_algorithm",
    "lock",
    "new_workspace",
    "open_package",
    "open_registry",
    "open_store",
    "pack",
    "pull",
    "push",
    "register",
    "rollback_environment",
    "tag",
    "unpack",
    "verify",
]

_HOMES = {
    "rollout": (
        "deploy_environment",
        "fleet",
    ),
    "lock_file": ("Lock",),
    "lock_environment": ("lock",),
    "environment_model": ("Generation",),
    "environment": (
        "create_environment",
        "rollback_environment",
    ),
    "checking": ("Finding", "check"),
    "fetch": ("Pulled", "pull"),
    "inspecting": ("inspect",),
    "loading": ("LoadedAlgorithm", "PackageFacts", "load", "load_algorithm"),
    "manifest": ("Manifest",),
    "names": ("Ref",),
    "package": ("Package", "open_package", "pack", "unpack", "verify"),
    "publish": ("Pushed", "push", "register", "tag"),
    "registry": ("Registry", "Release", "open_registry"),
    "starting": ("new_workspace",),
    "store": ("Store", "open_store"),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    # Imported when first used, so that `veda --help` pays for none of it.
    if name not in _MODULES:
        raise AttributeError(f"module 'veda' has no attribute {name!r}")
    value = getattr(import_module(f"veda.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
