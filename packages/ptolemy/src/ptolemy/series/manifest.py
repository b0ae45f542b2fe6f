"""What one data set of an ``arrow`` store consists of: its compacted files, its history and its log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from ptolemy._house.files import write_durably
from ptolemy.errors import DamagedSeries
from ptolemy.series.block import Block
from ptolemy.series.log import chained
from ptolemy.series.port import Version

NAME = "manifest.json"
FORMAT = 2


@dataclass(frozen=True)
class Manifest:
    """The compacted state of a data set.

    Parameters
    ----------
    columns
        Every column in the order of its first coming, with its Arrow type.
    version
        The newest version in the compacted files; None if nothing is compacted yet.
    oldest
        The oldest version that can still be read.
    blocks
        The rows at `version`, one file for each period, in order of time.
    history
        What rows were before they were replaced, one file for each compaction, oldest first.
    versions
        The file with the versions from `oldest` to `version`.
    """

    dataset: str
    key: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    version: Version | None = None
    oldest: int = 1
    blocks: tuple[Block, ...] = ()
    history: tuple[Block, ...] = ()
    versions: str = ""

    @property
    def log(self) -> str:
        """Return the name of the log with the versions behind `version`."""
        return log_name(self.version.id if self.version else 0)

    @property
    def files(self) -> set[str]:
        """Return the names of all files that this manifest stands on."""
        return {NAME, self.log, self.versions, *(b.file for b in (*self.blocks, *self.history))}

    def ending(self, folder: Path, version: Version) -> Manifest:
        """Return this manifest with `version` in the place of its newest."""
        versions = [*read_versions(folder, self)[:-1], version]
        return replace(self, version=version, versions=write_versions(folder, versions))

    def without(self, folder: Path, before: str, now: str) -> Manifest:
        """Return this manifest without the files whose rows all are earlier than `before`, as a version of its own."""
        last, gone = self.version, [block for block in self.blocks if block.last < before]
        if last is None or not gone:
            return self
        rows = rows_in(gone)
        digest = chained(last.digest, "\n".join(block.sha256 for block in gone))
        version = replace(last, id=last.id + 1, rows=last.rows - rows, written=rows, time=now, digest=digest)
        blocks = tuple(block for block in self.blocks if block not in gone)
        return replace(
            self, version=version, oldest=version.id, blocks=blocks, history=(),
            versions=write_versions(folder, [version]),
        )  # fmt: skip

    def write(self, folder: Path) -> None:
        """Put this manifest in the place of the one in `folder`: the moment when a compaction has happened."""
        document = {"format": FORMAT, **asdict(self)}
        write_durably(folder / NAME, json.dumps(document, ensure_ascii=False, indent=1).encode())


def rows_in(blocks: Iterable[Block]) -> int:
    """Return how many rows the files hold."""
    return sum(block.rows for block in blocks)


def log_name(version: int) -> str:
    """Return the name of the log of the versions behind `version`."""
    return f"log-{version:08d}"


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest in `folder`, an empty one if there is none; raise `DamagedSeries` if it cannot be read."""
    path = folder / NAME
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        if (found := document.pop("format")) != FORMAT:
            newer = "pip install --upgrade jiyuan-ptolemy"
            raise DamagedSeries(
                f"{path} has format {found}, this ptolemy reads {FORMAT}",
                hint=newer if found > FORMAT else f"remove {folder} and collect again",
            )
        version = document.pop("version")
        return Manifest(
            dataset=document.pop("dataset"),
            key=tuple(document.pop("key")),
            columns=tuple((name, kind) for name, kind in document.pop("columns")),
            version=Version(**version) if version else None,
            blocks=tuple(Block(**block) for block in document.pop("blocks")),
            history=tuple(Block(**block) for block in document.pop("history")),
            **document,
        )
    except FileNotFoundError:
        return Manifest(folder.name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise DamagedSeries(f"{path} cannot be read: {exc}", hint=f"restore {folder} from a backup") from exc


def read_versions(folder: Path, manifest: Manifest) -> list[Version]:
    """Return the versions that the compacted files hold, oldest first."""
    if not manifest.versions:
        return []
    path = folder / manifest.versions
    try:
        return [Version(manifest.dataset, *row) for row in json.loads(path.read_bytes())]
    except FileNotFoundError:
        raise
    except (OSError, ValueError, TypeError) as exc:
        raise DamagedSeries(f"{path} cannot be read: {exc}", hint=f"restore {folder} from a backup") from exc


def write_versions(folder: Path, versions: Sequence[Version]) -> str:
    """Write versions to a file of their own, durably, and return its name."""
    name = f"versions-{versions[0].id:08d}-{versions[-1].id:08d}.json"
    rows = [[v.id, v.rows, v.written, v.first, v.last, v.time, v.digest] for v in versions]
    write_durably(folder / name, json.dumps(rows, separators=(",\n", ":")).encode())
    return name


def grown(columns: Sequence[tuple[str, str]], table: pa.Table | None) -> tuple[tuple[str, str], ...]:
    """Return `columns` with those that `table` has besides."""
    known = dict(columns)
    for field in table.schema if table is not None else ():
        known.setdefault(field.name, str(field.type))
    return tuple(known.items())


def schema_of(columns: Sequence[tuple[str, str]]) -> pa.Schema:
    """Return the Arrow schema of `columns`."""
    alias: Any = pa.type_for_alias  # its stubs want each word spelt out
    return pa.schema([(name, alias(kind)) for name, kind in columns])
