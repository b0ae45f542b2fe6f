"""The record of a pool's life as a run: which packages its leases had, and which parameters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from weakref import finalize, ref

from exia.errors import ExiaError
from exia.plain import plain
from exia.pooling.changing import Changing
from exia.pooling.events import Event
from exia.pooling.keyed import Done, KeyedPool
from exia.recording import Run, run
from exia.runs.port import checked_run_name

#: What changes the packages or the parameters of new leases.
_CHANGES = {"swapped", "canary", "undone", "params"}
_MOST_KEYS = 100  #: Keys of a pool by key whose leases are recorded one by one.


def record_session(pool: Any) -> Run:
    """Record `pool` from now until it is closed; return the run that holds the record.

    The record gets each version when it begins to be lent, with its digest, and each version of the
    parameters, so that it is right up to the last moment of a process that is killed; the number of leases of each
    version follows when the pool closes.

    Raises
    ------
    BackendUnavailable
        If the log of runs on this disk cannot be written.
    """
    found = run(_name(pool.name), params=_params(pool), tags={"pool": pool.name}).start()
    _facts(found, {"session": {"pool": pool.name, "max_size": pool.max_size}})
    told: dict[str, str] = {}
    _packages(found, pool, told)
    weak = ref(pool)

    def listen(event: Event) -> None:
        mine = weak()
        if mine is None or found._ended:
            return
        if event.kind in _CHANGES:
            _packages(found, mine, told)
        if event.kind == "params":
            _parameters(found, mine, event.facts)
        elif event.kind == "closed":
            _end(found, mine, told)

    pool.listen(listen)
    # A pool that nobody closed ends with its object, or with the process.
    finalize(pool, _finish, found)
    return found


def record_keyed(pools: KeyedPool[Any, Any]) -> Run:
    """Record a pool by key from now until it is closed; return the run that holds the record.

    Raises
    ------
    BackendUnavailable
        If the log of runs on this disk cannot be written.
    """
    found = run(_name(pools.name), tags={"pool": pools.name}).start()
    facts = {"pool": pools.name, "max_total": pools.max_total}
    _facts(found, {"session": facts, _key(pools.target): _package(pools.target, "")})
    pools._past = Done(Counter(), Counter())
    weak = ref(pools)

    def end() -> None:
        mine = weak()
        if mine is None or found._ended:
            return
        counts, leases = mine.done()
        total = sum(leases.values())
        most = {str(key): n for key, n in leases.most_common(_MOST_KEYS)}
        counted = {"leases": total, "keys": len(leases), "leases_by_key": most}
        package = _package(mine.target, "") | {"leases": total}
        _facts(found, {"session": facts | counted, _key(mine.target): package})
        found.log_metrics({"leases": total, "errors": counts["errors"], "timeouts": counts["timeouts"]})
        _finish(found)

    pools._ended = end
    finalize(pools, _finish, found)
    return found


def _packages(found: Run, pool: Changing[Any], told: dict[str, str]) -> None:
    """Record what new leases get, where it is new."""
    for version in pool._in_force():
        if version.label not in told:
            told[version.label] = version.digest
            _facts(found, {_key(version.label): _package(version.label, version.digest)})


def _parameters(found: Run, pool: Any, facts: Mapping[str, Any]) -> None:
    """Record the parameters of new leases, and which version of live ones they are."""
    found.log_params(_params(pool))
    name, version = facts.get("parameters"), facts.get("parameters_version")
    if name and version is not None:
        _facts(found, {f"parameters/{name}@{version}": {"name": name, "version": version}})


def _end(found: Run, pool: Any, told: dict[str, str]) -> None:
    """Record how many leases each version had, none included."""
    leases = {used.version: used.leases for used in pool.used()}
    counted = {
        _key(label): {**_package(label, digest), "leases": leases.get(label, 0)} for label, digest in told.items()
    }
    _facts(found, counted)
    stats = pool.stats()
    _facts(found, {"session": {"pool": pool.name, "max_size": pool.max_size, "leases": stats.leases}})
    found.log_metrics({"leases": stats.leases, "errors": stats.errors, "timeouts": stats.timeouts})
    _finish(found)


def _finish(found: Run) -> None:
    # It has ended already where the pool was closed; at the end of the process nobody is left to be told.
    with suppress(ExiaError):
        found.finish()


def _package(label: str, digest: str) -> dict[str, Any]:
    name, _, version = label.partition("@")
    return {"name": name, "version": version, "digest": digest}


def _key(label: str) -> str:
    return f"packages/{re.sub(r'[^A-Za-z0-9._@+-]', '_', label).lstrip('._@+-') or 'package'}"


def _name(name: str) -> str:
    return checked_run_name(re.sub(r"[^A-Za-z0-9._ -]", "_", name).replace("..", "_").strip("._ -")[:100] or "pool")


def _params(pool: Any) -> dict[str, Any]:
    return {re.sub(r"[^A-Za-z0-9._/-]", "_", str(key)): plain(value) for key, value in pool.params.items()}


def _facts(found: Run, facts: dict[str, Any]) -> None:
    found._give("facts", facts)
