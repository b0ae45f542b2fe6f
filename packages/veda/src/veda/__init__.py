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
    Untrusted,
    VedaError,
)

if TYPE_CHECKING:
    from veda.adding import Added, add
    from veda.browsing import Browsed, browse
    from veda.channels import Channel, promote, read_channel, renew, withdraw
    from veda.checking import Finding, check
    from veda.comparing import Difference, diff
    from veda.environment import create_environment, rollback_environment
    from veda.environment_model import Generation
    from veda.fetch import Pulled, pull
    from veda.inspecting import inspect
    from veda.keys import Key, new_key, revoke, trust, trusted
    from veda.loading import LoadedAlgorithm, PackageFacts, load, load_algorithm
    from veda.lock_environment import lock
    from veda.lock_file import Lock
    from veda.manifest import Manifest
    from veda.names import Ref
    from veda.opening import Installed, open
    from veda.package import Package, open_package, pack, unpack, verify
    from veda.publish import Pushed, push, register
    from veda.records import history, tag, unyank, update, yank
    from veda.registry import Event, Query, Registry, Release, open_registry
    from veda.remote import Probe, probe, register_remote, reindex
    from veda.rollout import deploy_environment, fleet
    from veda.starting import new_workspace
    from veda.store import Store, open_store
    from veda.syncing import Synced, sync
    from veda.upkeep import Collected, Fault, collect, stats, verify_store

__all__ = [
    "Added",
    "ArchiveRefused",
    "BackendUnavailable",
    "BadInput",
    "Browsed",
    "Channel",
    "Collected",
    "ConfigError",
    "Conflict",
    "Damaged",
    "Difference",
    "Event",
    "Fault",
    "Finding",
    "Generation",
    "Installed",
    "Key",
    "LoadedAlgorithm",
    "Lock",
    "Manifest",
    "MissingExtra",
    "MissingRequirement",
    "NotAllowed",
    "NotFound",
    "Package",
    "PackageFacts",
    "Probe",
    "Pulled",
    "Pushed",
    "Query",
    "Ref",
    "Registry",
    "Release",
    "ReleaseExists",
    "Store",
    "Synced",
    "UnknownBackend",
    "Unsatisfiable",
    "Untrusted",
    "VedaError",
    "add",
    "browse",
    "check",
    "collect",
    "create_environment",
    "deploy_environment",
    "diff",
    "fleet",
    "history",
    "inspect",
    "load",
    "load_algorithm",
    "lock",
    "new_key",
    "new_workspace",
    "open",
    "open_package",
    "open_registry",
    "open_store",
    "pack",
    "probe",
    "promote",
    "pull",
    "push",
    "read_channel",
    "register",
    "register_remote",
    "reindex",
    "renew",
    "revoke",
    "rollback_environment",
    "stats",
    "sync",
    "tag",
    "trust",
    "trusted",
    "unpack",
    "unyank",
    "update",
    "verify",
    "verify_store",
    "withdraw",
    "yank",
]

_HOMES = {
    "adding": ("Added", "add"),
    "browsing": ("Browsed", "browse"),
    "channels": ("Channel", "promote", "read_channel", "renew", "withdraw"),
    "checking": ("Finding", "check"),
    "comparing": ("Difference", "diff"),
    "environment": ("create_environment", "rollback_environment"),
    "environment_model": ("Generation",),
    "fetch": ("Pulled", "pull"),
    "inspecting": ("inspect",),
    "keys": ("Key", "new_key", "revoke", "trust", "trusted"),
    "loading": ("LoadedAlgorithm", "PackageFacts", "load", "load_algorithm"),
    "lock_environment": ("lock",),
    "lock_file": ("Lock",),
    "manifest": ("Manifest",),
    "names": ("Ref",),
    "opening": ("Installed", "open"),
    "package": ("Package", "open_package", "pack", "unpack", "verify"),
    "publish": ("Pushed", "push", "register"),
    "records": ("history", "tag", "unyank", "update", "yank"),
    "registry": ("Event", "Query", "Registry", "Release", "open_registry"),
    "remote": ("Probe", "probe", "register_remote", "reindex"),
    "rollout": ("deploy_environment", "fleet"),
    "starting": ("new_workspace",),
    "store": ("Store", "open_store"),
    "syncing": ("Synced", "sync"),
    "upkeep": ("Collected", "Fault", "collect", "stats", "verify_store"),
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
