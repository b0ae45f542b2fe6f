"""Kill one command at each of its writes, and see that the same command then completes.

Run as ``python kill_points.py OPERATION FOLDER``; prints how many points there were.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from itertools import count
from pathlib import Path

import veda
from veda.installed import tree_path
from veda.verifying import verify_any

WRITES = ("fsync", "link", "mkdir", "rename", "replace", "unlink")


def killed_at(point: int, work) -> bool:
    """Run `work` in a child that dies by SIGKILL before its write number `point`; tell whether it died."""
    child = os.fork()
    if child == 0:
        made = count()
        for name in WRITES:
            setattr(os, name, _deadly(getattr(os, name), made, point))
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def _deadly(real, made, point):
    def write(*args, **kwargs):
        if next(made) == point:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    return write


def pack(workspace: Path, old: veda.Package, new: veda.Package, place: Path, point: int) -> bool:
    target = place / "p.vedapkg"
    shutil.copyfile(old.path, target)

    died = killed_at(point, lambda: veda.pack(workspace, target))

    assert target.read_bytes() in (old.path.read_bytes(), new.path.read_bytes())
    veda.pack(workspace, target)
    assert target.read_bytes() == new.path.read_bytes()
    return died


def register(workspace: Path, old: veda.Package, new: veda.Package, place: Path, point: int) -> bool:
    veda.register(old, home=place)

    died = killed_at(point, lambda: veda.register(new, home=place))

    with veda.open_registry(home=place) as registry:
        assert [r.digest for r in registry.releases()] in ([old.digest], [old.digest, new.digest])
    veda.register(new, home=place)
    with veda.open_registry(home=place) as registry:
        assert registry.get(new.name, new.version).digest == new.digest
    return died


def push(workspace: Path, old: veda.Package, new: veda.Package, place: Path, point: int) -> bool:
    store = f"file:{place}/store"
    veda.push(old, store)

    died = killed_at(point, lambda: veda.push(new, store))

    seen = veda.pull("small", store, home=place / "reader")  # whole or not at all
    assert seen.digest in (old.digest, new.digest)
    assert veda.push(new, store).digest == new.digest
    assert veda.pull("small", store, home=place / "reader").digest == new.digest
    verify_any("small", home=place / "reader")
    return died


def pull(workspace: Path, old: veda.Package, new: veda.Package, place: Path, point: int) -> bool:
    store, home = f"file:{place}/store", place / "home"
    veda.push(new, store)

    died = killed_at(point, lambda: veda.pull("small", store, home=home))

    if tree_path(new.digest, home).exists():
        veda.register(new, home=home)
        verify_any("small", home=home)
    assert veda.pull("small", store, home=home).digest == new.digest
    verify_any("small", home=home)
    assert not list((home / "trees").glob(".*.tmp"))
    return died


def unpack(workspace: Path, old: veda.Package, new: veda.Package, place: Path, point: int) -> bool:
    target = place / "out"

    died = killed_at(point, lambda: veda.unpack(new.path, target))

    if not target.exists():
        veda.unpack(new.path, target)
    assert veda.pack(target, place / "again.vedapkg").digest == new.digest
    return died


def main(operation: str, folder: Path) -> None:
    workspace, old = folder / "small", veda.open_package(folder / "old.vedapkg")
    new = veda.pack(workspace, folder / "new.vedapkg")
    for point in count():
        place = folder / f"{operation}-{point}"
        place.mkdir()
        if not globals()[operation](workspace, old, new, place, point):
            print(point)
            return
        shutil.rmtree(place)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
