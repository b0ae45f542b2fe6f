"""What ``jiyuan doctor`` asks of a lab, where one was started."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable
from functools import partial

from jiyuan._house.doctor import Check
from jiyuan.errors import BackendUnavailable
from jiyuan.lab.place import Place


def checks() -> Iterable[Check]:
    """Give the questions to the hub and the tracker of the project's lab; none where there is no lab."""
    place = Place()
    ports = place.ports()
    if ports is None:
        return
    hub, tracker = f"http://127.0.0.1:{ports.lab}", f"http://127.0.0.1:{ports.tracker}"
    yield Check("lab hub", hub, partial(_ask, place, f"{hub}/hub/api", "hub"))
    yield Check("lab tracker", tracker, partial(_ask, place, f"{tracker}/version", "tracker"))


def _ask(place: Place, url: str, name: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=1.5) as answer:  # always http, on loopback
            told = answer.read(10_000).decode(errors="replace")
    except OSError as exc:
        from ptolemy.services import open_services

        with open_services(place.services) as services:
            states = {s.component: s for s in services.states()}
        if name not in states or states[name].state == "stopped":
            return "stopped: jiyuan lab up starts it"
        reason = getattr(exc, "reason", exc)
        raise BackendUnavailable(
            f"does not answer ({states[name].state}): {reason}", hint=f"jiyuan lab up, or read: jiyuan lab logs {name}"
        ) from None
    return f"JupyterHub {json.loads(told)['version']}" if name == "hub" else f"MLflow {told.strip()}"
