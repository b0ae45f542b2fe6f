"""The lab: JupyterHub for the team's notebooks, and MLflow as a mirror of the runs, on this machine."""

from __future__ import annotations

from jiyuan.lab.checks import checks
from jiyuan.lab.place import Place, Ports
from jiyuan.lab.running import Lab

__all__ = ["Lab", "Place", "Ports", "checks"]
