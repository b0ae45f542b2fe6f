"""The tree that packing and transfer are measured on: 5,000 files, 200 MB, the same in each run."""

from __future__ import annotations

import array
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import figures

VEDA = Path(sys.executable).with_name("veda")


def make(root: Path) -> Path:
    """Write the workspace: 4,000 texts (60 MB), 900 series of floats (90 MB), 100 files of noise (50 MB)."""
    chance = random.Random(1)
    code = root / "src" / "big"
    code.mkdir(parents=True)
    (code / "__init__.py").write_text('"""Big."""\n\n\nclass Big:\n    """Big."""\n\n    def go(self): ...\n')
    (root / "veda.toml").write_text(
        '[package]\nname = "big"\nversion = "1.0"\nlicense = "MIT"\n\n[entry-points]\ndefault = "big:Big"\n'
    )
    words = [f"{chance.getrandbits(40):x}" for _ in range(3000)]
    for n in range(5000):
        folder = code / "data" / f"{n // 100:02}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{n:04}.bin").write_bytes(_content(n, chance, words))
    return root


def _content(n: int, chance: random.Random, words: list[str]) -> bytes:
    if n < 4000:
        return " ".join(chance.choices(words, k=1400)).encode()[:15_000]
    if n >= 4900:
        return chance.randbytes(500_000)
    value, series = 0.0, array.array("d")
    for _ in range(12_500):
        value += chance.random() - 0.5
        series.append(round(value, 3))
    return series.tobytes()


@contextmanager
def workspace() -> Iterator[tuple[Path, Path]]:
    """Give an empty folder and the workspace in it; veda's home lies in the folder too."""
    kept = {name: os.environ.get(name) for name in ("VEDA_HOME", "VEDA_INDEX", "VEDA_STORE", "VEDA_REGISTRY")}
    with tempfile.TemporaryDirectory(prefix="bench-veda-", ignore_cleanup_errors=True) as place:
        for name in kept:
            os.environ.pop(name, None)
        os.environ["VEDA_HOME"] = f"{place}/home"
        try:
            yield Path(place), make(Path(place) / "big")
        finally:
            # What was installed is read-only, folders excepted.
            shutil.rmtree(place, ignore_errors=True)
            for name, value in kept.items():
                os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


figure = partial(figures.figure, "veda")


def run(command: list[Any], **variables: str) -> str:
    """Run a command to its end and return what it printed; it may keep its compiled modules, as a person's does."""
    environment: dict[str, str] = {**os.environ, **variables}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr[-500:]}")
    return done.stdout
