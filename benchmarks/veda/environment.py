"""What environments cost: to enter one, to switch, to resolve, and to roll one out.

Peers run in the same session, on the same places: a chain of 50 modulefiles that load one another, which is how
packages are loaded one by one, and Ansible's own ``ping`` on the same ten hosts.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.veda._tree import figure

from veda._house.backends import BackendURL
from veda.activation.modules import ModulesActivation
from veda.activation.shell import ShellActivation
from veda.environment import create_environment, switch_environment
from veda.environment_model import Generation
from veda.lock_file import Lock
from veda.lock_packages import resolve_packages
from veda.registry import Release, open_registry

_ROUNDS = 7
_PACKAGES = 50
_HOSTS = 10


def figures() -> list[dict[str, Any]]:
    """Measure and return one dict per figure; the harness adds date, cpu and commit."""
    with TemporaryDirectory(prefix="veda-bench-") as folder:
        place = Path(folder)
        os.environ["VEDA_HOME"] = str(place / "home")
        try:
            rows = [_activate(place), _resolve(place), _switch(place)]
            if shutil.which("modulecmd"):
                rows.append(_module_load(place))
            if shutil.which("ansible-playbook", path=str(Path(sys.executable).parent)):
                rows.append(_roll_out(place))
            return rows
        finally:
            del os.environ["VEDA_HOME"]


_figure = partial(figure, rounds=_ROUNDS)


def _generation(place: Path, number: int) -> Generation:
    """Return a generation that sets what one of 50 packages sets, without any on the disk."""
    path = place / "envs" / "research" / str(number)
    lock = Lock(("research",), (), (), "3.11")
    own = {f"PACKAGE_{n}_ROOT": f"{place}/trees/{n:064x}" for n in range(_PACKAGES)}
    set_ = {"VEDA_ENV": "research", "VEDA_ENV_GENERATION": str(number), "VEDA_LOCK": str(path / "veda.lock"), **own}
    paths = tuple(f"{place}/trees/{n:064x}/bin" for n in range(_PACKAGES))
    return Generation("research", number, path, lock, "2026-01-05", "me", set_, {"PATH": paths, "JUPYTER_PATH": paths})


def _activate(place: Path) -> dict[str, Any]:
    made = create_environment("bench", _empty_lock()).generation
    line = ShellActivation(BackendURL("shell", path=str(place))).load_command(made, "bash")
    clock = f"a=$EPOCHREALTIME; {line}; b=$EPOCHREALTIME; echo $(( ${{b/./}} - ${{a/./}} ))"
    took = [
        float(subprocess.run(["bash", "-c", clock], capture_output=True, text=True, check=True).stdout) / 1000
        for _ in range(_ROUNDS * 3)
    ]
    return _figure("activate-script", "activate by the compiled script, in bash", statistics.median(took), "ms", 5)


def _module_load(place: Path) -> dict[str, Any]:
    root = place / "modules"
    generation = _generation(place, 1)
    ModulesActivation(BackendURL("modules", path=str(root))).publish(generation)
    chain = place / "chain"
    chain.mkdir()
    for n in range(_PACKAGES):
        needs = f"module load p{n + 1}\n" if n + 1 < _PACKAGES else ""
        tree = f"{place}/trees/{n}"
        text = f"#%Module5.1\n{needs}setenv PACKAGE_{n}_ROOT {tree}\nprepend-path PATH {tree}/bin\n"
        (chain / f"p{n}").write_text(text)
    ours = _children(lambda: _modulecmd(root, "research/1"))
    theirs = _children(lambda: _modulecmd(chain, "p0"))
    peer = "Environment Modules, a chain of 50 modules"
    return _figure(
        "module-load",
        "module load of an environment of 50 packages, CPU time",
        ours,
        "ms",
        45,
        peer=peer,
        peer_value=theirs,
    )


def _modulecmd(root: Path, name: str) -> None:
    variables = {"PATH": os.environ["PATH"], "MODULEPATH": str(root)}
    subprocess.run(["modulecmd", "bash", "load", name], env=variables, capture_output=True, check=True)


def _switch(place: Path) -> dict[str, Any]:
    for number in (1, 2):
        create_environment("switch", _empty_lock(number))
    turn = iter([1, 2] * _ROUNDS * 2)
    took = _wall(lambda: switch_environment(f"switch@{next(turn)}"))
    return _figure("switch", "switch to another generation, durable", took, "ms", 50)


def _empty_lock(number: int = 0) -> Lock:
    return Lock(("none",), (), (), f"{sys.version_info[0]}.{sys.version_info[1]}", variables={"N": str(number)})


def _resolve(place: Path) -> dict[str, Any]:
    """500 versions: 25 packages of 20, each in need of the next three; the newest of every third clashes."""
    with open_registry(f"sqlite:{place}/resolve.db") as registry:
        for n in range(25):
            for minor in range(20):
                needs = [f"p{m}>=1.{max(0, minor - 5)}" for m in range(n + 1, min(n + 4, 25))]
                if n % 3 == 0 and minor > 15 and n + 1 < 25:
                    needs[0] = f"p{n + 1}<1.15"
                digest = f"sha256:{n * 1000 + minor:064x}"
                facts = {"requires": [], "entry_points": [], "requires_python": ">=3.11", "packages": needs}
                registry.publish(Release(f"p{n}", f"1.{minor}", digest, facts))
        times = []
        for _ in range(_ROUNDS):
            began = time.process_time()
            found = resolve_packages(["p0"], registry, "3.11")
            times.append((time.process_time() - began) * 1000)
        assert len(found) == 25
    return _figure("resolve", "resolve 25 packages among 500 versions, CPU time", statistics.median(times), "ms", 25)


def _roll_out(place: Path) -> dict[str, Any]:
    import veda
    from veda.deploy import Order
    from veda.rollout import ask_hosts, deploy_environment

    store = f"file:{place}/shared"
    for version in range(_ROUNDS + 1):
        folder = place / f"w{version}"
        (folder / "src" / "alpha").mkdir(parents=True)
        (folder / "src" / "alpha" / "__init__.py").write_text(f"class A:\n    version = {version}\n")
        head = f'[package]\nname = "alpha"\nversion = "{version}"\nlicense = "MIT"\n'
        text = f'{head}\n[entry-points]\ndefault = "alpha:A"\n'
        (folder / "veda.toml").write_text(text)
        package = veda.pack(folder, place / f"alpha-{version}.vedapkg")
        veda.register(package)
        veda.push(package, store)
    lines = [
        f"h{n} ansible_connection=local ansible_python_interpreter={sys.executable} veda_home={place}/hosts/{n}\n"
        for n in range(_HOSTS)
    ]
    (place / "hosts.ini").write_text("".join(lines))
    inventory = f"ansible:{place}/hosts.ini"
    ask_hosts(Order("ping"), deploy=inventory)
    ours, theirs = [], []
    for version in range(3):
        lock = veda.lock([f"alpha@{version}"])
        began = time.perf_counter()
        done = deploy_environment("bench", lock, deploy=inventory, store=store)
        ours.append(time.perf_counter() - began)
        assert done.ok
        began = time.perf_counter()
        _ansible_ping(place)
        theirs.append(time.perf_counter() - began)
    what = "roll one generation out to 10 hosts (local connections)"
    least = statistics.median(theirs)
    return figure(
        "roll-out", what, statistics.median(ours), "s", 4, rounds=3, peer="ansible, one ping", peer_value=least
    )


def _ansible_ping(place: Path) -> None:
    program = str(Path(sys.executable).with_name("ansible"))
    command = [program, "all", "-i", str(place / "hosts.ini"), "-f", str(_HOSTS), "-m", "ping"]
    variables = {**os.environ, "ANSIBLE_HOME": str(place / "ansible"), "ANSIBLE_LOCAL_TEMP": str(place / "tmp")}
    subprocess.run(command, env=variables, capture_output=True, check=True)


def _wall(call: Callable[[], object]) -> float:
    """Return the median wall time of a call, in ms; the first is not counted."""
    call()
    took = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        call()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def _children(call: Callable[[], object]) -> float:
    """Return the median CPU time of the processes that a call starts, in ms; the first is not counted."""
    call()
    took = []
    for _ in range(_ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        call()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000)
    return statistics.median(took)


if __name__ == "__main__":
    for row in figures():
        print(
            f"{row['id']:22} {row['value']:>10} {row['unit']:3} bar {row['bar']}  {row['figure']}",
            row["peer_value"] or "",
        )
