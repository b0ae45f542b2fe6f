"""Roll-outs on this machine and on three hosts that Ansible reaches by SSH, each with a store of its own."""

from __future__ import annotations

import json
import sys
import uuid
from dataclasses import replace

import pytest

import veda
from veda import BackendUnavailable, BadInput, NotFound, deploy_environment, fleet, lock
from veda.deploy import Order, open_deploy
from veda.deploy.port import Host, Report, no_report
from veda.rollout import drift, plan, rollback_hosts
from veda.testing import DeployContract


@pytest.fixture
def store(tmp_path, family):
    url = f"file:{tmp_path}/shared"
    for ref in ("alpha@1.0", "beta@1.0", "common@1.0", "common@2.0"):
        veda.push(ref, url)
    return url


@pytest.fixture
def locks(family):
    return tuple(lock([name]).to_bytes().decode() for name in ("alpha", "beta"))


@pytest.fixture(scope="session")
def three_hosts(tmp_path_factory):
    """Start three SSH servers; each stands for a machine."""
    from tests.services.running import create

    folder = tmp_path_factory.mktemp("hosts")
    hosts = [create("sshd", folder / f"host-{n}") for n in range(3)]
    try:
        for host in hosts:
            host.start()
        yield hosts
    finally:
        for host in hosts:
            host.stop()


@pytest.fixture
def inventory(three_hosts, tmp_path):
    pytest.importorskip("ansible_runner", reason="pip install 'jiyuan-veda[ansible]'")
    lines = [
        f"{host.inventory_line(f'host-{n}').rstrip()} veda_home={tmp_path}/homes/{n}\n"
        for n, host in enumerate(three_hosts)
    ]
    path = tmp_path / "hosts.ini"
    path.write_text(f"[desk]\n{''.join(lines)}")
    return f"ansible:{path}"


class TestLocal(DeployContract):
    @pytest.fixture
    def deploy(self, tmp_path):
        return open_deploy(f"local:{tmp_path}/another-home")


@pytest.mark.ansible
class TestAnsible(DeployContract):
    @pytest.fixture
    def deploy(self, inventory):
        return open_deploy(inventory)


@pytest.fixture
def table(clickhouse_url):
    """Give a function that writes hosts into a table of the real server, and returns the URL of that inventory."""
    pytest.importorskip("ansible_runner", reason="pip install 'jiyuan-veda[ansible]'")
    from veda._house.backends import BackendURL
    from veda.registry.clickhouse import connect

    url, client = clickhouse_url.partition("?")[0], connect(BackendURL.parse(clickhouse_url))
    name = f"hosts_{uuid.uuid4().hex}"

    def fill(*rows, columns="name String, address String, groups Array(String), variables String"):
        client.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns}) ENGINE = Log")
        client.execute(f"INSERT INTO {name} VALUES", list(rows))
        return f"{url}?table={name}"

    yield fill
    client.execute(f"DROP TABLE IF EXISTS {name}")
    client.disconnect()


def _here(name, tmp_path, **more):
    """Return the row of a host that is this machine, with a home of its own."""
    own = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    facts = {**own, "veda_home": f"{tmp_path}/homes/{name}", **more}
    return (name, "127.0.0.1", ["desk", name[0]], json.dumps(facts))


@pytest.mark.ansible
@pytest.mark.clickhouse
class TestClickhouse(DeployContract):
    @pytest.fixture
    def deploy(self, table, tmp_path):
        return open_deploy(table(_here("a-1", tmp_path), _here("b-1", tmp_path)))


@pytest.mark.ansible
@pytest.mark.clickhouse
def test_hosts_of_a_table_have_their_addresses_and_groups(table, tmp_path):
    url = table(_here("a-1", tmp_path), ("b-1", "", ["all"], ""), _here("a-1", tmp_path))

    deploy = open_deploy(url)

    assert deploy.hosts() == [Host("a-1", "127.0.0.1", ("a", "desk")), Host("b-1", "b-1", ())]
    assert [h.name for h in deploy.hosts("desk")] == ["a-1"]


@pytest.mark.ansible
@pytest.mark.clickhouse
def test_a_table_needs_no_more_than_names(table):
    assert open_deploy(table(("quant-1",), columns="name String")).hosts() == [Host("quant-1", "quant-1")]


@pytest.mark.ansible
@pytest.mark.clickhouse
@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([("a b", "", [], "")], "no name"),
        ([("a", "", ["x y"], "")], "no name"),
        ([("a", "", [], "[1]")], "no JSON object"),
        ([("a", "", [], "{")], "no JSON object"),
        ([("a", "", [], '{"veda_home": "{{ lookup(1) }}"}')], "template"),
        ([("a", "", [], '{"veda_home": "\\u007b\\u007b 1 }}"}')], "template"),
        ([("a", "-oProxyCommand=id", [], "")], "no address"),
        ([("a", "1.2.3.4", [], ""), ("a", "1.2.3.5", [], "")], "two rows that differ"),
    ],
)
def test_a_table_that_is_no_inventory_is_refused_by_name(table, rows, reason):
    with pytest.raises(BadInput, match=reason):
        open_deploy(table(*rows)).hosts()


@pytest.mark.ansible
@pytest.mark.clickhouse
def test_a_table_that_is_not_there_and_a_server_that_is_down(clickhouse_url):
    pytest.importorskip("ansible_runner", reason="pip install 'jiyuan-veda[ansible]'")
    url = clickhouse_url.partition("?")[0]

    with pytest.raises(NotFound, match="the table absent does not exist"):
        open_deploy(f"{url}?table=absent")
    with pytest.raises(NotFound, match=r"no column name; it has .*metric"):
        open_deploy(f"{url.rpartition('/')[0]}/system?table=metrics")
    with pytest.raises(BadInput, match="letters, digits"):
        open_deploy(f"{url}?table=a;DROP")
    with pytest.raises(BadInput, match="names no host"):
        open_deploy("clickhouse://")
    with pytest.raises(BackendUnavailable, match="does not answer"):
        open_deploy("clickhouse://someone:secret@127.0.0.1:1/default")


@pytest.mark.ansible
def test_a_fleet_is_upgraded_goes_back_and_says_who_runs_what(inventory, store, family, three_hosts, tmp_path):
    old, new = lock(["alpha"]), lock(["beta"])
    done = deploy_environment("research", old, deploy=inventory, store=store, canary=1)
    deploy_environment("research", new, deploy=inventory, store=store)
    rows = fleet()
    victim = next((tmp_path / "homes" / "1" / "trees").glob("*/src/beta/__init__.py"))
    victim.chmod(0o644)
    victim.write_text("evil")
    differs = drift(deploy=inventory)
    back = rollback_hosts("research", "alpha@1.0", deploy=inventory)

    assert done.ok
    assert {(r.host, r.package, r.version, r.generation) for r in rows} == {
        (f"host-{n}", name, version, 2) for n in range(3) for name, version in (("beta", "1.0"), ("common", "2.0"))
    }
    assert {r.digest for r in rows} == {p.digest for p in new.packages}
    assert [(d["host"], "beta@1.0" in d["problem"]) for d in differs] == [("host-1", True)]
    assert [(r.changed, r.data["lock"]) for r in back.reports] == [(True, old.digest)] * 3
    assert {(r.host, r.lock) for r in fleet()} == {(f"host-{n}", old.digest) for n in range(3)}


@pytest.mark.ansible
def test_a_host_that_is_down_is_a_report_and_the_others_go_on(inventory, tmp_path, store, family):
    path = tmp_path / "hosts.ini"
    path.write_text(path.read_text().replace("host-1 ansible_host=127.0.0.1", "host-1 ansible_host=127.0.0.9"))

    done = deploy_environment("research", lock(["alpha"]), deploy=inventory, store=store)

    assert [(r.host, r.ok, r.reached) for r in done.reports] == [
        ("host-0", True, True),
        ("host-1", False, False),
        ("host-2", True, True),
    ]
    assert {r.host for r in fleet()} == {"host-0", "host-2"}


class Hosts:
    """Ten hosts, some of which fail whatever they are asked."""

    remote = False

    def __init__(self, *bad):
        self.bad, self.asked = bad, []

    def hosts(self, pattern="all"):
        return [Host(f"h{n}", "") for n in range(10)]

    def perform(self, order, hosts, *, check=False, on_report=no_report):
        self.asked.append(list(hosts))
        data = {"generation": 1, "lock": lock(["alpha"]).digest, "packages": [], "at": "", "diff": []}
        reports = [Report(h, h not in self.bad, changed=True, data=data) for h in hosts]
        for report in reports:
            on_report(report)
        return reports


@pytest.mark.parametrize(
    ("bad", "options", "sizes", "skipped"),
    [
        ((), {}, [10], 0),
        ((), {"canary": 2, "batch": 4}, [2, 4, 4], 0),
        (("h0",), {"canary": 1, "max_failed": 5}, [1], 9),
        (("h3",), {"canary": 1, "batch": 3}, [1, 3], 6),
        (("h3",), {"canary": 1, "batch": 3, "max_failed": 1}, [1, 3, 3, 3], 0),
        (("h0", "h1"), {"batch": 2, "max_failed": 1}, [2], 8),
    ],
)
def test_batches_stop_when_too_many_fail(bad, options, sizes, skipped, store, monkeypatch):
    hosts = Hosts(*bad)
    monkeypatch.setattr("veda.rollout.open_deploy", lambda url: hosts)

    done = deploy_environment("research", lock(["alpha"]), store=store, **options)

    assert [len(batch) for batch in hosts.asked] == sizes
    assert len(done.skipped) == skipped
    assert done.ok == (not bad)


def test_this_machine_is_a_fleet_of_one(store, family, tmp_path):
    place = f"local:{tmp_path}/another-home"
    planned = plan("research", lock(["alpha"]), deploy=place, store=store)
    done = deploy_environment("research", lock(["alpha"]), deploy=place, store=store)
    again = deploy_environment("research", lock(["alpha"]), deploy=place, store=store)

    assert planned[0].data["missing"] == ["alpha@1.0", "common@1.0"]
    assert {(r.package, r.version) for r in fleet()} == {("alpha", "1.0"), ("common", "1.0")}
    assert [r.changed for r in again.reports] == [False]
    assert drift(deploy=place) == []
    assert fleet()[0].deployment == done.id


def test_nothing_is_deployed_that_the_store_lacks(family, tmp_path):
    with pytest.raises(NotFound, match=r"lacks alpha@1\.0") as caught:
        deploy_environment("research", lock(["alpha"]), store=f"file:{tmp_path}/empty")
    assert caught.value.hint == "veda push alpha@1.0"
    assert fleet() == []


def test_an_order_with_a_lock_that_does_not_hold_is_a_report(store, locks, tmp_path):
    deploy = open_deploy(f"local:{tmp_path}/another-home")
    order = Order("deploy", "research", lock=locks[0], store=store)

    for lock_ in ("", "{}", locks[0].replace("alpha", "alpine", 1)):
        report = deploy.perform(replace(order, lock=lock_), ["me"])[0]
        assert (report.ok, "lock" in report.message) == (False, True)
    assert not (tmp_path / "another-home" / "envs").exists()


@pytest.mark.ansible
def test_an_inventory_that_is_not_there_and_a_store_that_nobody_sees(tmp_path, family, inventory):
    with pytest.raises(NotFound, match="no inventory"):
        open_deploy(f"ansible:{tmp_path}/none.ini")
    with pytest.raises(BadInput, match="do not see the store"):
        deploy_environment("research", lock(["alpha"]), deploy=inventory)
