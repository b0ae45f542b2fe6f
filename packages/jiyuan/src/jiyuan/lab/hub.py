"""How JupyterHub runs in a lab: on loopback alone, behind the lab's proxy, one kernel for all."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from jiyuan.errors import ConfigError
from jiyuan.lab.place import Place
from jiyuan.lab.programs import PREFIXES

#: What a user may be called: the name is a folder's name as well.
USER = r"^[a-z][a-z0-9_-]{0,31}\Z"
_SCOPES = ("admin:servers", "admin:users", "access:servers", "read:hub")


def configure(c: Any) -> None:
    """Fill in `c`, the configuration of JupyterHub, for the lab that ``JIYUAN_LAB`` names."""
    place = Place(Path(os.environ["JIYUAN_LAB"]))
    ports = place.ports()
    if ports is None:
        raise ConfigError(f"{place.folder} is no lab", hint="jiyuan lab up")
    hub = c.JupyterHub
    hub.bind_url = f"http://127.0.0.1:{ports.lab}"
    hub.hub_bind_url = f"http://127.0.0.1:{ports.hub}"
    hub.db_url = f"sqlite:///{place.folder / 'hub.db'}"
    hub.cookie_secret_file = str(place.folder / "cookie")
    hub.pid_file = ""
    hub.template_vars = {"announcement_login": ""}
    _proxy(c, ports.proxy, _secret(place.folder / "proxy.password"))
    _login(c, place)
    _servers(c, place, ports.tracker)
    hub.services = [{"name": "operator", "api_token": _secret(place.operator)}]
    hub.load_roles = [{"name": "operator", "services": ["operator"], "scopes": list(_SCOPES)}]


def _proxy(c: Any, port: int, password: str) -> None:
    c.JupyterHub.proxy_class = "traefik_file"
    proxy = c.TraefikProxy
    proxy.should_start = False  # it is a program of its own: notebooks go on while the hub starts again
    proxy.traefik_api_url = f"http://127.0.0.1:{port}"
    proxy.traefik_api_username = "hub"
    proxy.traefik_api_password = password
    c.TraefikFileProviderProxy.dynamic_config_file = str(Path(os.environ["JIYUAN_LAB"]) / "routes.toml")
    # A page of another host, which names itself in a browser as this machine, is told nothing.
    names = ["127.0.0.1", "localhost", *os.environ.get("JIYUAN_LAB_HOSTS", "").split()]
    proxy.extra_dynamic_config = {
        "http": {
            "routers": {
                "strangers": {
                    "rule": " && ".join(f"!Host(`{name}`)" for name in names),
                    "entryPoints": ["http"],
                    "service": "noop@internal",
                    "priority": 1_000_000,
                }
            }
        }
    }


def _login(c: Any, place: Place) -> None:
    c.Authenticator.username_pattern = USER
    c.Authenticator.allow_all = True
    if os.environ.get("JIYUAN_LAB_LOGIN") == "pam":
        c.JupyterHub.authenticator_class = "pam"
        c.JupyterHub.spawner_class = "localprocess"  # each as the user of this machine who signed in
        return
    c.JupyterHub.authenticator_class = "shared-password"
    c.SharedPasswordAuthenticator.user_password = _secret(place.password)
    c.JupyterHub.spawner_class = "simple"
    c.SimpleLocalProcessSpawner.home_dir_template = str(place.users / "{username}")


def _servers(c: Any, place: Place, tracker: int) -> None:
    spawner = c.Spawner
    spawner.cmd = [sys.executable, "-P", "-m", "jupyterhub.singleuser"]
    if os.geteuid() == 0 and os.environ.get("JIYUAN_LAB_LOGIN") != "pam":
        spawner.args = ["--allow-root"]  # whoever starts a lab as root has decided that already
    spawner.ip = "127.0.0.1"
    spawner.default_url = "/lab"
    spawner.start_timeout = spawner.http_timeout = 180
    spawner.environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if name.startswith(PREFIXES) and not name.startswith("JIYUAN_LAB")
        },
        "JUPYTER_PATH": str(place.folder / "jupyter"),
        "JUPYTER_CONFIG_PATH": str(place.folder / "jupyter" / "config"),
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{tracker}",
        "DO_NOT_TRACK": "true",
    }


def _secret(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()
