"""Run a gathered flow again on this machine, in homes of its own: nothing of the user's is read or written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jiyuan.errors import BadInput, JiyuanError

LOCK = "pylock.toml"
_LIBRARIES = ("EXIA_", "JIYUAN_", "KYRIOS_", "PTOLEMY_", "VEDA_")

#: What the new process does; the packages come by the digests that the record names.
_PROGRAM = """
import json, sys
order = json.load(open(sys.argv[1]))
answer = {}
try:
    for package in order["packages"]:
        import veda
        veda.pull(package, order["store"], pinned=True)
    import kyrios
    run = kyrios.load_flow(order["flow"]).run(order["params"], engine="local", run_id=order["run_id"])
    answer["lineage"] = run.lineage
except Exception as exc:
    if not isinstance(getattr(exc, "exit_code", None), int):
        import traceback
        traceback.print_exc()
    what = type(exc).__module__.partition(".")[0]
    answer = {"library": what, "kind": type(exc).__name__, "error": str(exc)}
json.dump(answer, open(sys.argv[2], "w"))
"""


class RerunFailed(JiyuanError):
    """The flow could not be run again.

    Parameters
    ----------
    library
        Which library said so.
    """

    def __init__(self, message: str, library: str) -> None:
        super().__init__(message)
        self.library = library


def rerun(folder: Path, lineage: Mapping[str, Any], work: Path) -> tuple[dict[str, Any], Path]:
    """Run the flow of a gathered run; return its new lineage record and the folder of its outputs.

    Parameters
    ----------
    folder
        What `gather` has written, or an archive that was unpacked.
    work
        An empty folder for everything that it writes.

    Raises
    ------
    RerunFailed
        If a package, a data set or a unit cannot be used.
    """
    run_id = "reproduced"
    homes = environment(folder, work)
    if (folder / "units").is_dir():
        shutil.copytree(folder / "units", work / "kyrios" / "units")
    order = {
        "packages": [f"{p['name']}@{p['digest']}" for p in lineage["packages"]],
        "store": f"file:{folder / 'store'}",
        "flow": str(folder / "flow"),
        "params": lineage["parameters"]["values"],
        "run_id": run_id,
    }
    (work / "order.json").write_text(json.dumps(order), encoding="utf-8")
    place = work / "place"
    place.mkdir()
    done = subprocess.run(
        [sys.executable, "-P", "-c", _PROGRAM, str(work / "order.json"), str(work / "answer.json")],
        cwd=place, env=homes, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
    )  # fmt: skip
    if not (work / "answer.json").is_file():
        said = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
        raise RerunFailed(said[0], "python")
    answer = json.loads((work / "answer.json").read_bytes())
    if "error" in answer:
        raise RerunFailed(answer["error"], answer["library"])
    return answer["lineage"], work / "kyrios" / "data" / run_id


def environment(folder: Path, work: Path) -> dict[str, str]:
    """Return the variables of the new process; a lock beside the flow is installed first, above what is here."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith((*_LIBRARIES, "PYTHONSAFEPATH"))}
    locked = _installed(folder / "flow" / LOCK, work / "site")
    path = [str(work / "site")] * locked + [p for p in [kept.get("PYTHONPATH")] if p]
    return {
        **kept,
        **({"PYTHONPATH": os.pathsep.join(path)} if path else {}),
        "XDG_CONFIG_HOME": str(work / "config"),
        "EXIA_HOME": str(work / "exia"),
        "JIYUAN_HOME": str(work / "jiyuan"),
        "KYRIOS_HOME": str(work / "kyrios"),
        "KYRIOS_DATA": "file://",
        "KYRIOS_HISTORY": "sqlite://",
        "PTOLEMY_HOME": str(work / "ptolemy"),
        "PTOLEMY_SERIES": f"snapshot://{folder / 'data'}",
        "VEDA_HOME": str(work / "veda"),
        "VEDA_REGISTRY": "sqlite://",
        "VEDA_STORE": f"file:{folder / 'store'}",
    }


def _installed(lock: Path, target: Path) -> bool:
    if not lock.is_file():
        return False
    uv = shutil.which("uv")
    if uv is None:
        raise BadInput(f"the flow has a {LOCK}, and uv, which installs it, is not on the path", hint="pip install uv")
    done = subprocess.run(
        [uv, "pip", "sync", "--quiet", "--python", sys.executable, "--target", str(target), lock.name],
        cwd=lock.parent, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise RerunFailed(f"{LOCK} cannot be installed: {said[-1].strip() if said else done.returncode}", "environment")
    return True
