"""The programs of a lab as components of Ptolemy: proxy, hub and tracker."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jiyuan._house.files import write_durably
from jiyuan.errors import MissingExtra
from jiyuan.lab.place import Place, Ports

if TYPE_CHECKING:
    from ptolemy.services import Component

LIBRARIES = ("veda", "exia", "kyrios", "ptolemy", "jiyuan")
PROGRAMS = ("tracker", "proxy", "hub")
PREFIXES = tuple(f"{library}_".upper() for library in LIBRARIES)
_MODULES = ("jupyterhub", "jupyterlab", "jupyterhub_traefik_proxy", "ipykernel", "mlflow")
_START = 180.0  # seconds that a program has: at its first start MLflow makes its tables, on a busy machine


def check_installed() -> Path:
    """Return the proxy's program; raise `MissingExtra`, which names all that is not installed."""
    import shutil

    missing = [name for name in _MODULES if find_spec(name) is None]
    proxy = shutil.which("traefik", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}")
    if proxy is None:
        missing.append("traefik")
    if missing or proxy is None:
        raise MissingExtra(
            f"the lab needs {', '.join(missing)}, which this Python ({sys.executable}) has not",
            hint="pip install 'jiyuan[lab]', or in a checkout: scripts/install-lab && .venv-lab/bin/jiyuan lab up",
        )
    return Path(proxy)


def components(place: Place, ports: Ports, login: str, hosts: str) -> list[Component]:
    """Return the programs of the lab at `place`, in the order in which they start.

    Parameters
    ----------
    login
        ``password`` or ``pam``.
    hosts
        Names, parted by blanks, by which the lab is called besides 127.0.0.1 and localhost.
    """
    from ptolemy.services import Component, Ready

    proxy = check_installed()
    configuration = str(Path(__file__).with_name("jupyterhub_config.py"))
    env = {**settings_of_the_centre(ports), "JIYUAN_LAB": str(place.folder)}
    env |= {"JIYUAN_LAB_LOGIN": login, "JIYUAN_LAB_HOSTS": hosts}
    found = (
        Component(
            "tracker",
            (sys.executable, "-P", "-m", "jiyuan.lab.tracker", str(place.folder), str(ports.tracker)),
            ready=Ready(http=f"http://127.0.0.1:{ports.tracker}/health", timeout=_START),
        ),
        Component(
            "proxy",
            (str(proxy), "--configfile", str(place.folder / "proxy.toml")),
            ready=Ready(tcp=f"127.0.0.1:{ports.lab}", timeout=_START),
        ),
        Component(
            "hub",
            (sys.executable, "-P", "-m", "jupyterhub", "-f", configuration),
            depends_on=("proxy",),
            env=env,
            # Through the proxy: a hub that answers itself alone is of use to nobody.
            ready=Ready(http=f"http://127.0.0.1:{ports.lab}/hub/api", timeout=_START),
            stop_timeout=30.0,  # it ends the users' servers first
        ),
    )
    return [replace(component, cwd=place.folder, backoff=0.5) for component in found]


def write_files(place: Place, ports: Ports) -> None:
    """Write what the proxy and the users' servers read when they start; what is the same is not written again."""
    # JSON strings are TOML strings as well.
    quoted = json.dumps
    _write(
        place.folder / "proxy.toml",
        f"""[global]
checkNewVersion = false
sendAnonymousUsage = false

[api]

[entryPoints.http]
address = "127.0.0.1:{ports.lab}"

[entryPoints.auth_api]
address = "127.0.0.1:{ports.proxy}"

[providers]
providersThrottleDuration = "0s"

[providers.file]
filename = {quoted(str(place.folder / "routes.toml"))}
watch = true
""",
    )
    if not (place.folder / "routes.toml").exists():
        _write(place.folder / "routes.toml", "")  # the hub fills it in
    kernel = {
        "argv": [
            sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}",
            "--InteractiveShellApp.extra_extensions=jiyuan",
        ],
        "display_name": "Jiyuan", "language": "python", "metadata": {"debugger": True},
    }  # fmt: skip
    _write(place.folder / "jupyter" / "kernels" / "python3" / "kernel.json", json.dumps(kernel, indent=1))
    # Nothing is asked of other hosts, and a notebook of the team runs what the team installed.
    server = {
        "LabApp": {"news_url": None, "check_for_updates_class": "jupyterlab.NeverCheckForUpdate"},
        "LabServerApp": {"extension_manager": "readonly"},
    }
    _write(place.folder / "jupyter" / "config" / "jupyter_server_config.json", json.dumps(server, indent=1))


def settings_of_the_centre(ports: Ports) -> dict[str, str]:
    """Return the settings of the five libraries in force here, as environment variables.

    A notebook runs in another folder, with another home: without them it would record its runs elsewhere.
    """
    found: dict[str, str] = {}
    for library in LIBRARIES:
        config: Any = import_module(f"{library}._house.config")
        settings: Any = import_module(f"{library}.settings").SETTINGS
        found[f"{library}_HOME".upper()] = str(config.home().absolute())
        held: Any = config.load_config(settings)
        for setting in settings:
            if held.origin(setting.name) != "default":
                found[setting.env] = str(held[setting.name])
    found.setdefault("EXIA_MIRROR", mirror(ports))
    return found


def mirror(ports: Ports) -> str:
    """Return the setting ``mirror`` of Exia by which runs are copied to the lab's MLflow."""
    return f"mlflow://127.0.0.1:{ports.tracker}/jiyuan"


def _write(path: Path, text: str) -> None:
    try:
        if path.read_text(encoding="utf-8") == text:
            return
    except OSError:
        pass
    write_durably(path, text.encode())
