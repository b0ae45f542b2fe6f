"""Open a package wherever it is: a file, or a release that a reference means."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from veda.errors import Damaged
from veda.fetch import ensure_installed
from veda.installed import installed_manifest
from veda.manifest import Described, Manifest
from veda.names import Ref
from veda.package import Package, open_package
from veda.publish import is_file_name
from veda.registry import open_registry
from veda.resolve import find_release
from veda.tree import read_file


@dataclass(frozen=True)
class Installed(Described):
    """A release whose files are on this machine; it is read as an open package file is.

    Parameters
    ----------
    path
        The folder of its files; they never change.
    """

    path: Path
    manifest: Manifest

    def read(self, path: str) -> bytes:
        """Return the bytes of one file, compared with the manifest.

        Raises
        ------
        BadInput
            If there is none of this path.
        Damaged
            If somebody has changed it.
        """
        return read_file(self.entry(path, f"{self.name}@{self.version}"), self.path)


def open(
    what: str | os.PathLike[str], *, registry: str | None = None, home: Path | str | None = None
) -> Package | Installed:
    """Open a package file, or the release that a reference means; both give ``manifest`` and ``read(path)``.

    Parameters
    ----------
    what
        A path that ends in ``.vedapkg``, or a reference such as ``"momentum@~=1.2"``. A release that is
        registered and not installed is fetched from the configured store and verified.

    Raises
    ------
    NotFound
        If no such release is registered, or nothing has its files.
    ArchiveRefused
        If a file breaks a rule of the format.

    Examples
    --------
    >>> import veda
    >>> release = veda.register(veda.pack("examples/momentum", "momentum.vedapkg"))
    >>> veda.open("momentum").read("veda.toml") == veda.open("momentum.vedapkg").read("veda.toml")
    True
    """
    if not isinstance(what, str) or is_file_name(what):
        return open_package(what)
    with open_registry(registry, home=home) as catalogue:
        release = find_release(Ref.parse(what), catalogue)
    tree = ensure_installed(release, registry=registry, home=home)
    manifest = installed_manifest(release.digest, home)
    if manifest is None:
        raise Damaged(f"the tree of {release} went away", hint=f"veda pull {release}")
    return Installed(tree, manifest)
