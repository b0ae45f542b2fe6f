"""Roll out: plan, batches with a canary, going back, and who runs what since when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid5

from veda._house.backends import BackendURL
from veda._house.config import load_config
from veda._house.ids import uuid7
from veda.claims import Claim
from veda.deploy import Deploy, OnReport, Order, Report, no_report, open_deploy
from veda.environment import who
from veda.errors import BadInput, NotFound
from veda.lock_file import Lock
from veda.names import normalise_name
from veda.registry import Event, Registry, open_registry
from veda.settings import SETTINGS, store_url
from veda.store import open_store


@dataclass(frozen=True)
class Rollout:
    """What a roll-out did.

    Parameters
    ----------
    id
        UUIDv7, in the events of all its hosts.
    reports
        One a host that was asked, in the order of the batches.
    skipped
        Hosts that were not asked, because too many before them had failed.
    """

    id: str
    reports: tuple[Report, ...]
    skipped: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every host did it."""
        return not self.skipped and all(r.ok for r in self.reports)


@dataclass(frozen=True)
class Running:
    """One package of an environment on one host, as its last deployment left it."""

    host: str
    environment: str
    package: str
    version: str
    digest: str
    generation: int
    lock: str
    since: str
    by: str
    deployment: str = field(compare=False)


def plan(
    environment: str,
    lock: Lock,
    *,
    hosts: str = "all",
    deploy: str | None = None,
    store: str | None = None,
    on_report: OnReport = no_report,
    home: Path | str | None = None,
) -> list[Report]:
    """Return what a deployment would change on each host, and change nothing."""
    order, target = _deployment(environment, lock, deploy, store, "", home)
    names = [h.name for h in target.hosts(hosts)]
    return target.perform(order, names, check=True, on_report=on_report)


def deploy_environment(
    environment: str,
    lock: Lock,
    *,
    hosts: str = "all",
    deploy: str | None = None,
    store: str | None = None,
    wheels: str = "",
    canary: int = 0,
    batch: int = 0,
    max_failed: int = 0,
    on_report: OnReport = no_report,
    registry: str | None = None,
    home: Path | str | None = None,
) -> Rollout:
    """Bring an environment on each host to `lock`; hosts that have it already stay as they are.

    Parameters
    ----------
    environment
        Its name on the hosts.
    hosts
        Names, groups or patterns, with commas between them.
    deploy, store
        URLs of the hosts and of the store that they pull from.
    wheels
        A folder of wheels on the hosts, instead of the package index.
    canary
        How many hosts go first; if one of them fails, no other is asked.
    batch
        How many hosts are asked at a time after that, 0 for all.
    max_failed
        How many may fail before the rest is left alone.
    on_report
        Called as each host answers.
    registry, home
        Where the deployment is recorded.

    Raises
    ------
    NotFound
        If the store lacks a package of the lock, or no host fits; nothing was asked of any host.
    """
    order, target = _deployment(environment, lock, deploy, store, wheels, home)
    return _roll(order, target, hosts, canary, batch, max_failed, on_report, registry, home)


def rollback_hosts(
    environment: str,
    to: str = "",
    *,
    hosts: str = "all",
    deploy: str | None = None,
    canary: int = 0,
    batch: int = 0,
    max_failed: int = 0,
    on_report: OnReport = no_report,
    registry: str | None = None,
    home: Path | str | None = None,
) -> Rollout:
    """Take an environment on each host back to `to`: a generation, a lock's digest, a release, or the one before."""
    order = Order("rollback", normalise_name(environment), to=to)
    return _roll(order, open_deploy(deploy), hosts, canary, batch, max_failed, on_report, registry, home)


def ask_hosts(
    order: Order, *, hosts: str = "all", deploy: str | None = None, on_report: OnReport = no_report
) -> list[Report]:
    """Have an order done that is not recorded: ``ping``, ``facts``, ``status`` or ``run``."""
    if order.action in ("deploy", "rollback"):
        raise BadInput("deployments are recorded", hint="deploy_environment or rollback_hosts")
    target = open_deploy(deploy)
    return target.perform(order, [h.name for h in target.hosts(hosts)], on_report=on_report)


def fleet(
    *, environment: str | None = None, registry: str | None = None, home: Path | str | None = None
) -> list[Running]:
    """Return what runs where, since when and by whom, from the events of deployments alone."""
    with open_registry(registry, home=home) as catalogue:
        found = _fleet(catalogue)
    rows = [row for rows in found.values() for row in rows if environment in (None, row.environment)]
    return sorted(rows, key=lambda r: (r.environment, r.host, r.package))


def drift(
    *,
    hosts: str = "all",
    deploy: str | None = None,
    registry: str | None = None,
    home: Path | str | None = None,
    on_report: OnReport = no_report,
) -> list[dict[str, str]]:
    """Compare each host with what was deployed to it, byte for byte, and return what differs."""
    with open_registry(registry, home=home) as catalogue:
        wanted = {key: rows[0].lock for key, rows in _fleet(catalogue).items()}
    reports = ask_hosts(Order("status", verify=True), hosts=hosts, deploy=deploy, on_report=on_report)
    found: list[dict[str, str]] = []
    for report in reports:
        if not report.ok:
            found.append({"host": report.host, "environment": "", "problem": report.message})
            continue
        there = {row["environment"]: row for row in report.data["environments"]}
        deployed = {environment: lock for (environment, host), lock in wanted.items() if host == report.host}
        for name in sorted(there.keys() | deployed.keys()):
            for problem in _problems(deployed.get(name), there.get(name)):
                found.append({"host": report.host, "environment": name, "problem": problem})
    return found


def _problems(lock: str | None, there: Mapping[str, object] | None) -> Iterator[str]:
    if there is None:
        yield "it was deployed and is not there"
        return
    if lock is None:
        yield "it is there and was never deployed"
    elif there["lock"] != lock:
        yield f"it has the lock {str(there['lock'])[:19]}, and {lock[:19]} was deployed"
    damaged = there["damaged"]
    if isinstance(damaged, Sequence):
        yield from map(str, damaged)


def _deployment(
    environment: str, lock: Lock, deploy: str | None, store: str | None, wheels: str, home: Path | str | None
) -> tuple[Order, Deploy]:
    name, target = normalise_name(environment), open_deploy(deploy)
    given = load_config(SETTINGS, {"store": store}).text("store")
    address = store_url(store, home)
    if target.remote and address.scheme == "file" and not BackendURL.parse(given).path:
        raise BadInput("other machines do not see the store in your home", hint="--store minio://... or file:/shared")
    url = f"file:{Path(address.path).absolute()}" if address.scheme == "file" else given
    with open_store(url, home=home) as shelf:
        for package in lock.packages:
            try:
                claim = Claim.parse(shelf.get_claim(package.name, package.version))
            except NotFound:
                claim = None
            if claim is None or claim.digest != package.digest:
                lacks = "lacks" if claim is None else "has other content under the name of"
                raise NotFound(f"the store {address} {lacks} {package}", hint=f"veda push {package}")
    return Order("deploy", name, lock=lock.to_bytes().decode(), store=url, wheels=wheels), target


def _roll(
    order: Order,
    target: Deploy,
    pattern: str,
    canary: int,
    batch: int,
    max_failed: int,
    on_report: OnReport,
    registry: str | None,
    home: Path | str | None,
) -> Rollout:
    if min(canary, batch, max_failed) < 0:
        raise BadInput("canary, batch and max_failed are counts", hint="veda ops deploy --help")
    names = [h.name for h in target.hosts(pattern)]
    id, reports, skipped = uuid7(), list[Report](), list[str]()
    with open_registry(registry, home=home) as catalogue:
        known = {key: rows[0].lock for key, rows in _fleet(catalogue).items()}

        def told(report: Report) -> None:
            _record(catalogue, known, id, order, report)
            on_report(report)

        for number, group in enumerate(_batches(names, canary, batch)):
            if skipped:
                skipped += group
                continue
            reports += target.perform(order, group, on_report=told)
            failed = sum(not r.ok for r in reports)
            allowed = 0 if canary and number == 0 else max_failed
            if failed > allowed:
                skipped = [""]  # what follows is skipped
        return Rollout(id, tuple(reports), tuple(skipped[1:]))


def _batches(names: Sequence[str], canary: int, batch: int) -> Iterator[Sequence[str]]:
    if canary:
        yield names[:canary]
        names = names[canary:]
    size = batch or len(names) or 1
    for start in range(0, len(names), size):
        yield names[start : start + size]


def _record(catalogue: Registry, known: Mapping[tuple[str, str], str], id: str, order: Order, report: Report) -> None:
    """Append one event a package; of what the fleet knows already nothing is said again."""
    if not report.ok or known.get((order.environment, report.host)) == report.data["lock"]:
        return
    data = {
        "environment": order.environment,
        "action": order.action,
        "generation": report.data["generation"],
        "lock": report.data["lock"],
        "deployment": id,
    }
    for package in report.data["packages"]:
        own = str(uuid5(UUID(id), f"{report.host} {package['name']}"))
        catalogue.append(
            Event(
                "deployed",
                package["name"],
                package["version"],
                subject=report.host,
                by=who(),
                data={**data, "digest": package["digest"]},
                id=own,
                at=str(report.data["at"]),
            )
        )


def _fleet(catalogue: Registry) -> dict[tuple[str, str], list[Running]]:
    """Return the packages of the last deployment to each environment and host."""
    found: dict[tuple[str, str], list[Running]] = {}
    for event in catalogue.events(kind="deployed"):
        data = event.data
        key = (str(data["environment"]), event.subject)
        row = Running(
            event.subject,
            key[0],
            event.name,
            event.version,
            str(data["digest"]),
            int(data["generation"]),
            str(data["lock"]),
            event.at,
            event.by,
            str(data["deployment"]),
        )
        rows = found.get(key, [])
        found[key] = [*rows, row] if rows and rows[0].deployment == row.deployment else [row]
    return found
