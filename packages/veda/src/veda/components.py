"""Components: the parts of a package that ``veda.toml`` names, each with its kind; a big one by reference.

The bytes of a referenced file are in no package file. They are a blob, named by the digest of its
bytes: first in the cache of this machine, after a push in the store, and never there twice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from veda.errors import BadInput, Damaged, NotFound
from veda.names import path_fault
from veda.settings import home as home_folder
from veda.store import Store, open_store

KINDS = ("code", "model", "data", "env", "doc")
LARGE = 8 << 20  #: Bytes from which a model or a data file is kept by reference.

_HEX = re.compile(r"[0-9a-f]{64}")
_SUFFIXES = {
    "code": ".py",
    "model": ".onnx .pt .pth .pkl .joblib .safetensors .keras .h5 .ubj .cbm .gguf .tflite",
    "data": ".csv .tsv .parquet .arrow .feather .npy .npz .json .jsonl .dat .gz .zst .zip",
    "env": ".lock",
    "doc": ".md .rst .txt .pdf .html .ipynb .svg .png",
}
_KIND_OF = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}


@dataclass(frozen=True)
class Component:
    """A file or a folder of a package, and what it is for.

    Parameters
    ----------
    path
        Where it is in the workspace, parts divided by slashes.
    kind
        One of `KINDS`.
    size, sha256
        Bytes and digest of a file that is kept by reference; 0 and empty for what the package holds itself.
    """

    path: str
    kind: str
    size: int = 0
    sha256: str = ""

    def facts(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        return {"path": self.path, "kind": self.kind, **self._reference()}

    def line(self) -> str:
        """Return its line in the section ``[components]`` of ``veda.toml``."""
        said = [("kind", self.kind), *self._reference().items()]
        table = ", ".join(f"{k} = {v}" if isinstance(v, int) else f'{k} = "{v}"' for k, v in said)
        return f'"{self.path}" = {{ {table} }}' if self.sha256 else f'"{self.path}" = "{self.kind}"'

    def _reference(self) -> dict[str, Any]:
        return {"size": self.size, "sha256": self.sha256} if self.sha256 else {}


def parse_components(table: object, where: str) -> tuple[Component, ...]:
    """Parse the section ``[components]`` of ``veda.toml``, sorted by path; raise `BadInput` if it breaks a rule."""
    if not isinstance(table, dict):
        raise BadInput(f"{where}: components must be a section", hint='[components] and below it "data/x.csv" = "data"')
    return tuple(sorted((_component(p, v, where) for p, v in table.items()), key=lambda c: c.path.encode()))


def kind_of(paths: Iterable[str]) -> str | None:
    """Return what files are for, by their names: code where there is any, else the kind that all have, or None."""
    kinds = {_KIND_OF.get(PurePosixPath(path).suffix.lower()) for path in paths}
    return "code" if "code" in kinds else next(iter(kinds)) if len(kinds) == 1 else None


def missing(components: Sequence[Component], paths: Iterable[str]) -> Component | None:
    """Return the first component that is neither one of `paths`, nor above one, nor a reference; None if all are."""
    known = {"/".join(parts[:n]) for parts in (p.split("/") for p in paths) for n in range(1, len(parts) + 1)}
    return next((c for c in components if not c.sha256 and c.path not in known), None)


def keep(folder: Path, component: Component, home: Path | str | None = None) -> bool:
    """Keep the bytes of a reference in the cache of this machine; tell whether they are there now.

    A workspace need not hold the file: whoever cloned it packs the reference alone.

    Raises
    ------
    BadInput
        If the workspace `folder` holds something else under its path.
    """
    source = folder / component.path
    with cache(home) as blobs:
        if not source.is_file() or source.is_symlink():
            return blobs.has_blob(component.sha256)
        if file_digest(source) != (component.size, component.sha256):
            raise BadInput(f"{source} is not what veda.toml refers to", hint=f"veda add {source}")
        if not blobs.has_blob(component.sha256):
            blobs.put_blob(source.read_bytes())
    return True


def kept(sha256: str, what: str, home: Path | str | None = None) -> bytes:
    """Return the bytes of a reference from the cache; raise `NotFound`, naming `what`, if they are not there."""
    with cache(home) as blobs:
        try:
            return blobs.get_blob(sha256)
        except NotFound:
            raise NotFound(
                f"{what} is kept by reference (sha256:{sha256[:12]}...), and its bytes are not on this machine",
                hint="veda add it again in the workspace, or veda pull the release from a store that has it",
            ) from None
        except Damaged as exc:
            exc.hint = "veda add it again in the workspace"
            raise


def cache(home: Path | str | None = None) -> Store:
    """Open the cache of this machine."""
    return open_store(f"file:{(home_folder(home) / 'cache').absolute()}")


def file_digest(path: Path) -> tuple[int, str]:
    """Return size and SHA-256 of a file; raise `BadInput` if it cannot be read."""
    try:
        with path.open("rb") as file:
            return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise BadInput(f"{path} cannot be read: {exc.strerror}") from None


def _component(path: str, value: object, where: str) -> Component:
    if fault := path_fault(path):
        raise BadInput(f"{where}: component {fault[1]}")
    table: Mapping[str, Any] = value if isinstance(value, dict) else {"kind": value}
    kind, size, sha256 = table.get("kind"), table.get("size", 0), table.get("sha256", "")
    if kind not in KINDS:
        raise BadInput(f"{where}: component {path!r} has no kind", hint=f"one of {', '.join(KINDS)}")
    whole = set(table) == {"kind", "size", "sha256"} and isinstance(size, int) and not isinstance(size, bool)
    if isinstance(value, dict) and not (whole and size >= 0 and isinstance(sha256, str) and _HEX.fullmatch(sha256)):
        raise BadInput(f"{where}: component {path!r} is no whole reference", hint=f"veda add {path}")
    return Component(path, str(kind), size, sha256)
