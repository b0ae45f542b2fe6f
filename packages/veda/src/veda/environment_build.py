"""Make the folder of a generation: an interpreter, what it imports, scripts, a kernel, and what shells read."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from importlib.metadata import distributions
from pathlib import Path

from veda._house.files import sync_folder
from veda.activation import activations
from veda.environment_model import MODEL_FILE, Generation, model_bytes
from veda.environment_site import remove_tree
from veda.installed import tree_path
from veda.lock_file import FILE as LOCK_FILE
from veda.lock_file import Lock
from veda.settings import home as home_folder

_SCRIPT = """#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import sys

from {module} import {first}

sys.exit({attribute}())
"""


def model(generation: Generation) -> Generation:
    """Return `generation` with what it does to a shell."""
    lock = generation.lock
    own = {
        "VEDA_ENV": generation.environment,
        "VEDA_ENV_GENERATION": str(generation.number),
        "VEDA_LOCK": str(generation.path / LOCK_FILE),
        "VIRTUAL_ENV": str(generation.path),
    }
    places = {"PATH": (str(generation.path / "bin"),), "JUPYTER_PATH": (str(generation.path / "share" / "jupyter"),)}
    return replace(generation, set={**lock.variables, **own}, prepend=places)


def build(generation: Generation, python: Path, site: Path | None, home: Path | str | None = None) -> None:
    """Write the folder of `generation` beside its place, make it durable, and rename it there."""
    target = generation.path
    building = target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    files = {
        LOCK_FILE: generation.lock.to_bytes(),
        MODEL_FILE: model_bytes(generation),
        "pyvenv.cfg": f"home = {python.parent}\ninclude-system-site-packages = false\n".encode(),
        f"lib/python{generation.lock.python}/site-packages/veda.pth": _imports(generation.lock, site, home).encode(),
        f"share/jupyter/kernels/veda-{generation.environment}/kernel.json": kernel(generation, generation.python),
    }
    for name, text in _scripts(site, generation.python).items():
        files[f"bin/{name}"] = text.encode()
    try:
        building.mkdir(parents=True)
        _write(building, files)
        for name in ("python", "python3", f"python{generation.lock.python}"):
            (building / "bin").mkdir(exist_ok=True)
            (building / "bin" / name).symlink_to(python)
        adapters = activations(home)
        for adapter in adapters:
            adapter.write(generation, building)
        for folder, _, _ in os.walk(building):
            sync_folder(Path(folder))
        building.rename(target)
        sync_folder(target.parent)
        for adapter in adapters:
            adapter.publish(generation)
    finally:
        remove_tree(building)


def kernel(generation: Generation, python: Path) -> bytes:
    """Return the Jupyter kernel specification of an environment."""
    specification = {
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": f"{generation.environment} (veda)",
        "language": "python",
        "env": {**generation.set, **{k: os.pathsep.join((*v, f"${{{k}}}")) for k, v in generation.prepend.items()}},
        "metadata": {"veda": {"environment": generation.environment, "lock": generation.lock.digest}},
    }
    return (json.dumps(specification, ensure_ascii=False, indent=1) + "\n").encode()


def source_roots(lock: Lock, home: Path | str | None = None) -> list[Path]:
    """Return the importable folder of each package of `lock`; packages that are templates have none."""
    folder = home_folder(home).absolute()
    trees = [tree_path(p.digest, folder) for p in lock.packages]
    return [tree / "src" if (tree / "src").is_dir() else tree for tree in trees]


def _imports(lock: Lock, site: Path | None, home: Path | str | None) -> str:
    lines = [str(root) for root in source_roots(lock, home)]
    if site is not None:
        lines.append(f"import site; site.addsitedir({str(site)!r})")
    # A tree never changes, not even by what Python leaves beside a source.
    lines.append("import sys; sys.dont_write_bytecode = True")
    return "".join(f"{line}\n" for line in lines)


def _scripts(site: Path | None, python: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for distribution in distributions(path=[str(site)]) if site else ():
        for point in distribution.entry_points.select(group="console_scripts"):
            first = point.attr.partition(".")[0]
            if "/" not in point.name and first.isidentifier():
                found[point.name] = _SCRIPT.format(
                    python=python, module=point.module, first=first, attribute=point.attr
                )
    return found


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        path.chmod(0o755 if name.startswith("bin/") else 0o644)
