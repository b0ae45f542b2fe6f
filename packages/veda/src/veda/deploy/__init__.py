"""Hosts that environments are rolled out to, opened by URL."""

from __future__ import annotations

from veda._house.backends import BackendURL, open_backend
from veda._house.config import load_config
from veda.deploy.port import Deploy, Host, OnReport, Order, Report, no_report
from veda.settings import SETTINGS

__all__ = ["Deploy", "Host", "OnReport", "Order", "Report", "no_report", "open_deploy"]


def open_deploy(url: str | None = None) -> Deploy:
    """Open the hosts at `url`, by default the configured ones; ``local://`` is this machine."""
    address = BackendURL.parse(load_config(SETTINGS, {"deploy": url}).text("deploy"))
    deploy: Deploy = open_backend("deploy", address)
    return deploy
