"""``veda ops``: the same environment on many hosts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from veda._house.command import Group, json_option, note
from veda._house.output import paint, print_records
from veda.cli._options import registry_option

if TYPE_CHECKING:
    from veda.deploy import OnReport, Report
    from veda.lock_file import Lock
    from veda.rollout import Rollout

_deploy_option = click.option("--deploy", metavar="URL", help="Hosts: local://, ansible:INVENTORY or clickhouse://...")
_hosts_option = click.option("--hosts", default="all", show_default=True, metavar="PATTERN", help="Names or groups.")
_lock_option = click.option(
    "--lock", "lock_", metavar="FILE", help="Lock to bring it to, by default that of NAME here."
)
_store_option = click.option("--store", metavar="URL", help="Store that the hosts pull from.")
_count = click.IntRange(0)
_canary_option = click.option(
    "--canary", type=_count, default=0, metavar="N", help="Ask N hosts first, and no more if one fails."
)
_batch_option = click.option("--batch", type=_count, default=0, metavar="N", help="Ask N hosts at a time.")
_failed_option = click.option("--max-failed", type=_count, default=0, metavar="N", help="Go on with up to N failures.")


@click.group(cls=Group)
def ops() -> None:
    """Roll environments out to hosts, and see what they run."""


@ops.command("hosts", epilog="Example: veda ops hosts --deploy ansible:hosts.ini")
@_deploy_option
@_hosts_option
@json_option
def list_hosts(deploy: str | None, hosts: str, as_json: bool) -> None:
    """List the hosts that are known."""
    from veda.deploy import open_deploy

    rows = [{"host": h.name, "address": h.address, "groups": list(h.groups)} for h in open_deploy(deploy).hosts(hosts)]
    print_records(rows, ["host", "address", "groups"], as_json=as_json)


@ops.command(epilog="Example: veda ops ping --deploy ansible:hosts.ini")
@_deploy_option
@_hosts_option
@json_option
def ping(deploy: str | None, hosts: str, as_json: bool) -> int:
    """Ask each host whether veda answers there; exit 6 if one does not."""
    return _printed(_asked("ping", deploy, hosts), ["veda"], as_json)


@ops.command(epilog="Example: veda ops facts --json")
@_deploy_option
@_hosts_option
@json_option
def facts(deploy: str | None, hosts: str, as_json: bool) -> int:
    """Show versions, processors and free bytes of each host."""
    return _printed(_asked("facts", deploy, hosts), ["veda", "python", "system", "machine", "cpus", "free"], as_json)


@ops.command(epilog="Example: veda ops status research --verify")
@click.argument("name", default="")
@click.option("--verify", is_flag=True, help="Compare every byte with the lock.")
@_deploy_option
@_hosts_option
@json_option
def status(name: str, verify: bool, deploy: str | None, hosts: str, as_json: bool) -> int:
    """Show which generation of each environment, or of NAME, each host runs."""
    reports = _asked("status", deploy, hosts, environment=name, verify=verify)
    rows: list[dict[str, Any]] = []
    for report in reports:
        if not report.ok:
            rows.append({"host": report.host, "damaged": [report.message]})
        for row in report.data.get("environments", ()) if report.ok else ():
            packages = [f"{p['name']}@{p['version']}" for p in row["packages"]]
            rows.append({"host": report.host, **row, "packages": packages})
    print_records(rows, ["host", "environment", "generation", "packages", "damaged"], as_json=as_json)
    return _code(reports) or int(any(row.get("damaged") for row in rows))


@ops.command(epilog="Example: veda ops plan research --lock veda.lock --store file:/srv/store")
@click.argument("name")
@_lock_option
@_store_option
@_deploy_option
@_hosts_option
@json_option
def plan(name: str, lock_: str | None, store: str | None, deploy: str | None, hosts: str, as_json: bool) -> int:
    """Show what a deployment would change on each host, and change nothing."""
    from veda.rollout import plan

    reports = plan(name, _lock(name, lock_), hosts=hosts, deploy=deploy, store=store)
    if as_json:
        return _printed(reports, [], as_json)
    for report in reports:
        click.echo(f"{report.host}: {_word(report, planned=True)}")
        for change in report.data.get("diff", ()) if report.ok else ():
            for sign, side, colour in (("-", "before", "red"), ("+", "after", "green")):
                if change[side]:
                    click.echo(paint(f"  {sign} {change['kind']} {change['name']} {change[side]}", colour))
        if report.ok and report.data.get("missing"):
            click.echo(f"  to pull: {', '.join(report.data['missing'])}")
    return _code(reports)


@ops.command(epilog="Example: veda ops deploy research --lock veda.lock --store file:/srv/store --canary 1")
@click.argument("name")
@_lock_option
@_store_option
@click.option("--wheels", default="", metavar="FOLDER", help="Folder of wheels on the hosts, instead of the index.")
@_canary_option
@_batch_option
@_failed_option
@_deploy_option
@_hosts_option
@registry_option
@json_option
def deploy(
    name: str,
    lock_: str | None,
    store: str | None,
    wheels: str,
    canary: int,
    batch: int,
    max_failed: int,
    deploy: str | None,
    hosts: str,
    registry: str | None,
    as_json: bool,
) -> int:
    """Bring the environment NAME on each host to a lock; a host that has it already stays as it is."""
    from veda.rollout import deploy_environment

    done = deploy_environment(
        name,
        _lock(name, lock_),
        hosts=hosts,
        deploy=deploy,
        store=store,
        wheels=wheels,
        canary=canary,
        batch=batch,
        max_failed=max_failed,
        on_report=_live(as_json),
        registry=registry,
    )
    return _rolled(done, as_json)


@ops.command(epilog="Example: veda ops rollback research --to momentum@1.2.0")
@click.argument("name")
@click.option(
    "--to", default="", metavar="WHERE", help="A generation, a lock's digest or a release; by default the one before."
)
@_canary_option
@_batch_option
@_failed_option
@_deploy_option
@_hosts_option
@registry_option
@json_option
def rollback(
    name: str,
    to: str,
    canary: int,
    batch: int,
    max_failed: int,
    deploy: str | None,
    hosts: str,
    registry: str | None,
    as_json: bool,
) -> int:
    """Take the environment NAME on each host back to an earlier generation."""
    from veda.rollout import rollback_hosts

    done = rollback_hosts(
        name,
        to,
        hosts=hosts,
        deploy=deploy,
        canary=canary,
        batch=batch,
        max_failed=max_failed,
        on_report=_live(as_json),
        registry=registry,
    )
    return _rolled(done, as_json)


@ops.command(epilog="Example: veda ops run --env research -- python -V")
@click.argument("command", nargs=-1, required=True, metavar="COMMAND...")
@click.option("--env", "environment", default="", metavar="NAME", help="Environment to run it in.")
@_deploy_option
@_hosts_option
@json_option
def run(command: tuple[str, ...], environment: str, deploy: str | None, hosts: str, as_json: bool) -> int:
    """Run a command on each host and print what it prints; exit 1 if one fails."""
    reports = _asked("run", deploy, hosts, environment=environment, argv=command)
    if as_json:
        return _printed(reports, [], as_json)
    for report in reports:
        text = report.data.get("stdout", "") + report.data.get("stderr", "")
        for line in text.splitlines() or [report.message]:
            click.echo(f"{report.host}: {line}")
    return _code(reports)


@ops.command(epilog="Example: veda ops drift --deploy ansible:hosts.ini")
@_deploy_option
@_hosts_option
@registry_option
@json_option
def drift(deploy: str | None, hosts: str, registry: str | None, as_json: bool) -> int:
    """List where a host differs from what was deployed to it, byte for byte; exit 1 if one does."""
    from veda.rollout import drift

    rows = drift(hosts=hosts, deploy=deploy, registry=registry)
    print_records(rows, ["host", "environment", "problem"], as_json=as_json)
    return 1 if rows else 0


def _asked(action: str, deploy: str | None, hosts: str, **more: Any) -> list[Report]:
    from veda.deploy import Order
    from veda.rollout import ask_hosts

    return ask_hosts(Order(action, **more), hosts=hosts, deploy=deploy)


def _lock(name: str, path: str | None) -> Lock:
    from veda.environment import find_generation
    from veda.lock_file import Lock

    return Lock.read(path) if path else find_generation(name).lock


def _record(report: Report) -> dict[str, Any]:
    own = {"host": report.host, "ok": report.ok, "changed": report.changed, "reached": report.reached}
    return {**own, "message": report.message, **report.data}


def _printed(reports: Sequence[Report], columns: list[str], as_json: bool) -> int:
    rows = [{**_record(r), "state": _word(r)} for r in reports]
    print_records(rows, ["host", "state", *columns, "message"], as_json=as_json)
    return _code(reports)


def _rolled(done: Rollout, as_json: bool) -> int:
    rows = [{**_record(r), "state": _word(r), "deployment": done.id} for r in done.reports]
    rows += [{"host": name, "state": "skipped", "ok": False, "deployment": done.id} for name in done.skipped]
    print_records(rows, ["host", "state", "generation", "lock", "message"], as_json=as_json)
    for report in done.reports:
        if hint := report.data.get("hint"):
            note(f"hint: {report.host}: {hint}")
    return _code(done.reports) or (0 if done.ok else 1)


def _word(report: Report, planned: bool = False) -> str:
    if not report.reached:
        return "unreachable"
    if not report.ok:
        return f"failed: {report.message}" if planned else "failed"
    if report.changed:
        return "would change" if planned else "changed"
    return "ok"


def _code(reports: Sequence[Report]) -> int:
    if any(not r.reached for r in reports):
        return 6
    return 0 if all(r.ok for r in reports) else 1


def _live(as_json: bool) -> OnReport:
    """Return what says each host as it answers."""

    def told(report: Report) -> None:
        if not as_json:
            note(f"{report.host}: {_word(report)}{f' ({report.message})' if report.message else ''}")

    return told
