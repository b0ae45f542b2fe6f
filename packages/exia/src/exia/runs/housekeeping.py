"""Take runs out of the store: to a folder of files, or for good; and deliver what waits."""

from __future__ import annotations

import csv
import json
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from exia._house.files import make_folder
from exia._house.progress import Progress, no_progress
from exia.captured import printed
from exia.errors import BadInput, BlobNotFound, Conflict, Damaged, ExiaError
from exia.runs import RunRecord, RunStore, places
from exia.runs.backlog import Backlog, backlogs, deliver_backlog
from exia.runs.port import checked_key
from exia.runs.query import find_runs

_GRACE = 7 * 24 * 3600.0  # seconds in which a file without a run may be of one that another machine still delivers


class Exported(NamedTuple):
    """One run as it was written."""

    id: str
    folder: Path
    metrics: int  #: Points.
    artifacts: int
    missing: list[str]  #: Artifacts whose bytes are not there any more.


class Removed(NamedTuple):
    """What `remove_runs` has removed, or would."""

    runs: int
    files: int
    bytes: int


class Shipped(NamedTuple):
    """What `ship` delivered to one place."""

    place: str
    records: int
    left: int  #: Bytes that still wait.
    error: str | None


def export_run(run: RunRecord, store: RunStore, folder: Path) -> Exported:
    """Write a run into a new folder called by its id: ``run.json``, ``metrics.csv``, ``output.txt``, ``artifacts/``.

    Raises
    ------
    Conflict
        If the folder is there already; nothing was written.
    BadInput
        If it cannot be written.
    """
    target = folder / checked_key(run.id, "run")
    if target.exists():
        raise Conflict(f"{target} is there already", hint="move it, or export to another folder")
    new = folder / f".{run.id}.tmp"
    shutil.rmtree(new, ignore_errors=True)
    try:
        make_folder(new)
        count = _write_metrics(run, store, new / "metrics.csv")
        record = {k: v for k, v in vars(run).items() if k != "output"}
        (new / "run.json").write_text(json.dumps(record, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        if text := printed(run.output):
            (new / "output.txt").write_text(text, encoding="utf-8")
        missing = _write_artifacts(run, new / "artifacts")
        new.rename(target)
    except OSError as exc:
        raise BadInput(f"{exc.filename or target} cannot be written: {exc.strerror or exc}") from exc
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return Exported(run.id, target, count, len(run.artifacts) - len(missing), missing)


def remove_runs(
    where: str | None = None,
    *,
    older_than: timedelta | None = None,
    dry_run: bool = True,
    store: RunStore,
    progress: Progress = no_progress,
) -> Removed:
    """Remove the runs that have ended and fit, and files that no run has any more.

    Files younger than a week stay, and all of them while something waits to be delivered: they may be of a run
    that the store does not know of yet.

    Parameters
    ----------
    where
        A filter as `exia.find_runs` takes it; None for all.
    older_than
        How long ago they must have ended, or given their last sign of life; None for any time.
    dry_run
        Whether only to count.
    """
    before = (datetime.now(UTC) - older_than).isoformat() if older_than is not None else None
    everything = find_runs(limit=None, store=store)
    fitting = {run.id for run in find_runs(where, limit=None, store=store)} if where is not None else None
    doomed = [
        run
        for run in everything
        if run.status != "running"
        and (fitting is None or run.id in fitting)
        and (before is None or (run.ended or run.heartbeat or run.started) < before)
    ]
    gone = {run.id for run in doomed}
    kept = {facts["digest"] for run in everything if run.id not in gone for facts in run.artifacts.values()}
    young = time.time() - _GRACE if not backlogs() else float("-inf")
    files = places.open_artifacts()
    try:
        unused = [blob for blob in files.blobs() if blob.digest not in kept and blob.modified < young]
        if not dry_run:
            for done, run in enumerate(doomed, 1):
                store.delete(run.id)
                progress(done, len(doomed))
            for blob in unused:
                files.delete(blob.digest)
    finally:
        files.close()
    return Removed(len(doomed), len(unused), sum(blob.size for blob in unused))


def ship(url: str | None = None, *, progress: Progress = no_progress) -> list[Shipped]:
    """Deliver everything that dead processes have left on this disk to the store, and to the mirrors.

    Logs of processes that live are theirs to deliver.
    """
    done = []
    for place in [places.place_of(url), *places.mirrors()]:
        total = sum(found.size for found in _waiting(place.key))
        count, error = 0, None
        if not total:
            done.append(Shipped(place.name, 0, 0, None))
            continue
        try:
            sink = place.open()
            try:
                while more := deliver_backlog(place, sink, seconds=1.0):
                    count += more
                    progress(total - sum(found.size for found in _waiting(place.key)), total)
            finally:
                sink.close()
        except ExiaError as exc:
            error = str(exc)
        done.append(Shipped(place.name, count, sum(found.size for found in _waiting(place.key)), error))
    return done


def span_of(text: str) -> timedelta:
    """Return a time span such as ``30d``, ``12h``, ``90m`` or ``45s``; raise `BadInput` if it is none."""
    units = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds", "w": "weeks"}
    number, unit = text[:-1], units.get(text[-1:])
    if unit is None or not number.replace(".", "", 1).isdigit():
        raise BadInput(f"{text!r} is no span of time", hint="30d, 12h, 90m or 45s")
    return timedelta(**{unit: float(number)})


def _waiting(key: str) -> list[Backlog]:
    return [found for found in backlogs() if found.key == key and not found.alive]


def _write_metrics(run: RunRecord, store: RunStore, path: Path) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "step", "value", "time"])
        for name in run.metrics:
            for point in store.points(run.id, name):
                rows.writerow([point.name, point.step, repr(point.value), point.time])
                count += 1
    return count


def _write_artifacts(run: RunRecord, folder: Path) -> list[str]:
    """Write the files of a run and return the names of those that are not there."""
    missing = []
    for name, facts in run.artifacts.items():
        # Checked when it was logged, but a store is no place to trust with paths.
        path = folder / checked_key(name, "artifact")
        try:
            data = places.fetch(facts["digest"])
        except (BlobNotFound, Damaged):
            missing.append(name)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return missing


def chosen(ids: Sequence[str], where: str | None, store: RunStore) -> list[RunRecord]:
    """Return the runs with these ids (or how they begin), and those that fit `where`, each once.

    Raises
    ------
    BadInput
        If neither is given.
    """
    from exia.runs.query import get_run

    if not ids and where is None:
        raise BadInput("no run is named", hint="give ids of runs, or --where \"tags.desk = 'alpha'\"")
    found: dict[str, Any] = {}
    for prefix in ids:
        run = get_run(prefix, store=store)
        found[run.id] = run
    if where is not None:
        for run in find_runs(where, limit=None, store=store):
            found.setdefault(run.id, get_run(run.id, store=store))
    return list(found.values())
