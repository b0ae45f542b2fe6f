"""What JupyterHub reads when the lab starts it: ``jupyterhub -f jupyterhub_config.py``."""

from jiyuan.lab.hub import configure

configure(get_config())  # type: ignore[name-defined]  # noqa: F821 - JupyterHub gives it to its configuration files
