"""Templates: an environment's lock as a package, versioned, signed and pulled like any other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from veda.environment import find_generation
from veda.errors import BadInput
from veda.fetch import ensure_installed, pull
from veda.installed import install_archive
from veda.lock_file import FILE, Lock
from veda.names import Ref, normalise_version
from veda.package import pack
from veda.publish import Pushed, push, register
from veda.registry import Release, open_registry
from veda.resolve import find_release, newest_first
from veda.settings import home as home_folder

_TOML = """\
[package]
name = {name}
version = {version}
summary = {summary}
license = {license}
requires-python = {python}

[environment]
lock = "veda.lock"
"""


@dataclass(frozen=True)
class Uploaded:
    """What an upload did: the release of the template, and how many bytes went to the store."""

    name: str
    version: str
    digest: str
    bytes_sent: int


def upload_template(
    name: str,
    version: str | None = None,
    *,
    license: str = "Apache-2.0",
    to: str | None = None,
    registry: str | None = None,
    home: Path | str | None = None,
) -> Uploaded:
    """Publish the lock of an environment's generation as a template, to the registry and the store.

    Parameters
    ----------
    name
        Such as ``"research"`` or ``"research@3"``.
    version
        Of the template, by default the number of the generation.
    to, registry, home
        The store, and where it is registered.

    Raises
    ------
    ReleaseExists
        If this version is another lock.
    """
    generation = find_generation(name, home)
    version = normalise_version(version or str(generation.number))
    lock = generation.lock
    facts = {
        "name": f"{generation.environment}-env",
        "version": version,
        "summary": f"Environment of {', '.join(lock.requests)}",
        "license": license,
        "python": f"=={lock.python}.*",
    }
    with TemporaryDirectory() as folder:
        workspace = Path(folder)
        text = _TOML.format(**{k: json.dumps(v, ensure_ascii=False) for k, v in facts.items()})
        (workspace / "veda.toml").write_text(text, encoding="utf-8")
        (workspace / FILE).write_bytes(lock.to_bytes())
        target = home_folder(home) / "templates" / f"{generation.environment}-{version}.vedapkg"
        package = pack(workspace, target)
    register(package, registry=registry, home=home)
    install_archive(package, home)
    pushed: Pushed = push(package, to, registry=registry, home=home)
    return Uploaded(package.name, package.version, package.digest, pushed.bytes_sent)


def templates(*, registry: str | None = None, home: Path | str | None = None) -> list[Release]:
    """Return the templates that are registered, by name, newest first."""
    with open_registry(registry, home=home) as catalogue:
        return newest_first(r for r in catalogue.releases() if r.facts.get("environment"))


def template_lock(
    ref: str, *, from_: str | None = None, registry: str | None = None, home: Path | str | None = None
) -> Lock:
    """Return the lock of a template, registered here or in the store `from_`."""
    if from_ is not None:
        pull(ref, from_, registry=registry, home=home)
    with open_registry(registry, home=home) as catalogue:
        release = find_release(Ref.parse(ref), catalogue)
    path = release.facts.get("environment")
    if not isinstance(path, str):
        raise BadInput(f"{release} is no template of an environment", hint="veda env avail")
    return Lock.read(ensure_installed(release, registry=registry, home=home) / path)
