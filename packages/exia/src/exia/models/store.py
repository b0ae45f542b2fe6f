"""Save, find, load and compare models: a catalogue, a store of bytes, and the keys that tie them."""

from __future__ import annotations

import getpass
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from time import time
from types import TracebackType
from typing import Any, Self

from exia._house.errors import nearest
from exia._house.ids import uuid7
from exia._house.progress import Progress, no_progress
from exia.blobs import BlobStore, open_blobs
from exia.blobs.port import verified
from exia.errors import BadInput, Conflict, ModelExists, ModelNotFound, NotTrusted
from exia.models.bundle import read_bundle, write_bundle
from exia.models.formats import format_for, open_format
from exia.models.info import Difference, ModelInfo, Unused, checked_name, checked_tags, parsed_ref
from exia.models.keys import Keys
from exia.models.schema import checked_model
from exia.objects import AliasMove, Family, ModelVersion, ObjectStore, Packed, open_objects

_TRIES = 20


def open_models(objects: str | None = None, blobs: str | None = None, keys: Keys | None = None) -> Models:
    """Open the catalogue and the bytes at these URLs, or those that are configured.

    Raises
    ------
    BackendUnavailable
        If one of them does not answer.
    """
    return Models(open_objects(objects), open_blobs(blobs), keys or Keys.configured())


class Models:
    """Models in one catalogue and one store of bytes.

    Versions are numbered from 1 and never change. An alias, such as ``champion``, names one version
    at a time, and each of its moves is kept.
    """

    def __init__(self, objects: ObjectStore, blobs: BlobStore, keys: Keys) -> None:
        self._objects = objects
        self._blobs = blobs
        self._keys = keys

    def save(
        self,
        name: str,
        model: Any,
        *,
        format: str | None = None,
        tags: Mapping[str, str] | None = None,
        schema: Mapping[str, Any] | None = None,
        alias: str | None = None,
        why: str = "",
    ) -> ModelInfo:
        """Save `model` as the next version of `name`; it is durable on return.

        Parameters
        ----------
        model
            A mapping of names to NumPy arrays, what JSON can hold, or what `format` takes.
        format
            ``safetensors``, ``json``, ``npz``, ``pickle`` or ``isolated``; chosen by the model if left
            out, and never a pickle then.
        tags
            Text by text, for people and for searching.
        schema
            What the model must look like: for arrays ``{"weights": "float64[20, *]"}``, else a
            JSON Schema; kept with the model.
        alias
            An alias that shall name the new version, such as ``champion``.
        why
            What is new, in a few words.

        Raises
        ------
        SchemaMismatch
            If the model is not as `schema` says; nothing was saved.
        NotAllowed
            If it is to be a pickle that the configuration does not allow.
        BadInput
            If the name, the format or the model cannot be used.
        """
        checked_name(name)
        if alias is not None:
            checked_name(alias, "alias")
        kept = checked_tags(tags)
        chosen = format or format_for(model)
        if chosen == "isolated" and schema is not None:
            raise BadInput("an isolated model has no schema: nothing here looks into it", hint="leave the schema out")
        told = checked_model(model, schema)
        data = open_format(chosen).dump(model)
        digest = self._blobs.put(data)
        identity = uuid7()
        for _ in range(_TRIES):
            info = ModelInfo(
                name=name,
                version=self._objects.family(name).last + 1,
                id=identity,
                format=chosen,
                digest=f"sha256:{digest}",
                size=len(data),
                saved=_now(),
                who=who(),
                why=why,
                tags=kept,
                schema=told,
            )
            manifest = info.manifest()
            signature, key = self._keys.sign(manifest)
            try:
                self._objects.add(ModelVersion(name, info.version, identity, manifest, signature, key))
            except ModelExists:
                continue  # somebody else took this number in between
            if alias is not None:
                self.alias(name, alias, info.version, why=why)
            return info
        raise Conflict(f"{name} is being saved by many at once; no number was free in {_TRIES} tries", hint="try again")

    def load(self, ref: str) -> Any:
        """Return the model that `ref` names; its arrays are read-only, and an isolated one lives elsewhere.

        The signature of its manifest is checked, then the hash of its bytes, and only then is a
        byte of it parsed.

        Parameters
        ----------
        ref
            ``name`` (the newest), ``name@3``, ``name@champion`` or ``name@sha256:...``.

        Raises
        ------
        ModelNotFound
            If there is none.
        NotTrusted
            If no trusted key has signed it, or it was altered.
        Damaged
            If its bytes are not those that were saved.
        NotAllowed
            If it is a pickle, and the configuration does not list what is in it, or does not let it load.
        """
        info = self.info(ref)
        # The one place where bytes of a store become objects.
        model = open_format(info.format).load(self._blobs.get(info.digest.removeprefix("sha256:")))
        if info.format != "isolated":
            checked_model(model, info.schema)
        return model

    def info(self, ref: str) -> ModelInfo:
        """Return what is known of the model that `ref` names; the signature is checked. Errors as in `load`."""
        return self._checked(self._find(ref))

    def names(self) -> list[str]:
        """Return the names of all models, sorted."""
        return self._objects.names()

    def versions(self, name: str) -> list[ModelInfo]:
        """Return the versions of a model, oldest first; raise `ModelNotFound` if there is none of this name."""
        checked_name(name)
        numbers = self._objects.family(name).numbers
        if not numbers:
            raise ModelNotFound(f"there is no model {name!r}", hint=nearest(name, self.names()) or "exia models list")
        return [ModelInfo.parse(self._objects.find(name, number).manifest) for number in numbers]

    def family(self, name: str) -> Family:
        """Return the numbers and aliases of a model, and the moves of these; an empty family if there is none."""
        return self._objects.family(checked_name(name))

    def alias(self, name: str, alias: str, version: int | str | None, *, why: str = "") -> AliasMove:
        """Let `alias` name another version, and note who did it, when and why.

        Parameters
        ----------
        version
            A number, another alias, or None to take the alias away.

        Raises
        ------
        ModelNotFound
            If there is no such version.
        Conflict
            If somebody else moved the alias at the same time.
        """
        checked_name(name)
        checked_name(alias, "alias")
        number = None if version is None else self.info(f"{name}@{version}").version
        now = self._objects.family(name).aliases.get(alias)
        if number is None and now is None:
            raise ModelNotFound(f"model {name!r} has no alias {alias!r}", hint=f"exia models history {name}")
        move = AliasMove(uuid7(), alias, number, now, _now(), who(), why)
        self._objects.point(name, move)
        return move

    def rollback(self, name: str, alias: str = "champion", *, why: str = "rollback") -> AliasMove:
        """Let `alias` name the version that it named before its last move; raise `Conflict` if there is none."""
        moves = self.history(name, alias)
        before = moves[0].previous if moves else None
        if before is None:
            raise Conflict(f"{name}@{alias} has named no other version before", hint=f"exia models history {name}")
        return self.alias(name, alias, before, why=why)

    def history(self, name: str, alias: str | None = None) -> list[AliasMove]:
        """Return every move of the aliases of a model, newest first; of one alias if it is given."""
        family = self._objects.family(checked_name(name))
        if not family.last:
            raise ModelNotFound(f"there is no model {name!r}", hint=nearest(name, self.names()) or "exia models list")
        return [m for m in reversed(family.moves) if alias in (None, m.alias)]

    def diff(self, one: str, other: str) -> list[Difference]:
        """Return what differs between two models: facts about them, then arrays or JSON values.

        Of an array that differs in its numbers alone it gives the largest difference. Isolated models stay closed.
        """
        a, b = self.info(one), self.info(other)
        facts = [Difference(k, v, asdict(b)[k]) for k, v in asdict(a).items() if v != asdict(b)[k]]
        if a.digest == b.digest or "isolated" in (a.format, b.format):
            return facts
        return facts + list(_differences("", self.load(one), self.load(other)))

    def export(self, ref: str, path: Path | str) -> ModelInfo:
        """Write a model, its manifest and its signature to one zip file that `import_` takes."""
        version = self._find(ref)
        info = self._checked(version)
        data = self._blobs.get(info.digest.removeprefix("sha256:"))
        write_bundle(Path(path), version, open_format(info.format).FILE, data)
        return info

    def import_(self, path: Path | str) -> ModelInfo:
        """Take a model from a file that `export` wrote, under its own name and number.

        Raises
        ------
        NotTrusted
            If no trusted key has signed it.
        Damaged
            If its bytes are not those that were signed.
        ModelExists
            If another model has its number; the same model again changes nothing.
        """
        version, data = read_bundle(Path(path))
        info = self._checked(version)
        digest = info.digest.removeprefix("sha256:")
        self._blobs.put(verified(data, digest, str(path)))
        self._objects.add(version)
        return info

    def remove(self, ref: str) -> ModelInfo:
        """Remove one version, named by its number; its bytes stay until `gc`.

        Raises
        ------
        Conflict
            If an alias names it.
        """
        name, which = parsed_ref(ref)
        if not isinstance(which, int):
            raise BadInput(
                f"{ref!r} does not say which version to remove", hint=f"{name}@NUMBER; exia models versions {name}"
            )
        info = ModelInfo.parse(self._objects.find(name, which).manifest)
        self._objects.remove(name, which)
        return info

    def gc(self, *, dry_run: bool = True, grace: float = 3600.0, progress: Progress = no_progress) -> Unused:
        """Delete the bytes that no version refers to.

        Parameters
        ----------
        dry_run
            Only count them.
        grace
            Seconds for which bytes are spared after they were put: a model that is being saved has
            its bytes before it has its version.
        """
        names = self.names()
        used: set[str] = set()
        # Listed first: what is put later is young, and what is referred to later was put later.
        found = list(self._blobs.blobs())
        for done, name in enumerate(names, 1):
            for number in self._objects.family(name).numbers:
                used.add(ModelInfo.parse(self._objects.find(name, number).manifest).digest.removeprefix("sha256:"))
            progress(done, len(names))
        unused = [b for b in found if b.digest not in used and time() - b.modified > grace]
        for blob in [] if dry_run else unused:
            self._blobs.delete(blob.digest)
        return Unused(len(unused), sum(b.size for b in unused), not dry_run)

    def pack(self) -> Packed:
        """Give the space of the catalogue's old records back to the disk; run it once a week or so."""
        return self._objects.pack()

    def close(self) -> None:
        """Let go of both stores."""
        self._objects.close()
        self._blobs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _find(self, ref: str) -> ModelVersion:
        name, which = parsed_ref(ref)
        if isinstance(which, str) and which.startswith("sha256:"):
            for number in reversed(self._objects.family(name).numbers):
                version = self._objects.find(name, number)
                if ModelInfo.parse(version.manifest).digest.startswith(which):
                    return version
            raise ModelNotFound(f"no version of {name!r} has the digest {which}", hint=f"exia models versions {name}")
        return self._objects.find(name, which)

    def _checked(self, version: ModelVersion) -> ModelInfo:
        ref = f"{version.name}@{version.number}"
        self._keys.check(version.manifest, version.signature, version.key, ref)
        info = ModelInfo.parse(version.manifest)
        # A signature is for one name and number: a good old model must not pass for another.
        if (info.name, info.version, info.id) != (version.name, version.number, version.id):
            raise NotTrusted(f"{ref} has the manifest of {info.ref}", hint="restore the catalogue from a backup")
        return info


def who() -> str:
    """Return who acts: ``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{platform.node()}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _differences(path: str, one: Any, other: Any) -> Iterator[Difference]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys(), key=str):
            inner = f"{path}.{key}" if path else str(key)
            if key in one and key in other:
                yield from _differences(inner, one[key], other[key])
            else:
                yield Difference(
                    inner, _shown(one[key]) if key in one else None, _shown(other[key]) if key in other else None
                )
    elif hasattr(one, "shape") and hasattr(other, "shape"):
        import numpy as np

        if one.shape != other.shape or one.dtype != other.dtype:
            yield Difference(path, _shown(one), _shown(other))
        elif not np.array_equal(one, other, equal_nan=one.dtype.kind in "fc"):
            apart = np.count_nonzero(one != other)
            most = np.nanmax(np.abs(np.subtract(other, one, dtype=float))) if one.dtype.kind in "biuf" else "?"
            yield Difference(path, _shown(one), f"{apart} of {one.size} values differ, by {most:.6g} at most")
    elif type(one) is not type(other) or one != other:
        yield Difference(path or "model", _shown(one), _shown(other))


def _shown(value: Any) -> Any:
    return f"{value.dtype.name}[{', '.join(map(str, value.shape))}]" if hasattr(value, "shape") else value
