"""The pool under load on every other Python that this machine has; it needs nothing but the standard library."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest
from tests.faults.figures import Faults

LEASES = 2_000_000
ROOT = Path(__file__).resolve().parents[3]

#: Leases objects from 8 threads with random time-outs, failing blocks and exceptions thrown into the threads, and
#: prints what became of them.
STRESS = """
import ctypes, json, random, sys, threading
sys.path.insert(0, sys.argv[1])
import logging
logging.disable(logging.CRITICAL)
import exia
from exia.errors import PoolTimeout

class Object:
    def __init__(self):
        self.taken = threading.Lock()

class Interrupt(BaseException):
    pass

sys.setswitchinterval(1e-3)
share, done, twice, interrupts = int(sys.argv[2]) // 8, [0] * 8, [], 0
with exia.pool(Object, max_size=4) as pool:
    def work(i):
        rng = random.Random(i)
        while done[i] < share:
            try:
                done[i] += 1
                with pool.lease(rng.choice((None, None, 0, 1e-4))) as obj:
                    if not obj.taken.acquire(blocking=False):
                        twice.append(i)
                    try:
                        if rng.random() < 0.001:
                            raise ZeroDivisionError
                    finally:
                        if obj.taken.locked():
                            obj.taken.release()
            except (PoolTimeout, ZeroDivisionError, Interrupt):
                pass

    def guarded(i):
        while done[i] < share:
            try:
                work(i)
            except Interrupt:
                pass

    threads = [threading.Thread(target=guarded, args=(i,), daemon=True) for i in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads[4:]):
        threads[7].join(0.01)
        # The other half runs undisturbed beside them.
        for thread in threads[:4]:
            if thread.is_alive() and thread.ident:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Interrupt))
                interrupts += 1
    for thread in threads:
        thread.join(300)
    hung = sum(thread.is_alive() for thread in threads)
    leases = [pool.acquire(timeout=5) for _ in range(4)]
    whole = len({id(lease.object) for lease in leases})
    for lease in leases:
        lease.release()
print(json.dumps({"leases": sum(done), "twice": len(twice), "hung": hung, "whole": whole, "interrupts": interrupts}))
"""


@lru_cache(maxsize=1)
def others() -> list[str]:
    """Return one interpreter of each other version from 3.11 to 3.13 that is installed here."""
    try:
        listed = subprocess.run(
            ["uv", "python", "list", "--only-installed", "--offline", "--output-format", "json"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return []
    found: dict[str, str] = {}
    for one in json.loads(listed.stdout):
        version = tuple(one["version_parts"][part] for part in ("major", "minor", "patch"))
        plain = one["implementation"] == "cpython" and one.get("variant", "default") == "default"
        if plain and (3, 11) <= version[:2] <= (3, 13) and version != sys.version_info[:3]:
            found.setdefault(one["version"], one["path"])
    return list(found.values())


@pytest.mark.skipif(not others(), reason="no other Python from 3.11 to 3.13 is installed: uv python install 3.12 3.13")
@pytest.mark.parametrize("python", others(), ids=lambda path: Path(path).name)
def test_no_object_is_lost_or_lent_twice(faults: Faults, python: str):
    version = subprocess.run(
        [python, "-c", "import platform; print(platform.python_version())"], capture_output=True, text=True, check=True
    ).stdout.strip()
    figure = faults.figure(
        f"pool-python-{version}", "exia", f"leases on Python {version}: time-outs, failing blocks, interrupts"
    )
    source = str(ROOT / "packages/exia/src")

    done = subprocess.run(
        [python, "-I", "-c", STRESS, source, str(faults.count(LEASES))], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    print(f"Python {version}: {told}")
    for harm in ("twice", "hung"):
        if told[harm]:
            figure.survives(f"{harm}: {told[harm]}")
    if told["whole"] != 4:
        figure.survives(f"{told['whole']} of 4 places are left")
    figure.tried += told["leases"]
    figure.survived += told["leases"]
    assert figure.lost == 0, figure.harms
