from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest

import exia
import exia.models
import exia.params
from exia.errors import BackendUnavailable, BadInput, PoolNotFound, PoolTimeout, RefNotFound
from exia.lineage import lineage_of

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "lineage.schema.json").read_text())


class Model:
    def __init__(self, window: int = 20):
        self.window = window

    def apply_params(self, snapshot):
        self.window = snapshot["window"]


def packed(monkeypatch, *versions):
    """Let ``momentum@VERSION`` name a package of each of these versions."""
    known = {
        f"momentum@{v}": SimpleNamespace(
            factory=Model, name="momentum", version=v, digest=f"sha256:{v.replace('.', ''):0>64}", methods={}
        )
        for v in versions
    }
    monkeypatch.setattr("exia.loading.load", known.__getitem__)


def session():
    (found,) = exia.find_runs()
    record = lineage_of(found)
    jsonschema.validate(record, SCHEMA)
    return record


def test_a_pool_records_the_versions_and_digests_that_its_leases_had(monkeypatch):
    packed(monkeypatch, "1.2.0", "1.3.0", "1.4.0")
    with exia.pool("momentum@1.2.0", record=True) as pool:
        with pool.lease():
            assert session()["state"] == "running"
        pool.swap("momentum@1.3.0")
        pool.swap("momentum@1.4.0")
        with pool.lease(), pool.lease():
            pass

    record = session()

    assert (record["kind"], record["name"], record["engine"], record["state"]) == (
        "session", "momentum", "exia", "succeeded",
    )  # fmt: skip
    # Nobody leased 1.3.0.
    assert [(p["ref"], p["digest"][-3:]) for p in record["packages"]] == [
        ("momentum@1.2.0", "120"),
        ("momentum@1.4.0", "140"),
    ]
    (found,) = exia.find_runs()
    assert found.facts["packages/momentum@1.4.0"]["leases"] == 2
    assert found.metrics["leases"] == 3


def test_a_pool_records_each_version_of_its_parameters():
    exia.params.define("signal", {"type": "object", "properties": {"window": {"type": "integer", "default": 20}}})
    with exia.pool(Model, record=True) as pool, exia.params.follow("signal", pool) as live:
        for window in (30, 40):
            live.wait(exia.params.set("signal", {"window": window}).version, timeout=20)

    record = session()

    assert record["parameters"]["sets"]["signal"][0] == 1
    assert record["parameters"]["sets"]["signal"][-1] == 3
    assert record["parameters"]["values"] == {"window": 40}


def test_a_run_says_in_its_lineage_which_parameters_it_used():
    exia.params.define("signal", {"type": "object", "properties": {"window": {"type": "integer", "default": 20}}})
    with exia.run("backtest") as run:
        run.log_parameters(exia.params.get("signal"))

    assert session()["parameters"]["sets"] == {"signal": [1]}
    assert session()["kind"] == "run"


def test_a_version_on_trial_that_was_taken_back_is_recorded_with_its_leases(monkeypatch):
    packed(monkeypatch, "1.2.0", "1.3.0")
    with exia.pool("momentum@1.2.0", record=True) as pool:
        swap = pool.swap("momentum@1.3.0", canary=0.5, trial=1000)
        for _ in range(4):
            with pool.lease():
                pass
        swap.undo()

    (found,) = exia.find_runs()
    assert {key: found.facts[key]["leases"] for key in found.facts if key.startswith("packages/")} == {
        "packages/momentum@1.2.0": 2,
        "packages/momentum@1.3.0": 2,
    }


def test_an_async_pool_records_itself_too():
    async def main():
        async with exia.async_pool(Model, record=True, params={"window": 5}) as pool, pool.lease():
            pass

    asyncio.run(main())

    record = session()
    assert (record["kind"], record["packages"]) == (
        "session", [{"ref": "Model@unknown", "name": "Model", "version": "unknown", "digest": "unknown"}],
    )  # fmt: skip
    assert record["parameters"]["values"] == {"window": 5}


def test_a_pool_by_key_records_which_keys_were_leased_also_those_that_it_has_forgotten():
    with exia.keyed_pool(Model, max_total=1, name="by symbol", record=True) as pools:
        for window in (20, 20, 40, 60):
            with pools.lease(window):
                pass
        with pytest.raises(KeyError), pools.lease(60):
            raise KeyError
        with pools.lease(20), pytest.raises(PoolTimeout):
            pools.acquire(40, timeout=0)

    (found,) = exia.find_runs("tags.pool = 'by symbol'")
    facts = found.facts["session"]
    assert (found.status, facts["max_total"], facts["keys"], facts["leases"]) == ("finished", 1, 3, 6)
    assert facts["leases_by_key"] == {"20": 3, "60": 2, "40": 1}
    assert found.metrics == {"leases": 6.0, "errors": 1.0, "timeouts": 1.0}
    assert [package["ref"] for package in session()["packages"]] == ["Model@unknown"]


def test_a_pool_by_key_that_was_not_told_to_records_nothing():
    with exia.keyed_pool(Model, max_total=1) as pools, pools.lease(20):
        pass

    assert list(exia.find_runs()) == []


def test_a_pool_of_any_name_and_parameters_is_recorded():
    with exia.pool(lambda path: [path], name="../a pool?", params={"path": Path("x")}, record=True):
        pass

    assert session()["parameters"]["values"] == {"path": "x"}


def test_a_pool_that_was_not_told_to_records_nothing():
    with exia.pool(Model) as pool, pool.lease():
        pass

    assert list(exia.find_runs()) == []


def test_a_pool_that_cannot_record_itself_does_not_open(exia_home):
    exia_home.mkdir()
    (exia_home / "log").write_text("in the way")

    with pytest.raises(BackendUnavailable):
        exia.pool(Model, name="signals", record=True)
    with pytest.raises(PoolNotFound):
        exia.get_pool("signals")


def test_what_was_lent_is_known_of_a_process_that_was_killed(tmp_path):
    program = """
import exia, exia.models, os
exia.models.save("weights", {"w": 1})
exia.models.save("weights", {"w": 2})
pool = exia.pool("model:weights@1", record=True)
pool.swap("model:weights@2")
with pool.lease():
    os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", program], env=os.environ, check=False)
    assert done.returncode == -9
    subprocess.run([sys.executable, "-c", "from exia.cli import main; main()", "runs", "ship"], check=True)

    (found,) = exia.find_runs()

    assert [p["ref"] for p in lineage_of(found)["packages"]] == ["weights@1", "weights@2"]
    assert lineage_of(found)["packages"][0]["digest"].startswith("sha256:")


def test_a_saved_models_pool_names_the_version_that_its_alias_meant():
    exia.models.save("weights", {"w": 1}, alias="champion")
    digest = exia.models.info("weights").digest
    with exia.pool("model:weights@champion", record=True) as pool, pool.lease() as weights:
        assert weights == {"w": 1}

    assert session()["packages"] == [{"ref": "weights@1", "name": "weights", "version": "1", "digest": digest}]


class TestFollowing:
    def test_an_alias_that_moves_in_the_store_swaps_the_pool(self):
        exia.models.save("weights", {"w": 1}, alias="champion")
        ref = "model:weights@champion"
        with exia.pool(ref, record=True) as pool, exia.follow(pool, ref, every=3600) as follower:
            assert not follower.look()
            with pool.lease() as running:
                exia.models.save("weights", {"w": 2}, alias="champion")
                assert follower.look()
                assert running == {"w": 1}
                with pool.lease() as new:
                    assert new == {"w": 2}
            exia.models.rollback("weights")
            assert follower.look()
            assert pool.version == "weights@1"

        assert [p["ref"] for p in session()["packages"]] == ["weights@1", "weights@2"]

    def test_an_alias_that_is_gone_leaves_the_pool_as_it_is(self):
        exia.models.save("weights", {"w": 1}, alias="champion")
        ref = "model:weights@champion"
        with exia.pool(ref) as pool, exia.follow(pool, ref, every=3600) as follower:
            exia.models.alias("weights", "champion", None)

            assert not follower.look()
            assert pool.version == "weights@1"

    def test_what_a_swap_does_not_take_is_refused_at_once(self):
        with exia.pool(Model) as pool:
            with pytest.raises(BadInput, match="canari"):
                exia.follow(pool, "python:statistics:NormalDist", canari=0.1)
            with pytest.raises(BadInput, match="more than 0"):
                exia.follow(pool, "python:statistics:NormalDist", every=0)
            with pytest.raises(RefNotFound):
                exia.follow(pool, "model:ghost")
