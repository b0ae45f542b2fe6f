"""Searching 100,000 registered versions: the whole command, as a person waits for it."""

from __future__ import annotations

import random
import statistics
import time
from typing import Any

from benchmarks.veda._tree import VEDA, figure, run, workspace

_VERSIONS = 100_000
_ROUNDS = 11
_WORDS = ("momentum", "variance", "spread", "hedge", "factor", "volatility", "kalman", "pairs", "carry", "value")


def figures() -> list[dict[str, Any]]:
    """Measure and return one dict per figure; the harness adds date, cpu and commit."""
    with workspace():
        _fill()
        asked = {
            "search": ["search", "kalman", "hedge"],
            "search-rare": ["search", "number-4711"],
            "search-facts": ["query", "--uses", "scipy", "--method", "fit_3"],
        }
        found = {}
        for name, words in asked.items():
            run([VEDA, *words])
            times = []
            for _ in range(_ROUNDS):
                began = time.perf_counter()
                run([VEDA, *words, "--json"])
                times.append(time.perf_counter() - began)
            found[name] = statistics.median(times) * 1e3
    what = {
        "search": "search two words in 100,000 versions, whole command",
        "search-rare": "the same for words of 20 of them",
        "search-facts": "the same by a method and a requirement",
    }
    return [figure(name, what[name], value, "ms", 150, rounds=_ROUNDS) for name, value in found.items()]


def _fill() -> None:
    import veda
    from veda.registry.sqlite import SqliteRegistry

    chance = random.Random(2)
    with veda.open_registry() as registry:
        assert isinstance(registry, SqliteRegistry)
        releases = []
        for n in range(_VERSIONS):
            package = n % 5000
            point = {
                "name": "default",
                "target": "m:C",
                "summary": " ".join(chance.choices(_WORDS, k=6)),
                "methods": {f"fit_{package % 7}": {"signature": "()", "summary": "Fit."}},
                "parameters": {"properties": {"window": {}, "lookback": {}}},
            }
            facts = {
                "summary": " ".join(chance.choices(_WORDS, k=8)),
                "authors": [f"author-{package % 50}"],
                "requires": ["numpy>=1.26"] + (["scipy>=1.11"] if package % 3 == 0 else []),
                "entry_points": [point],
            }
            releases.append(
                veda.Release(
                    f"number-{package}", f"1.{n // 5000}", f"sha256:{n:064x}", facts, "2026-01-01T00:00:00+00:00"
                )
            )
        for start in range(0, _VERSIONS, 10_000):
            registry.publish_many(releases[start : start + 10_000])
