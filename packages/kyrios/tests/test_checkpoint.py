"""Checkpoints of a service loop: what the units remember outlives the process, however it ends."""

from __future__ import annotations

import datetime
import json
import os
import signal
import subprocess
import sys
from collections import deque
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kyrios
from kyrios import watching
from kyrios.checkpoint import Checkpoint, text_of
from kyrios.testing.channel import numbers

FLOW = """
kyrios: 1
flow: beat
info: {version: "1.0", summary: "Counts."}
schedule: {every: 2ms, overrun: queue}
units:
  count: {use: count@1}
"""
COUNT = """
    outputs: {numbers: {type: table, columns: {n: int64}}}
"""
CODE = """
import pyarrow as pa
import kyrios

def count():
    memory = kyrios.memory()
    memory["n"] = memory.get("n", 0) + 1
    memory["tick"] = kyrios.tick().number
    return pa.table({"n": pa.array([memory["n"]], pa.int64())})
"""


@pytest.fixture
def beat(flow_folder):
    folder = flow_folder("beat")
    for name in ("numbers", "both", "double"):
        (folder.folder / f"units/{name}.yaml").unlink()
    folder.flow(FLOW)
    folder.unit("count", COUNT)
    folder.code(CODE)
    return folder


def kept():
    return Checkpoint.read(watching.place_of("beat") / watching.CHECKPOINT)


def command(*words):
    return [sys.executable, "-c", "from kyrios.cli import main; main()", *map(os.fspath, words)]


def kill_when(flow, is_time):
    """Run a loop in a process and kill it as soon as `is_time` says so of its checkpoint."""
    words = command("loop", flow, "--checkpoint", "0.05")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        while not is_time():
            with suppress(subprocess.TimeoutExpired):
                pytest.fail(f"the loop has ended with code {process.wait(0.02)}: {process.stderr.read()}")
        process.send_signal(signal.SIGKILL)
    return first


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
    | st.dates() | st.datetimes(timezones=st.just(datetime.UTC))
)  # fmt: skip
KEYS = st.text() | st.integers() | st.tuples(st.integers(), st.text())
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4) | st.tuples(inner, inner)
        | st.sets(st.integers(), max_size=4) | st.builds(deque, st.lists(inner, max_size=4), st.just(9))
    ),
    max_leaves=12,
)  # fmt: skip


def kinds(value):
    """Return the type of a value and of all that it holds."""
    if isinstance(value, dict):
        return dict, [(kinds(key), kinds(held)) for key, held in value.items()]
    return type(value), [kinds(held) for held in value] if isinstance(value, list | tuple | deque) else []


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_what_a_unit_remembers_comes_back_as_it_was(memory):
    back = Checkpoint.of(text_of(7, {"count": memory})).memories["count"]

    assert back == memory
    assert kinds(back) == kinds(memory)  # True is not 1, and a tuple is no list


def test_arrays_and_tables_come_back_as_they_were():
    memory = {"a": np.arange(6.0).reshape(2, 3), "x": np.float32(1.5), "t": numbers(1, 2), "none": float("nan")}

    back = Checkpoint.of(text_of(0, {"u": memory})).memories["u"]

    np.testing.assert_array_equal(back["a"], memory["a"])
    assert (back["x"], back["x"].dtype, back["t"]) == (1.5, np.float32, memory["t"])
    assert back["none"] != back["none"]


@pytest.mark.parametrize("value", [object(), lambda: None, np.array([object()]), pa.array([1])])
def test_what_is_no_value_is_named(value):
    with pytest.raises(kyrios.BadInput, match="unit u remembers a "):
        text_of(0, {"u": {"x": value}})


def test_a_loop_goes_on_where_the_last_one_ended(beat):
    flow = kyrios.load_flow(beat)
    flow.loop(ticks=5, checkpoint=60)

    run, report = flow.loop(ticks=5, checkpoint=60)

    assert run.table("count.numbers").to_pydict() == {"n": [10]}
    assert report.checkpoints >= 1
    assert kept().memories == {"count": {"n": 10, "tick": 9}}


def test_a_loop_that_keeps_nothing_begins_anew_and_leaves_what_was_kept(beat):
    flow = kyrios.load_flow(beat)
    flow.loop(ticks=5, checkpoint=60)

    run, _ = flow.loop(ticks=2)

    assert run.table("count.numbers").to_pydict() == {"n": [2]}
    assert kept().tick == 4


def test_a_fresh_loop_forgets(beat):
    flow = kyrios.load_flow(beat)
    flow.loop(ticks=5, checkpoint=60)

    run, _ = flow.loop(ticks=2, checkpoint=60, fresh=True)

    assert run.table("count.numbers").to_pydict() == {"n": [2]}


def test_a_loop_that_is_killed_goes_on_from_its_last_checkpoint(beat):
    kill_when(beat, lambda: kept().tick >= 20)
    before = kept()

    first = kill_when(beat, lambda: kept().tick > before.tick + 20)

    assert f"behind tick {before.tick}" in first
    assert kept().memories["count"]["n"] > before.memories["count"]["n"]
    assert kept().memories["count"]["n"] <= kept().tick + 1  # no tick counts twice


def test_a_checkpoint_that_cannot_be_read_stops_the_loop_until_it_is_told_to_forget(beat):
    flow = kyrios.load_flow(beat)
    flow.loop(ticks=1, checkpoint=60)
    (watching.place_of("beat") / watching.CHECKPOINT).write_text("{")

    done = subprocess.run(command("loop", beat, "--checkpoint", "1"), capture_output=True, text=True)
    again = subprocess.run(
        command("loop", beat, "--checkpoint", "1", "--fresh", "--ticks", "3", "--json"), capture_output=True, text=True
    )

    assert (done.returncode, "--fresh" in done.stderr) == (5, True)
    assert (again.returncode, json.loads(again.stdout)["ticks"]) == (0, 3)


def test_what_cannot_be_kept_is_said_once_and_the_loop_goes_on(beat):
    beat.code(CODE.replace('memory["n"] =', 'memory["o"] = object()\n    memory["n"] ='))
    said = []

    _, report = kyrios.load_flow(beat).loop(ticks=200, checkpoint=0.05, on_change=said.append)

    assert said == ["not kept: unit count remembers a builtins.object, which no checkpoint can hold"]
    assert (report.ticks, report.checkpoints) == (200, 0)


def test_a_unit_is_told_what_is_durable_and_not_what_is_not(beat):
    beat.code(CODE.replace('memory["n"] =', 'memory["seen"] = dict(kyrios.checkpointed())\n    memory["n"] ='))
    flow = kyrios.load_flow(beat)
    flow.loop(ticks=5, checkpoint=60)

    assert kyrios.checkpointed() == {}
    assert kept().memories["count"]["seen"].get("n", 0) < 5
    flow.loop(ticks=1, checkpoint=60)
    assert kept().memories["count"]["seen"]["n"] == 5


SUM = """
import os
import pyarrow as pa
import kyrios

channel = kyrios.open_channel("bills", {"n": "int64"}, url=os.environ["BILLS"])
reader = channel.reader("sum")

def count():
    memory = kyrios.memory()
    message = reader.receive(timeout=0, after=memory.get("position", 0))
    if message is not None:
        memory["n"] = memory.get("n", 0) + message.table["n"][0].as_py()
        memory["position"] = message.position
    reader.commit(kyrios.checkpointed().get("position", 0))
    return pa.table({"n": pa.array([memory.get("n", 0)], pa.int64())})
"""


@pytest.mark.redis
def test_a_loop_that_reads_a_channel_and_is_killed_deals_with_every_message_once(beat, monkeypatch):
    from redis import Redis

    url = os.environ["KYRIOS_TEST_REDIS_URL"]
    monkeypatch.setenv("BILLS", url)
    server = Redis.from_url(url)
    server.delete(*[f"kyrios:channel:{{bills}}:{part}" for part in ("stream", "counts", "ids", "readers")])
    server.close()
    beat.code(SUM)
    with kyrios.open_channel("bills", {"n": "int64"}, url=url, capacity=1000) as bills:
        for n in range(1, 61):
            bills.send(numbers(n))
        for least in (20, 40):
            kill_when(beat, lambda least=least: kept().memories.get("count", {}).get("position", 0) >= least)

        kill_when(beat, lambda: kept().memories["count"]["position"] == 60)

        assert kept().memories["count"]["n"] == sum(range(1, 61))
