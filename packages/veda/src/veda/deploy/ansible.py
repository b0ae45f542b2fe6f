"""``ansible:inventory``: the hosts of an Ansible inventory, by ansible-runner and the module ``veda_env``."""

from __future__ import annotations

import json
import os
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import ansible_runner

from veda._house.backends import BackendURL
from veda.deploy.port import Deploy, Host, OnReport, Order, Report, no_report
from veda.errors import BadInput, NotFound

_LIBRARY = Path(__file__).with_name("library")
_FORKS = 20
_TIMEOUT = 600.0  # seconds for one order on all hosts


class AnsibleDeploy:
    """An inventory: the file or folder of the URL, or the one that Ansible's own configuration names."""

    remote = True

    def __init__(self, url: BackendURL) -> None:
        self._inventory = str(url.file_path(Path()).absolute()) if url.path else None
        if self._inventory and not Path(self._inventory).exists():
            raise NotFound(f"there is no inventory {self._inventory}", hint="VEDA_DEPLOY=ansible:/path/of/hosts.ini")
        try:
            self._forks = int(url.query.get("forks", _FORKS))
            self._timeout = float(url.query.get("timeout", _TIMEOUT))
        except ValueError:
            raise BadInput(f"{url}: forks and timeout are numbers", hint="ansible:hosts.ini?forks=20") from None

    def hosts(self, pattern: str = "all") -> list[Host]:
        """Ask Ansible, so that its patterns and dynamic inventories count as well."""
        from ansible import constants
        from ansible.inventory.manager import InventoryManager
        from ansible.parsing.dataloader import DataLoader

        with self._listed() as inventory:
            sources = [inventory] if inventory else constants.DEFAULT_HOST_LIST
            manager = InventoryManager(loader=DataLoader(), sources=sources)
        found = sorted(manager.list_hosts(pattern), key=lambda h: str(h.name))
        if not found:
            known = ", ".join(sorted(str(h.name) for h in manager.list_hosts("all"))[:10]) or "none"
            raise NotFound(f"no host of the inventory is {pattern!r}; hosts: {known}", hint="veda ops hosts")
        return [
            Host(
                str(h.name),
                str(h.vars.get("ansible_host", h.name)),
                tuple(sorted(str(g.name) for g in h.groups if g.name not in ("all", "ungrouped"))),
            )
            for h in found
        ]

    def perform(
        self, order: Order, hosts: Sequence[str], *, check: bool = False, on_report: OnReport = no_report
    ) -> list[Report]:
        """Run a playbook of one task on all hosts at once."""
        reports: dict[str, Report] = {}

        def told(report: Report) -> None:
            reports[report.host] = report
            on_report(report)

        events: SimpleQueue[dict[str, Any]] = SimpleQueue()
        with _folder() as folder, self._listed() as inventory:
            (folder / "project").mkdir()
            (folder / "project" / "order.yml").write_text(_playbook(order, hosts, check), encoding="utf-8")
            # The handler may only put the event aside: a slow one makes the runner lose its child.
            thread, runner = ansible_runner.run_async(
                private_data_dir=str(folder),
                playbook="order.yml",
                forks=min(self._forks, len(hosts)),
                quiet=True,
                timeout=self._timeout,
                envvars=_environment(folder),
                event_handler=events.put,
                **({"inventory": inventory} if inventory else {}),
            )
            while thread.is_alive() or not events.empty():
                try:
                    report = _report(events.get(timeout=0.1))
                except Empty:
                    continue
                if report is not None and report.host not in reports:
                    told(report)
            thread.join()
            said = _tail(runner) if len(reports) < len(hosts) else ""
        for name in hosts:
            if name not in reports:
                told(Report(name, False, reached=False, message=f"no answer ({runner.status}){said}"))
        return [reports[name] for name in hosts]

    @contextmanager
    def _listed(self) -> Iterator[str | None]:
        """Give the path of the inventory for as long as the block lasts; None is that of Ansible's configuration."""
        yield self._inventory


def _playbook(order: Order, hosts: Sequence[str], check: bool) -> str:
    """Return a play as JSON, which is YAML; the order travels as one opaque word, in which nothing is expanded."""
    word = b64encode(json.dumps(asdict(order)).encode()).decode()
    task = {"name": f"veda {order.action}", "veda_env": {"order": word, "home": "{{ veda_home | default('') }}"}}
    play = {"hosts": ",".join(hosts), "gather_facts": False, "strategy": "free", "check_mode": check, "tasks": [task]}
    return json.dumps([play])


def _environment(folder: Path) -> dict[str, str]:
    """Return what Ansible runs with: our module, one connection a host, nothing in the user's home."""
    programs = str(Path(sys.executable).parent)  # `ansible-playbook` lies beside the interpreter
    own = {
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "ANSIBLE_LIBRARY": str(_LIBRARY),
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_RETRY_FILES_ENABLED": "false",
        "ANSIBLE_DEPRECATION_WARNINGS": "false",
        "ANSIBLE_FORCE_COLOR": "false",
        "ANSIBLE_NOCOLOR": "true",
    }
    # With pipelining and one task there is one connection, and none to keep for later.
    return {**own, "ANSIBLE_SSH_ARGS": os.environ.get("ANSIBLE_SSH_ARGS", "-o ControlMaster=no")}


@contextmanager
def _folder() -> Iterator[Path]:
    # The playbook holds the store's password: the folder is ours alone, and goes.
    with TemporaryDirectory(prefix="veda-ansible-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _report(event: Mapping[str, Any]) -> Report | None:
    kind, data = event.get("event"), event.get("event_data", {})
    if kind not in ("runner_on_ok", "runner_on_failed", "runner_on_unreachable"):
        return None
    result = data.get("res", {})
    found = result.get("report", {})
    if kind == "runner_on_ok":
        return Report(data["host"], True, changed=bool(result.get("changed")), data=found)
    hint = {"hint": result["hint"]} if result.get("hint") else {}
    message = " ".join(str(result.get("msg") or "it failed").split())[:500]
    if extra := result.get("module_stderr"):
        message = f"{message}: {' '.join(str(extra).split())[-300:]}"
    return Report(data["host"], False, reached=kind != "runner_on_unreachable", message=message, data={**found, **hint})


def _tail(runner: Any) -> str:
    try:
        with runner.stdout as file:
            text = " ".join(file.read().split())[-300:]
    except (OSError, ansible_runner.exceptions.AnsibleRunnerException):
        return ""
    return f": {text}" if text else ""


if TYPE_CHECKING:
    _fits: type[Deploy] = AnsibleDeploy
