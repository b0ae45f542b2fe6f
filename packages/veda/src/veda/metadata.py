"""The small members beside the manifest, in the forms that the wheel format made familiar."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping

from veda.manifest import Manifest


def members(manifest: Manifest) -> dict[str, bytes]:
    """Return the members before the chunks, in their order: MANIFEST.json, METADATA, VEDA, RECORD."""
    folder = f"{manifest.stem}.dist-info"
    first = {
        f"{folder}/MANIFEST.json": manifest.to_bytes(),
        f"{folder}/METADATA": _metadata(manifest),
        f"{folder}/VEDA": _veda(manifest),
    }
    return {**first, f"{folder}/RECORD": _record(first, manifest, folder)}


def _metadata(manifest: Manifest) -> bytes:
    facts = manifest.facts
    lines = ["Metadata-Version: 2.4", f"Name: {manifest.name}", f"Version: {manifest.version}"]
    lines += [f"Summary: {facts['summary']}"] if facts["summary"] else []
    lines += [f"License-Expression: {facts['license']}", f"Requires-Python: {facts['requires_python']}"]
    lines += [f"Requires-Dist: {r}" for r in facts["requires"]]
    return ("\n".join(lines) + "\n").encode()


def _veda(manifest: Manifest) -> bytes:
    lines = (f"Veda-Version: {manifest.facts['format']}", f"Tag: {manifest.facts['tag']}", f"Digest: {manifest.digest}")
    return ("\n".join(lines) + "\n").encode()


def _record(first: Mapping[str, bytes], manifest: Manifest, folder: str) -> bytes:
    lines = [f"{name},sha256={_encoded(hashlib.sha256(d).digest())},{len(d)}" for name, d in first.items()]
    lines += [f"{folder}/RECORD,,"]
    lines += [f"{c.member},sha256={_encoded(bytes.fromhex(c.sha256))},{c.size}" for c in manifest.packed]
    return ("\n".join(lines) + "\n").encode()


def _encoded(digest: bytes) -> str:
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
