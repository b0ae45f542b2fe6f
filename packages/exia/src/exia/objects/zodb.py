"""The catalogue as small persistent objects in a ZODB database, whatever storage it lies on.

Root -> ``models`` -> one mapping per name -> one mapping per version and per move of an alias. All of
them are `PersistentMapping`, and no record may name any other class: a ZODB record is a pickle, and
one that names `os.system` would run it on load. BTrees are not used, because the storage resolves
their conflicts with an unpickler of its own, which imports whatever a record names.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any, TypeVar

import transaction
from persistent.mapping import PersistentMapping
from ZODB.DB import DB
from ZODB.POSException import ConflictError, POSKeyError

from exia._house.errors import nearest
from exia.errors import BackendUnavailable, Conflict, Damaged, ModelExists, ModelNotFound
from exia.objects.port import AliasMove, Family, ModelVersion

T = TypeVar("T")
_TRIES = 50
_HINT = "exia models list"


class ZodbObjects(ABC):
    """The verbs of a catalogue; an adapter says how a database is opened."""

    @abstractmethod
    def _database(self, *, write: bool) -> AbstractContextManager[DB | None]:
        """Give the database for one operation; None if there is none yet."""

    @abstractmethod
    def _translated(self) -> AbstractContextManager[None]:
        """Turn the storage's errors into ours."""

    def names(self) -> list[str]:
        return self._read(lambda models: sorted(models))

    def family(self, name: str) -> Family:
        def read(models: Any) -> Family:
            found = models.get(name)
            if found is None:
                return Family(name)
            moves = found["moves"]
            return Family(
                name,
                tuple(sorted(found["versions"])),
                found["last"],
                dict(found["aliases"]),
                tuple(AliasMove(**moves[i]) for i in sorted(moves)),
            )

        return self._read(read)

    def find(self, name: str, which: int | str | None = None) -> ModelVersion:
        def read(models: Any) -> ModelVersion:
            found = models.get(name)
            if found is None:
                raise ModelNotFound(f"there is no model {name!r}", hint=nearest(name, models) or _HINT)
            versions, aliases = found["versions"], found["aliases"]
            number = aliases.get(which) if isinstance(which, str) else which or max(versions, default=0)
            if number is None:
                raise ModelNotFound(
                    f"model {name!r} has no alias {which!r}",
                    hint=nearest(str(which), aliases) or f"exia models alias {name} {which} VERSION",
                )
            if number not in versions:
                raise ModelNotFound(f"model {name!r} has no version {number}", hint=f"exia models versions {name}")
            return ModelVersion(**versions[number])

        return self._read(read)

    def add(self, version: ModelVersion) -> None:
        def write(models: Any) -> None:
            found = models.get(version.name)
            if found is None:
                found = models[version.name] = PersistentMapping(
                    {"last": 0, "versions": PersistentMapping(), "aliases": {}, "moves": PersistentMapping()}
                )
            there = found["versions"].get(version.number)
            if there is not None and there["id"] == version.id:
                return  # an earlier try of the same write arrived
            if there is not None or version.number <= found["last"]:
                raise ModelExists(
                    f"{version.name}@{version.number} is another model's; versions never change",
                    hint=f"exia models versions {version.name}",
                )
            found["versions"][version.number] = PersistentMapping(asdict(version))
            found["last"] = version.number

        self._write(write)

    def point(self, name: str, move: AliasMove) -> None:
        def write(models: Any) -> None:
            found = models.get(name)
            if found is None or (move.version is not None and move.version not in found["versions"]):
                raise ModelNotFound(f"there is no {name}@{move.version}", hint=f"exia models versions {name}")
            if any(m["id"] == move.id for m in found["moves"].values()):
                return
            now = found["aliases"].get(move.alias)
            if now != move.previous:
                raise Conflict(
                    f"alias {move.alias!r} of model {name!r} names version {now}, not {move.previous}: "
                    "somebody moved it first",
                    hint=f"exia models history {name}",
                )
            # A new dict each time: a change inside a stored dict is not seen by the database, and lost.
            rest = {k: v for k, v in found["aliases"].items() if k != move.alias}
            found["aliases"] = rest if move.version is None else {**rest, move.alias: move.version}
            found["moves"][len(found["moves"])] = PersistentMapping(asdict(move))

        self._write(write)

    def remove(self, name: str, number: int) -> None:
        def write(models: Any) -> None:
            found = models.get(name)
            if found is None or number not in found["versions"]:
                raise ModelNotFound(f"there is no {name}@{number}", hint=f"exia models versions {name}")
            named = sorted(alias for alias, version in found["aliases"].items() if version == number)
            if named:
                raise Conflict(
                    f"{name}@{number} is in use: {', '.join(named)} names it",
                    hint=f"exia models alias {name} {named[0]} VERSION",
                )
            del found["versions"][number]

        self._write(write)

    def _read(self, work: Callable[[Any], T]) -> T:
        with self._translated(), self._database(write=False) as database:
            return work({}) if database is None else self._run(database, work, write=False)

    def _write(self, work: Callable[[Any], T]) -> T:
        with self._translated(), self._database(write=True) as database:
            assert database is not None
            return self._run(database, work, write=True)

    def _run(self, database: DB, work: Callable[[Any], T], *, write: bool) -> T:
        """Do `work` in a transaction of its own, again if another writer was first."""
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(random.uniform(0, min(0.002 * 2**attempt, 0.1)))
            manager = transaction.TransactionManager(explicit=False)
            # Opened for one operation: a connection that stays open pins old rows of a server for ever.
            connection = database.open(manager)
            try:
                root = connection.root()
                if write and "models" not in root:
                    root["models"] = PersistentMapping()
                result = work(root.get("models", {}))
                if write:
                    manager.commit()
                return result
            except ConflictError as exc:
                if isinstance(exc, POSKeyError):
                    raise
                continue
            finally:
                manager.abort()
                connection.close()
        raise BackendUnavailable(f"{self} is too busy: {_TRIES} tries met another writer", hint="try again")


def only_mappings(connection: object, module: str, name: str) -> type:
    """Return the one class that a record may name; raise `Damaged` for any other."""
    if (module, name) != ("persistent.mapping", "PersistentMapping"):
        raise Damaged(
            f"a record of the catalogue names {module}.{name}, which is not loaded",
            hint="somebody else writes to this database; restore it from a backup",
        )
    return PersistentMapping  # type: ignore[no-any-return, unused-ignore]
