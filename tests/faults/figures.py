"""Count what was tried and what was lost; ``figures.json`` and the printed lines come from here alone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Figure:
    """One line of the fault report; `figure` says what was done, `lost` how often it did harm."""

    id: str
    library: str
    figure: str
    tried: int = 0
    survived: int = 0
    lost: int = 0

    def survives(self, harm: str | None = None) -> None:
        """Count one fault; `harm` says what it broke, None that it broke nothing."""
        self.tried += 1
        if harm is None:
            self.survived += 1
        else:
            self.lost += 1
            self.harms.append(harm)

    def __post_init__(self) -> None:
        self.harms: list[str] = []

    def __str__(self) -> str:
        return f"{self.library}: {self.figure}: {self.tried} tried, {self.lost} lost"


class Faults:
    """What a fault test asks: how many faults to make, and where to count them."""

    def __init__(self, share: float) -> None:
        self.share = share
        self.figures: dict[str, Figure] = {}

    def count(self, full: int) -> int:
        """Return how many of `full` faults this run makes, one at least."""
        return max(1, round(full * self.share))

    def figure(self, id: str, library: str, figure: str) -> Figure:
        """Return the figure of this `id`, to count into; one that a run counts twice is a mistake."""
        assert id not in self.figures, f"two tests count into {id}"
        self.figures[id] = Figure(id, library, figure)
        return self.figures[id]


def write(figures: Iterable[Figure], path: Path, *, keep: bool = False) -> None:
    """Write `figures` as JSON, sorted, each with the commit that it was measured at.

    Parameters
    ----------
    keep
        Whether records that `path` has of other figures stay.
    """
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    records = {f.id: {**asdict(f), "commit": commit} for f in figures}
    if keep and path.is_file():
        records = {r["id"]: r for r in json.loads(path.read_text(encoding="utf-8"))} | records
    in_order = sorted(records.values(), key=lambda r: (str(r["library"]), str(r["id"])))
    path.write_text(json.dumps(in_order, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
