"""A pool in a forked child; run in a process of its own, because pytest has threads."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import os, sys, warnings
warnings.simplefilter("ignore")
import exia

class Engine:
    pass

pool = exia.pool(Engine, max_size=2, name="engines", fork=sys.argv[1])
idle = pool.acquire()
lease = pool.acquire()
parents = {id(idle.object), id(lease.object)}
keep = [idle.object, lease.object]
idle.release()
pid = os.fork()
if pid == 0:
    try:
        stats = pool.stats()
        print("size", stats.size, "named", exia.get_pool("engines") is pool)
        lease.release()
        a, b = pool.acquire(timeout=0), pool.acquire(timeout=0)
        print("shared", len(parents & {id(a.object), id(b.object)}))
    except exia.errors.PoolClosed as exc:
        print(exc)
    sys.stdout.flush()
    os._exit(0)
os.waitpid(pid, 0)
lease.release()
print("parent", pool.stats().idle)
"""


def forked(policy: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, policy], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.splitlines()


def test_a_child_gets_an_empty_pool_of_its_own():
    assert forked("rebuild") == ["size 0 named True", "shared 0", "parent 2"]


def test_a_pool_may_forbid_its_use_in_a_child():
    assert forked("forbid") == [
        "size 0 named True",
        "pool 'engines' was opened before this process forked, and is not for it",
        "parent 2",
    ]


def test_a_pool_may_leave_its_idle_objects_to_the_child():
    assert forked("keep") == ["size 1 named True", "shared 1", "parent 2"]
