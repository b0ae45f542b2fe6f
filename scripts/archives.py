"""Archives of runs, made in one place and proven in another: ``python -m scripts.archives make|prove FOLDER``.

``make`` runs the demo and every flow of ``examples/flows`` in homes of their own, exports each run, and adds copies of
one archive in which a byte of the data, of a package, or a parameter was changed. ``prove`` runs each again, in a home
that is empty, and says whether its tables are the same byte by byte, and whether each change was found and named.
``scripts/prove-elsewhere`` does the one in one bare Debian and the other in a second.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
LIST = "archive.json"
#: What each changed copy must be blamed on, and the text that must name it.
CHANGES = {"data": "data/daily.arrow", "package": "store/", "parameter": "lookback was 126"}
_LIBRARIES = ("EXIA_", "JIYUAN_", "KYRIOS_", "PTOLEMY_", "VEDA_")


def flows() -> list[Path]:
    """Return the folder of each flow among the examples; that of the demo runs in the demo, which packs its package."""
    found = sorted(path.parent for path in (ROOT / "examples" / "flows").glob("*/flow.yaml"))
    return [folder for folder in found if folder.name != "momentum"]


def make(folder: Path, names: list[str]) -> None:
    """Run the flows of `names`, and ``demo`` with them, and export each into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        with tempfile.TemporaryDirectory(prefix="jiyuan-") as home:
            where = Path(home)
            if name == "demo":
                call("jiyuan", "demo", "--out", "demo-out", home=where)
                where /= "demo-out"
                run = json.loads(call("kyrios", "runs", "list", "--limit", "1", "--json", home=where))[0]["run"]
            else:
                run = json.loads(call("kyrios", "run", str(ROOT / "examples/flows" / name), "--json", home=where))[
                    "run"
                ]
            call("jiyuan", "export", run, "-o", str(folder / f"{name}.zip"), home=where)
        print(f"made {name}.zip", flush=True)
    if "demo" in names:
        for what, change in _CHANGERS.items():
            rewrite(folder / "demo.zip", folder / f"changed-{what}.zip", change)


def prove(folder: Path) -> int:
    """Run each archive of `folder` again; return how many are not as they should be."""
    wrong = 0
    for archive in sorted(folder.glob("*.zip")):
        with tempfile.TemporaryDirectory(prefix="jiyuan-") as home:
            done = run_command("jiyuan", "reproduce", str(archive), home=Path(home))
        said = done.stdout.strip().splitlines() or done.stderr.strip().splitlines()
        what = archive.stem.partition("changed-")[2]
        if what:
            is_right = done.returncode == 1 and any(f"cause: {what}: " in x and CHANGES[what] in x for x in said)
        else:
            is_right = done.returncode == 0 and said[0].startswith("equal: ")
        wrong += not is_right
        shown = next((x for x in said if "cause:" in x), said[0]) if what else said[0]
        print(f"{'ok' if is_right else 'WRONG'}  {archive.name}: {shown}", flush=True)
    return wrong


def call(command: str, *words: str, home: Path) -> str:
    """Run a command as a stranger at `home`; return what it printed, and raise if it failed."""
    done = run_command(command, *words, home=home)
    if done.returncode:
        raise SystemExit(f"{command} {' '.join(words)}: {done.stderr or done.stdout}")
    return done.stdout


def run_command(command: str, *words: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of this environment in the folder `home`, with nothing of the caller's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith((*_LIBRARIES, "XDG_"))}
    env = {**kept, "HOME": str(home), "PATH": f"{BIN}:{kept['PATH']}"}
    return subprocess.run([str(BIN / command), *words], cwd=home, env=env, capture_output=True, text=True, check=False)


def rewrite(archive: Path, out: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """Copy an archive with some of its files changed."""
    with zipfile.ZipFile(archive) as old:
        files = {name: old.read(name) for name in old.namelist()}
    change(files)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in files.items():
            new.writestr(name, content)


def _flip(files: dict[str, bytes], name: str) -> None:
    content = bytearray(files[name])
    content[len(content) // 2] ^= 1
    files[name] = bytes(content)


def _change_data(files: dict[str, bytes]) -> None:
    _flip(files, CHANGES["data"])


def _change_package(files: dict[str, bytes]) -> None:
    _flip(files, max((n for n in files if n.startswith("store/")), key=lambda n: len(files[n])))


def _change_parameter(files: dict[str, bytes]) -> None:
    """Change a parameter in the record, and the list of the archive too, as somebody would who wants to hide it."""
    record = json.loads(files["lineage.json"])
    record["parameters"]["values"]["lookback"] = 125
    files["lineage.json"] = json.dumps(record).encode()
    head = json.loads(files[LIST])
    head["files"]["lineage.json"] = hashlib.sha256(files["lineage.json"]).hexdigest()
    files[LIST] = json.dumps(head).encode()


_CHANGERS = {"data": _change_data, "package": _change_package, "parameter": _change_parameter}


def main(words: list[str]) -> int:
    """Do what the first word says."""
    if len(words) != 2 or words[0] not in ("make", "prove"):
        print("usage: python -m scripts.archives make|prove FOLDER", file=sys.stderr)
        return 2
    folder = Path(words[1]).absolute()
    if words[0] == "make":
        make(folder, ["demo", *(path.name for path in flows())])
        return 0
    wrong = prove(folder)
    print(f"{len(list(folder.glob('*.zip')))} archives, {wrong} not as they should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
