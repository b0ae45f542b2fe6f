"""Packing 200 MB in 5,000 files beside `wheel pack` and `uv build`, and packing it again unchanged.

Wall time, because that is what two workers save; each round packs with each of the three, one after
the other, so that a busy machine slows all alike. The peers live in an environment of their own.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.veda._tree import VEDA, figure, run, workspace

_ROUNDS = 5
_PYPROJECT = """\
[project]
name = "big"
version = "1.0"
[build-system]
requires = ["uv_build"]
build-backend = "uv_build"
"""


def figures() -> list[dict[str, Any]]:
    """Measure and return one dict per figure; the harness adds date, cpu and commit."""
    import veda

    with workspace() as (place, folder):
        wheel, wheel_version = _wheel(place, folder)
        uv, uv_version = _uv(place, folder)
        target, again = place / "big.vedapkg", place / "again.vedapkg"

        def pack() -> None:
            shutil.rmtree(place / "home" / "packed", ignore_errors=True)
            veda.pack(folder, target)

        for warm in (pack, wheel, uv):
            warm()
        times: dict[str, list[float]] = {"veda": [], "wheel": [], "uv": [], "again": []}
        veda.pack(folder, again)
        for _ in range(_ROUNDS):
            for name, work in (("veda", pack), ("wheel", wheel), ("uv", uv)):
                times[name].append(_seconds(work))
            times["again"].append(min(_seconds(lambda: veda.pack(folder, again)) for _ in range(3)))
        size = target.stat().st_size
        wheel_size = next((place / "wheels").glob("*.whl")).stat().st_size
        version = [_seconds(lambda: run([VEDA, "--version"])) for _ in range(11)]
    median = {name: statistics.median(seconds) for name, seconds in times.items()}
    ratio = statistics.median(w / v for w, v in zip(times["wheel"], times["veda"], strict=True))
    peer = f"wheel {wheel_version}, wheel pack"
    return [
        figure("pack", "pack 200 MB in 5,000 files, wall", median["veda"], "s", 1.0, rounds=_ROUNDS,
               peer=peer, peer_value=median["wheel"]),
        figure("pack-ratio", "the same, how many times faster than wheel pack", ratio, "x", 8, better="high",
               rounds=_ROUNDS, peer=peer, peer_value=1),
        figure("pack-uv", "the same beside uv build --wheel", median["veda"], "s", None, rounds=_ROUNDS,
               peer=f"{uv_version}, uv build --wheel", peer_value=median["uv"]),
        figure("pack-size", "size of the package", size / 1e6, "MB", wheel_size / 1e6, rounds=1,
               peer=peer, peer_value=wheel_size / 1e6),
        figure("pack-again", "pack it again, nothing has changed", median["again"], "s", 0.15, rounds=_ROUNDS),
        figure("version", "veda --version, whole command", statistics.median(version) * 1e3, "ms", 50, rounds=11),
    ]  # fmt: skip


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _wheel(place: Path, folder: Path) -> tuple[Callable[[], None], str]:
    run(["uv", "venv", "-q", place / "peers"])
    run(["uv", "pip", "install", "-q", "--python", place / "peers", "wheel"])
    tree, out = place / "unpacked", place / "wheels"
    shutil.copytree(folder / "src", tree)
    info = tree / "big-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: big\nVersion: 1.0\n")
    (info / "WHEEL").write_text("Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    (info / "RECORD").write_text("")
    out.mkdir()
    said = run([place / "peers" / "bin" / "wheel", "version"]).split()[-1]
    return lambda: _none(run([place / "peers" / "bin" / "wheel", "pack", "-d", out, tree])), said


def _uv(place: Path, folder: Path) -> tuple[Callable[[], None], str]:
    project = place / "project"
    shutil.copytree(folder / "src", project / "src")
    (project / "pyproject.toml").write_text(_PYPROJECT)
    said = " ".join(run(["uv", "--version"]).split()[:2])
    return lambda: _none(run(["uv", "build", "-q", "--wheel", "-o", place / "built", project])), said


def _none(_: object) -> None: ...
