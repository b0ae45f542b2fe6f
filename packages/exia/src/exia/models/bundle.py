"""A model in one file, to be carried to another machine: a zip of its manifest, its signature and its bytes."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from exia._house.files import replacing
from exia.errors import BadInput, Damaged, NotFound
from exia.models.info import ModelInfo
from exia.objects import ModelVersion

_MANIFEST, _SIGNATURE = "manifest.json", "signature.json"
_SMALL = 65_536  # bytes of manifest or signature at most


def write_bundle(path: Path, version: ModelVersion, file: str, data: bytes) -> None:
    """Write the bundle, all or nothing."""
    signature = {"key": version.key, "signature": version.signature.hex()}
    with replacing(path) as out, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        # One date for all, so that the same model gives the same file.
        for name, content in (
            (_MANIFEST, version.manifest),
            (_SIGNATURE, json.dumps(signature).encode()),
            (file, data),
        ):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)


def read_bundle(path: Path) -> tuple[ModelVersion, bytes]:
    """Return what a bundle claims to hold; nothing of it is verified yet.

    Raises
    ------
    BadInput
        If the file is no bundle.
    """
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            names = set(sizes) - {_MANIFEST, _SIGNATURE}
            if len(sizes) != 3 or len(names) != 1 or max(sizes[_MANIFEST], sizes[_SIGNATURE]) > _SMALL:
                raise KeyError(_MANIFEST)
            manifest = archive.read(_MANIFEST)
            signed: dict[str, Any] = json.loads(archive.read(_SIGNATURE))
            info = ModelInfo.parse(manifest)
            (name,) = names
            if sizes[name] != info.size:
                raise Damaged(f"{path}: the model has {sizes[name]} bytes, and its manifest says {info.size}")
            version = ModelVersion(
                info.name, info.version, info.id, manifest, bytes.fromhex(signed["signature"]), signed["key"]
            )
            return version, archive.read(name)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, NotImplementedError) as exc:
        if isinstance(exc, BadInput):
            raise
        raise BadInput(f"{path} is no exported model", hint="exia models export REF FILE writes one") from None
