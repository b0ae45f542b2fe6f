"""``clickhouse://user:password@host:9000/database?table=hosts``: hosts that a table of ClickHouse lists, by Ansible."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from veda._house.backends import BackendURL
from veda.deploy.port import Deploy
from veda.errors import BadInput, MissingExtra, NotFound
from veda.registry.clickhouse import connect, translated

try:
    from veda.deploy.ansible import AnsibleDeploy
except ModuleNotFoundError as exc:
    raise MissingExtra(
        f"hosts are reached by Ansible, and {exc.name} is not installed",
        hint="pip install 'jiyuan-veda[ansible,clickhouse]'",
    ) from exc

_COLUMNS = ("name", "address", "groups", "variables")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,252}")
_TEMPLATE = re.compile(r"\{[{%#]")
_TABLE = re.compile(r"[A-Za-z_]\w{0,99}")


class ClickhouseDeploy(AnsibleDeploy):
    """The inventory is a table or a view: one row a host, read once, when it is opened.

    Its columns are ``name`` and, where it has them, ``address`` (by default the name), ``groups`` (an
    array) and ``variables`` (of Ansible, as a JSON object). ``forks`` and ``timeout`` are as of ``ansible:``.
    """

    def __init__(self, url: BackendURL) -> None:
        if not url.host:
            raise BadInput(f"{url} names no host", hint="clickhouse://user:password@host:9000/database?table=hosts")
        super().__init__(BackendURL(scheme="ansible", query=url.query))
        self._rows = _read(url)

    @contextmanager
    def _listed(self) -> Iterator[str]:
        with TemporaryDirectory(prefix="veda-hosts-") as folder:
            path = Path(folder) / "hosts.json"
            path.write_text(json.dumps(_inventory(self._rows)), encoding="utf-8")
            yield str(path)


def _read(url: BackendURL) -> list[dict[str, Any]]:
    table, shown = url.query.get("table", "hosts"), str(url)
    if not _TABLE.fullmatch(table):
        raise BadInput(f"{url}: table must be letters, digits and underscores", hint="table=hosts")
    client = connect(url)
    try:
        with translated(client, shown):
            asked = "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = %(table)s"
            there = {name for (name,) in client.execute(asked, {"table": table})}
            columns = [c for c in _COLUMNS if c in there]
            if "name" not in there:
                what = f"has no column name; it has {', '.join(sorted(there))}" if there else "does not exist"
                made = f"CREATE VIEW {table} AS SELECT ... AS name, ... AS address, ... AS groups"
                raise NotFound(f"{shown}: the table {table} {what}", hint=made)
            rows = client.execute(f"SELECT DISTINCT {', '.join(columns)} FROM {table} ORDER BY name")
    finally:
        client.disconnect()
    return [_host(dict(zip(columns, row, strict=True)), table) for row in rows]


def _host(row: dict[str, Any], table: str) -> dict[str, Any]:
    name = str(row["name"])
    groups: Sequence[object] = row.get("groups") or ()
    if not all(_NAME.fullmatch(str(word)) for word in (name, *groups)):
        raise BadInput(f"{table}: {name!r} or a group of it is no name", hint="letters, digits, dots, dashes")
    try:
        variables = json.loads(str(row.get("variables") or "{}"))
    except ValueError:
        variables = None
    if not isinstance(variables, dict):
        raise BadInput(
            f"{table}: the variables of {name} are no JSON object", hint='such as {"veda_home": "/srv/veda"}'
        )
    # Ansible would run a template on this machine, and a row of a table is no playbook.
    if _TEMPLATE.search(json.dumps(variables, ensure_ascii=False)):
        raise BadInput(f"{table}: the variables of {name} hold a template", hint="write the value itself")
    address = str(row.get("address") or name)
    if not address.isprintable() or "{" in address or address.startswith("-"):
        raise BadInput(f"{table}: {name} has no address that can be asked", hint="a name or an IP address")
    return {"name": name, "groups": tuple(map(str, groups)), "variables": {**variables, "ansible_host": address}}


def _inventory(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    hosts: dict[str, Any] = {}
    groups: dict[str, Any] = {}
    for row in rows:
        if hosts.setdefault(row["name"], row["variables"]) != row["variables"]:
            raise BadInput(f"{row['name']} has two rows that differ", hint="let table= name a view with one row a host")
        for group in {*row["groups"]} - {"all", "ungrouped"}:  # which Ansible makes itself
            groups.setdefault(group, {"hosts": {}})["hosts"][row["name"]] = {}
    return {"all": {"hosts": hosts, "children": groups}}


if TYPE_CHECKING:
    _fits: type[Deploy] = ClickhouseDeploy
