"""The demo as a user runs it: the command, in a process of its own."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip(
    "bokeh_sampledata", reason="needs the sample bars: pip install 'jiyuan[demo]'", exc_type=ImportError
)
JIYUAN = Path(sys.executable).parent / "jiyuan"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "out"


@pytest.fixture(scope="module")
def twice(out: Path) -> list[dict]:
    """What two runs in the same folder printed."""
    return [json.loads(jiyuan("demo", "--out", str(out), "--json").stdout) for _ in range(2)]


def jiyuan(*words: str, check: bool = True) -> subprocess.CompletedProcess:
    done = subprocess.run([JIYUAN, *words], capture_output=True, text=True, timeout=300, env=environment())
    assert not check or done.returncode == 0, done.stderr
    return done


def environment() -> dict[str, str]:
    # A setting of the person who runs the tests must not lead the demo to a server.
    return {**os.environ, "PTOLEMY_SERIES": "influxdb://nowhere", "NO_COLOR": "1"}


def tables(out: Path) -> list[dict[str, str]]:
    """For each run, the digest of each table that it wrote."""
    runs = sorted((out / "home" / "kyrios").rglob("outputs"))
    return [{p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(run.glob("*.arrow"))} for run in runs]


def test_two_runs_give_the_same_results_byte_for_byte(twice: list[dict], out: Path):
    first, second = twice

    assert first["figures"]["results"] == second["figures"]["results"]
    assert first["figures"]["package_digest"] == second["figures"]["package_digest"]
    assert first["figures"]["data_version"] == second["figures"]["data_version"]
    before, after = tables(out)
    assert before == after
    assert "backtest.equity.arrow" in before


def test_it_works_on_all_the_bars(twice: list[dict]):
    assert twice[0]["figures"]["rows"] == 12_154


def test_each_library_did_its_step(twice: list[dict]):
    assert [step["library"] for step in twice[0]["steps"]] == ["ptolemy", "veda", "exia", "kyrios", "jiyuan"]


def test_the_pool_changes_its_version_and_a_parameter_while_it_is_called(twice: list[dict]):
    for run in twice:
        assert (run["figures"]["swap_failed"], run["figures"]["live_top"]) == (0, 1)
        assert run["figures"]["swapped_to"] == "Cautious"


def test_the_page_holds_everything_that_it_shows(twice: list[dict], out: Path):
    page = (out / "report.html").read_text()

    for missing in ("http://", "https://", "<script", "src="):
        assert missing not in page.replace("http://www.w3.org", "")
    for shown in ("buy-and-hold", "Drawdown", "Returns by year", "2008", twice[1]["figures"]["run_id"], "AAPL.US"):
        assert shown in page


def test_the_airflow_file_compiles_and_imports_no_kyrios(twice: list[dict]):
    source = Path(twice[1]["dag"]).read_text()

    compile(source, "dag.py", "exec")
    assert "import kyrios" not in source


def test_the_commands_that_it_names_work_in_its_folder(twice: list[dict], out: Path):
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("PTOLEMY_", "VEDA_", "EXIA_", "KYRIOS_"))}
    for command in twice[0]["next"]:
        words = command.split()

        done = subprocess.run(
            [JIYUAN.parent / words[0], *words[1:]], cwd=out, env=plain, capture_output=True, text=True
        )

        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


def test_ctrl_c_leaves_a_folder_in_which_the_next_run_completes(tmp_path: Path):
    out = tmp_path / "out"
    demo = subprocess.Popen(
        [JIYUAN, "demo", "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    until = time.monotonic() + 60
    while not (out / "home" / "ptolemy").exists() and time.monotonic() < until:
        time.sleep(0.01)
    demo.send_signal(signal.SIGINT)
    _, said = demo.communicate(timeout=60)

    assert demo.returncode == 130, said
    assert b"Traceback" not in said
    assert jiyuan("demo", "--out", str(out)).returncode == 0
    assert (out / "report.html").is_file()


def test_a_folder_that_is_not_its_own_is_refused(tmp_path: Path):
    (tmp_path / "mine").write_text("")

    done = jiyuan("demo", "--out", str(tmp_path), check=False)

    assert done.returncode == 5
    assert "hint:" in done.stderr
    assert len(done.stderr.splitlines()) == 2
