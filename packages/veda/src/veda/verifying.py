"""Verify a package file or an installed release."""

from __future__ import annotations

import os
from pathlib import Path

from veda._house.progress import Progress, no_progress
from veda.installed import verify_tree
from veda.manifest import Manifest
from veda.names import Ref
from veda.package import verify
from veda.publish import is_file_name
from veda.registry import open_registry
from veda.resolve import find_release


def verify_any(
    what: str | os.PathLike[str],
    *,
    registry: str | None = None,
    home: Path | str | None = None,
    progress: Progress = no_progress,
) -> Manifest:
    """Check every byte of a package file, or of the installed tree of a release; return its manifest."""
    if not isinstance(what, str) or is_file_name(what):
        return verify(what, progress=progress).manifest
    with open_registry(registry, home=home) as catalogue:
        release = find_release(Ref.parse(what), catalogue)
    return verify_tree(release.digest, home)
