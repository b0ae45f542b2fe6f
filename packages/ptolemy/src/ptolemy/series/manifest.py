"""What one data set of an ``arrow`` store consists of: its key, its versions and their segments."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ptolemy._house.files import write_durably
from ptolemy.errors import DamagedSeries, NotFound
from ptolemy.series.port import Version

NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Segment:
    """One immutable file: the rows that one version wrote, sorted by key."""

    file: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All versions of a data set, oldest first, each with its segment."""

    dataset: str
    key: tuple[str, ...]
    versions: tuple[Version, ...] = ()
    segments: tuple[Segment, ...] = ()

    def at(self, as_of: int | None) -> list[Segment]:
        """Return the segments of a version, oldest first; raise `NotFound` if there is no such version."""
        newest = len(self.versions)
        if as_of is not None and not 1 <= as_of <= newest:
            raise NotFound(
                f"{self.dataset} has no version {as_of}; it has 1 to {newest}", hint=f"ptolemy versions {self.dataset}"
            )
        return list(self.segments[:as_of])

    def grown(self, version: Version, segment: Segment) -> Manifest:
        """Return this manifest with one more version."""
        return Manifest(self.dataset, self.key, (*self.versions, version), (*self.segments, segment))

    def write(self, folder: Path) -> None:
        """Put this manifest in the place of the one in `folder`: the moment when a version comes into being."""
        document = {
            "format": FORMAT,
            "dataset": self.dataset,
            "key": self.key,
            "versions": [asdict(v) | {"segment": asdict(s)} for v, s in zip(self.versions, self.segments, strict=True)],
        }
        write_durably(folder / NAME, json.dumps(document, indent=1).encode())


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest in `folder`, or None if there is none; raise `DamagedSeries` if it cannot be read."""
    path = folder / NAME
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        if document["format"] != FORMAT:
            raise DamagedSeries(
                f"{path} has format {document['format']}, this ptolemy reads {FORMAT}",
                hint="pip install --upgrade jiyuan-ptolemy",
            )
        versions, segments = [], []
        for entry in document["versions"]:
            segments.append(Segment(**entry.pop("segment")))
            versions.append(Version(**entry))
        return Manifest(document["dataset"], tuple(document["key"]), tuple(versions), tuple(segments))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise DamagedSeries(f"{path} cannot be read: {exc}", hint=f"restore {folder} from a backup") from exc
