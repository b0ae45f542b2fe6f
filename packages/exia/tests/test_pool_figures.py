"""What a pool says about itself, to Prometheus and to ``exia top``."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import exia
from exia.pooling.showing import Watch, figures, folder, show

_SERVER = """
import sys, threading, exia
with exia.pool("python:statistics:NormalDist", name="desk", max_size=3) as pool:
    print("open", flush=True)
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    while not stop.wait(0.01):
        with pool.lease() as normal:
            normal.cdf(0.0)
"""


def test_figures_are_given_as_prometheus_text():
    with exia.pool(dict, name='a "b"\\', sample=1, max_size=2) as pool:
        with pytest.raises(ValueError, match="mine"), pool.lease():
            raise ValueError("mine")
        pool.clear()
        text = exia.prometheus([pool])

    lines = text.splitlines()
    label = 'pool="a \\"b\\"\\\\"'
    assert f"exia_pool_max_size{{{label}}} 2" in lines
    assert f"exia_pool_leases_total{{{label}}} 1" in lines
    assert f"exia_pool_errors_total{{{label}}} 1" in lines
    assert f'exia_pool_destroyed_total{{{label},cause="clear"}} 1' in lines
    assert f'exia_pool_version_info{{{label},version="dict"}} 1' in lines
    assert f'exia_pool_hold_seconds_bucket{{{label},le="+Inf"}} 1' in lines
    assert f"exia_pool_hold_seconds_count{{{label}}} 1" in lines
    names = {line.split("{")[0] for line in lines if line[0] != "#"}
    described = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in names} <= described


def test_prometheus_reads_all_open_pools_by_default():
    with exia.pool(dict, name="first"), exia.pool(list, name="second"):
        text = exia.prometheus()
    assert 'exia_pool_size{pool="first"} 0' in text
    assert 'exia_pool_size{pool="second"} 0' in text
    assert "first" not in exia.prometheus()


def test_figures_are_written_only_while_somebody_looks():
    with exia.pool(dict, name="seen", sample=1) as pool:
        pool.acquire().release()
        show([pool])
        assert not folder().exists()

        with Watch() as watch:
            show([pool])
            (row,) = watch.rows()
        assert not folder().exists()

    assert (row["name"], row["leases"], row["in_use"]) == ("seen", 1, 0)
    assert row["hold"]["p99"] > 0


def test_a_file_of_a_process_that_is_gone_and_one_that_is_no_json_are_not_shown():
    with exia.pool(dict) as pool, Watch() as watch:
        (folder() / "1.json").write_text(json.dumps({"pid": 1, "time": 0, "pools": [figures(pool)]}))
        (folder() / "2.json").write_text("{")

        assert watch.rows() == []


@pytest.fixture
def server():
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    yield process
    process.communicate("", timeout=30)


def test_top_shows_the_pools_of_other_processes(server):
    words = [sys.executable, "-c", "from exia.cli import main; main()", "top"]

    as_json = subprocess.run([*words, "--json"], capture_output=True, text=True, timeout=60, check=True)
    table = subprocess.run([*words, "--once"], capture_output=True, text=True, timeout=60, check=True)

    (row,) = json.loads(as_json.stdout)
    assert (row["pid"], row["max"], row["errors"]) == (server.pid, 3, 0)
    assert row["version"].startswith("NormalDist@")
    assert row["leases/s"] > 0
    assert "NormalDist@" in table.stdout
    assert "\x1b" not in table.stdout
