"""What is on this machine: immutable trees, one per digest, and where archives were registered from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from veda._house.files import write_durably
from veda._house.progress import Progress, no_progress
from veda.errors import ArchiveRefused, Conflict, Damaged, NotFound, VedaError
from veda.manifest import Chunk, Manifest
from veda.package import Package, check_project, open_package
from veda.platforms import refuse_foreign
from veda.settings import home as home_folder
from veda.tree import check_tree, clear_unfinished, locked, write_tree, writing
from veda.workspace import FILE


def tree_path(digest: str, home: Path | str | None = None) -> Path:
    """Return where the tree of `digest` is, or would be."""
    return home_folder(home) / "trees" / digest.removeprefix("sha256:")


def installed_manifest(digest: str, home: Path | str | None = None) -> Manifest | None:
    """Return the manifest of an installed tree, or None if it is not installed."""
    tree = tree_path(digest, home)
    if not tree.is_dir():
        return None
    try:
        manifest = Manifest.from_bytes(_manifest_path(tree).read_bytes())
    except (OSError, ArchiveRefused) as exc:
        raise Damaged(f"the manifest of {tree} is damaged: {exc}", hint=f"rm -r {tree}, then veda pull again") from None
    return manifest


def install(
    manifest: Manifest,
    stored: Callable[[Chunk], bytes],
    home: Path | str | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Write a tree into its place, all or nothing, and return it; one that is there is left alone.

    `stored` gives the bytes of a chunk as they are stored; it is called by several threads.

    Raises
    ------
    BadInput
        If it was packed for another kind of machine.
    """

    def check(folder: Path) -> None:
        project = folder / FILE
        check_project(manifest, project.read_bytes() if project.is_file() else None)

    tree = tree_path(manifest.digest, home)
    if tree.is_dir():
        return tree
    refuse_foreign(manifest.tag, f"{manifest.name}@{manifest.version}")
    with writing(tree), locked(tree.parent / f".{tree.name}.lock"):
        if tree.is_dir():
            return tree
        clear_unfinished(tree)
        # The manifest first: a tree that exists is complete, and says what it is.
        write_durably(_manifest_path(tree), manifest.to_bytes())
        with suppress(Conflict):  # another machine on a shared disk was faster, with the same content
            write_tree(manifest, stored, tree, read_only=True, check=check, progress=progress)
    return tree


def install_archive(package: Package, home: Path | str | None = None) -> Path:
    """Write the tree of a package file into its place and return it; again changes nothing.

    Raises
    ------
    NotFound
        If the package keeps a file by reference, and the cache here does not have it.
    """
    return install(package.manifest, lambda chunk: package.stored(chunk, home), home)


def verify_tree(digest: str, home: Path | str | None = None) -> Manifest:
    """Compare an installed tree with its manifest, byte for byte; raise `Damaged` or `NotFound`."""
    manifest = installed_manifest(digest, home)
    if manifest is None:
        raise NotFound(f"{digest[:19]}... is not installed here", hint="veda pull it")
    try:
        check_tree(manifest, tree_path(digest, home))
    except Damaged as exc:
        exc.hint = f"rm -r {tree_path(digest, home)}, then veda pull {manifest.name}@{manifest.version}"
        raise
    return manifest


def remember_archive(package: Package, home: Path | str | None = None) -> None:
    """Note where the archive of a registered release is, so that its reference can be pushed."""
    note = _archive_note(package.digest, home)
    with writing(note):
        write_durably(note, f"{package.path.absolute()}\n".encode())


def find_archive(digest: str, home: Path | str | None = None) -> Package | None:
    """Return the archive that a release was registered from, or None if it is no longer there."""
    try:
        path = Path(_archive_note(digest, home).read_text(encoding="utf-8").rstrip("\n"))
        package = open_package(path)
    except (OSError, VedaError):
        return None
    return package if package.digest == digest else None


def _manifest_path(tree: Path) -> Path:
    return tree.with_name(f"{tree.name}.json")


def _archive_note(digest: str, home: Path | str | None) -> Path:
    return home_folder(home) / "archives" / digest.removeprefix("sha256:")
