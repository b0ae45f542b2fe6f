"""A loop that reads a channel is killed again and again: it goes on, and no message counts twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from tests.faults.figures import Faults

KILLS = 60
EACH = 20  # messages for each kill

FLOW = """\
kyrios: 1
flow: bills
info: {version: "1.0", summary: A sum of what comes, owner: tests}
schedule: {every: 1ms}
units:
  total: {use: total@1}
"""
UNIT = """\
kyrios: 1
unit: total
info: {version: "1.0", summary: The sum, owner: tests}
run: {call: "units:total"}
interface:
  outputs: {total: {type: table}}
"""
CODE = """
import os
import pyarrow as pa
import kyrios

channel = kyrios.open_channel("fault-bills", {"n": "int64"}, url=os.environ["BILLS"])
reader = channel.reader("total")

def total():
    memory = kyrios.memory()
    message = reader.receive(timeout=0, after=memory.get("position", 0))
    if message is not None:
        memory["sum"] = memory.get("sum", 0) + message.table["n"][0].as_py()
        memory["position"] = message.position
    reader.commit(kyrios.checkpointed().get("position", 0))
    return pa.table({"sum": [memory.get("sum", 0)]})
"""


@pytest.mark.redis
def test_a_loop_that_is_killed_anywhere_deals_with_every_message_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: Faults
):
    from redis import Redis

    import kyrios
    from kyrios.checkpoint import Checkpoint

    url = os.environ["KYRIOS_TEST_REDIS_URL"]
    monkeypatch.setenv("BILLS", url)
    monkeypatch.setenv("KYRIOS_HOME", str(tmp_path / "home"))
    folder = tmp_path / "bills"
    (folder / "units").mkdir(parents=True)
    (folder / "flow.yaml").write_text(FLOW)
    (folder / "units" / "total.yaml").write_text(UNIT)
    (folder / "units.py").write_text(CODE)
    server = Redis.from_url(url)
    server.delete(*[f"kyrios:channel:{{fault-bills}}:{part}" for part in ("stream", "counts", "ids", "readers")])
    path = tmp_path / "home" / "loops" / "bills" / "checkpoint.json"
    command = [sys.executable, "-c", "from kyrios.cli import main; main()", "loop", str(folder), "--checkpoint", "0.05"]

    def run_until(position: int) -> None:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while Checkpoint.read(path).memories.get("total", {}).get("position", 0) < position:
                with suppress(subprocess.TimeoutExpired):
                    pytest.fail(f"the loop has ended with code {process.wait(0.02)}")
            process.send_signal(signal.SIGKILL)

    kills = faults.count(KILLS)
    with kyrios.open_channel("fault-bills", {"n": "int64"}, url=url, capacity=EACH * kills) as bills:
        for n in range(1, EACH * kills + 1):
            bills.send(pa.table({"n": [n]}), id=str(n))
    figure = faults.figure("loop-kill", "kyrios", "kill -9 of a loop that reads a channel and keeps checkpoints")
    random = Random(7)

    for nth in range(1, kills + 1):
        run_until(EACH * kills if nth == kills else random.randint(EACH * (nth - 1) + 1, EACH * nth))

        held = Checkpoint.read(path).memories["total"]
        right = held["sum"] == held["position"] * (held["position"] + 1) // 2
        figure.survives(None if right else f"at {held['position']} the sum is {held['sum']}")

    assert figure.lost == 0
