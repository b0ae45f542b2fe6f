from __future__ import annotations

import json
import os
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import exia
from exia.charts import draw, sparkline, thin, ticks
from exia.cli import main
from exia.errors import BadInput, MissingExtra
from exia.runs import RunRecord, journal, places

SCHEMA = Path(__file__).parents[3] / "docs" / "reference" / "lineage.schema.json"
OLD = "2026-01-02T03:04:05.000000+00:00"


@pytest.fixture
def command(capsys, monkeypatch):
    """Run the command line; return exit code, stdout and stderr."""

    def command(*words):
        monkeypatch.setattr("sys.argv", ["exia", *words])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return left.value.code, out, err

    return command


@pytest.fixture
def recorded():
    """Three runs: two of momentum, one of another name that failed."""
    ids = []
    for n, name in enumerate(["momentum", "momentum", "other"]):
        run = exia.run(name, params={"window": 20 * (n + 1)}, tags={"desk": "alpha" if n else "beta"}).start()
        for step in range(50):
            run.log_metric("ic", step * (n + 1) / 1_000)
        run.log_artifact(b"bytes of %d" % n, "out/weights.bin")
        run.finish("failed" if name == "other" else "finished")
        ids.append(run.id)
    return ids


def test_runs_are_listed_by_a_filter(command, recorded):
    code, out, _ = command("runs", "list", "--where", "metrics.ic > 0.06 and tags.desk = 'alpha'", "--json")

    assert code == 0
    assert [row["id"] for row in json.loads(out)] == [recorded[2], recorded[1]]


def test_the_best_runs_are_listed_first(command, recorded):
    code, out, _ = command("runs", "list", "--order-by", "metrics.ic desc", "--limit", "2", "--json")

    assert code == 0
    assert [row["id"] for row in json.loads(out)] == [recorded[2], recorded[1]]


def test_a_comparison_says_what_differs_also_of_code_data_and_environment(command, monkeypatch):
    ids = []
    for version in ("2026-11-20", "2026-11-21"):
        with exia.run("compared", params={"window": 20}, tags={"desk": version[-2:]}) as run:
            run.log_dataset("bars", version)
            run.log_package("momentum", version="1.2.0")
        ids.append(run.id)

    code, out, _ = command("runs", "compare", *ids, "--json")
    rows = {row["value"]: row for row in json.loads(out)}
    _, differing, _ = command("runs", "compare", *ids, "--differing", "--json")

    assert code == 0
    assert [row["value"] for row in json.loads(differing)] == ["tags.desk", "datasets/bars"]
    assert {name for name, row in rows.items() if row["differs"] == "no"} >= {
        "status", "params.window", "commit", "environment.digest", "python", "packages/momentum",
    }  # fmt: skip
    assert rows["datasets/bars"][ids[1]]["version"] == "2026-11-21"


def test_a_run_that_has_ended_is_tagged_and_noted(command, recorded):
    code, out, _ = command("runs", "tag", recorded[0], "stage=live", "desk=gamma=1", "--json")
    assert (code, json.loads(out)["tags"]) == (0, {"desk": "gamma=1", "stage": "live"})

    code, out, _ = command("runs", "note", recorded[0], "best of May, password=canary", "--json")
    assert (code, list(json.loads(out)["notes"].values())) == (0, ["best of May, password=[hidden]"])
    assert exia.get_run(recorded[0]).status == "finished"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tag", "{}", "live"], "'live' is no KEY=VALUE"),
        (["tag", "{}", "../x=1"], "a tag cannot be called '../x'"),
        (["note", "{}", " "], "is no note"),
    ],
)
def test_a_tag_or_note_that_cannot_be_kept_is_refused(command, recorded, words, said):
    code, out, err = command("runs", *(word.format(recorded[0]) for word in words))

    assert (code, out) == (2, "")
    assert said in err
    assert exia.get_run(recorded[0]).tags == {"desk": "beta"}


def test_one_file_of_a_run_is_written_here(command, recorded, tmp_path):
    code, out, _ = command("runs", "artifact", recorded[1], "out/weights.bin", "--json")
    assert (code, json.loads(out)) == (0, {"written": "weights.bin", "bytes": 10})
    assert (tmp_path / "weights.bin").read_bytes() == b"bytes of 1"
    assert exia.read_artifact(recorded[2], "out/weights.bin") == b"bytes of 2"

    code, _, err = command("runs", "artifact", recorded[2], "out/weights.bin")
    assert (code, "is there already" in err) == (5, True)
    assert (tmp_path / "weights.bin").read_bytes() == b"bytes of 1"

    code, _, err = command("runs", "artifact", recorded[2], "out/weight.bin")
    assert (code, "did you mean 'out/weights.bin'" in err) == (3, True)


def test_a_filter_that_cannot_be_understood_is_told_with_its_column(command):
    code, out, err = command("runs", "list", "--where", "metrics.ic >> 3")

    assert (code, out) == (2, "")
    assert "error: filter, column 13: expected a number or a 'text', found '>'" in err
    assert "hint: metrics.ic > 0.03 and tags.desk = 'alpha'" in err


def test_the_beginning_of_an_id_is_enough(command, recorded):
    store = exia.open_runs()
    store.start(RunRecord(id="f00d-1", name="short", started=OLD, host="desk", params={"a": 1}))
    store.start(RunRecord(id="beef-1", name="short", started=OLD, host="desk", params={"a": 2}))
    store.close()

    assert json.loads(command("runs", "show", "f00d", "--json")[1])["id"] == "f00d-1"
    assert "params.a" in command("runs", "compare", "f00d", "beef")[1]
    code, _, err = command("runs", "show", recorded[0][:8])
    assert code == 2
    assert "runs or more begin with" in err


def test_a_run_whose_process_died_is_shown_as_lost(command):
    store = exia.open_runs()
    process = {"pid": 2**22 + 1, "started": 1, "boot": "before", "heartbeat": 10}
    host = os.uname().nodename
    store.start(RunRecord(id="dead-1", name="dead", started=OLD, host=host, facts={"process": process}))
    store.close()

    assert json.loads(command("runs", "show", "dead", "--json")[1])["status"] == "lost"
    assert [r["id"] for r in json.loads(command("runs", "list", "--status", "lost", "--json")[1])] == ["dead-1"]
    assert json.loads(command("runs", "list", "--status", "running", "--json")[1]) == []
    assert [r["id"] for r in json.loads(command("runs", "list", "--where", "status = 'lost'", "--json")[1])] == [
        "dead-1"
    ]


def test_show_prints_what_a_run_was_made_of(command, recorded):
    _, out, _ = command("runs", "show", recorded[0])

    for line in ("facts.process", "facts.environment", "artifacts", "heartbeat"):
        assert any(text.startswith(line) for text in out.splitlines())


def test_the_lineage_of_a_run_is_a_record_that_all_libraries_read(command):
    import jsonschema

    with exia.run("momentum", params={"window": 20}) as run:
        run.log_package("momentum", version="1.2.0", digest="sha256:ab")
        run.log_dataset("bars/daily", "v7", rows=5_000, first="20260102", last="20261120")
        run.log_dataset("calendar", "v1")
    with pytest.raises(KeyboardInterrupt), exia.run("stopped"):
        raise KeyboardInterrupt

    record = json.loads(command("runs", "show", run.id, "--lineage")[1])
    stopped = json.loads(command("runs", "list", "--limit", "1", "--json")[1])[0]["id"]
    for found in (record, json.loads(command("runs", "show", stopped, "--lineage")[1])):
        jsonschema.validate(found, json.loads(SCHEMA.read_text()))
    assert record["packages"] == [
        {"ref": "momentum@1.2.0", "name": "momentum", "version": "1.2.0", "digest": "sha256:ab"}
    ]
    assert record["datasets"][0] == {
        "name": "bars/daily", "version": "v7", "rows": 5_000, "first": "20260102", "last": "20261120",
    }  # fmt: skip
    assert (record["state"], record["parameters"]["values"]) == ("succeeded", {"window": 20})


def test_what_a_run_printed_is_printed_again_without_what_drives_a_terminal(command):
    with exia.run("talks", capture=True) as run:
        print("one\ttwo\x1b[2J")
    command("runs", "list")

    assert command("runs", "output", run.id)[1] == "one\ttwo\ufffd[2J\n"
    assert json.loads(command("runs", "output", run.id, "--json")[1]) == {"output": "one\ttwo\x1b[2J\n"}


def test_a_metric_is_plotted_as_a_line_and_as_a_picture(command, recorded, tmp_path):
    code, out, _ = command(
        "runs", "plot", *recorded[:2], "--metric", "ic", "--output", str(tmp_path / "ic.svg"), "--json"
    )

    rows = json.loads(out)
    assert code == 0
    assert [(row["points"], row["first"], row["last"]) for row in rows] == [(50, 0.0, 0.049), (50, 0.0, 0.098)]
    assert rows[0]["line"][0] == "▁"
    assert rows[0]["line"][-1] == "█"
    root = ElementTree.parse(tmp_path / "ic.svg").getroot()
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == 2


def test_a_picture_may_be_a_png(command, recorded, tmp_path):
    pytest.importorskip("matplotlib", reason="pip install 'jiyuan-exia[plot]' to run this")

    code, _, _ = command(
        "runs", "plot", "--where", "name = 'momentum'", "--metric", "ic", "--by", "time", "--output", "ic.png"
    )

    assert code == 0
    assert (tmp_path / "ic.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--metric", "ic"), 2, "no run is named"),
        (("--where", "name = 'momentum'", "--metric", "nope"), 2, "known: ic"),
        (("--where", "name = 'momentum'", "--metric", "ic", "--output", "ic.bmp"), 2, "end in .svg or .png"),
        (("--where", "name = 'momentum'", "--metric", "ic", "--output", "no/ic.svg"), 2, "cannot be written"),
        (("ghost", "--metric", "ic"), 3, "exia runs list"),
    ],
)
@pytest.mark.usefixtures("recorded")
def test_a_plot_that_cannot_be_drawn_is_told(command, tmp_path, words, code, said):
    found, _, err = command("runs", "plot", *words)

    assert found == code
    assert said in err
    assert not list(tmp_path.glob("ic.*"))


def test_runs_are_exported_with_their_metrics_and_files(command, tmp_path, recorded):
    code, out, _ = command(
        "runs", "export", recorded[0], "--where", "tags.desk = 'alpha'", "--output", "taken", "--json"
    )

    rows = json.loads(out)
    assert code == 0
    assert {row["id"] for row in rows} == set(recorded)
    folder = tmp_path / "taken" / recorded[0]
    assert json.loads((folder / "run.json").read_text())["params"] == {"window": 20}
    lines = (folder / "metrics.csv").read_text().splitlines()
    assert (lines[0], len(lines)) == ("name,step,value,time", 51)
    assert lines[50].startswith("ic,49,0.049,")
    assert (folder / "artifacts" / "out" / "weights.bin").read_bytes() == b"bytes of 0"
    code, _, err = command("runs", "export", recorded[0], "--output", "taken")
    assert code == 5
    assert "is there already" in err


def test_an_export_tells_of_files_that_are_gone(command, recorded, exia_home):
    for blob in (exia_home / "artifacts").iterdir():
        blob.unlink()

    code, out, _ = command("runs", "export", recorded[0], "--json")

    assert code == 1
    assert json.loads(out)[0]["missing"] == ["out/weights.bin"]


def test_a_hostile_name_does_not_leave_the_folder_of_an_export(command, tmp_path):
    store = exia.open_runs()
    digest = places.keep(b"evil")
    store.start(RunRecord(id="evil-1", name="x", started=OLD))
    store.log("evil-1", values={"artifacts": {"../../evil": {"digest": digest}}})
    store.close()

    code, _, _ = command("runs", "export", "evil-1", "--output", "taken")

    assert code == 2
    assert list(tmp_path.rglob("evil*")) == []


def test_runs_that_ended_are_removed_with_their_files_and_those_that_go_on_stay(command, recorded, exia_home):
    for blob in (exia_home / "artifacts").iterdir():
        os.utime(blob, (time.time() - 8 * 24 * 3600,) * 2)
    going = exia.run("momentum").start()
    journal.close_journals()
    words = ("runs", "gc", "--where", "name = 'momentum'")

    counted = json.loads(command(*words, "--dry-run", "--json")[1])
    assert counted == {"runs": 2, "files": 2, "bytes": 20}
    assert len(json.loads(command("runs", "list", "--json")[1])) == 4
    code, _, err = command(*words, "--no-input")
    assert code == 2
    assert "add --yes" in err
    assert json.loads(command(*words, "--yes", "--json")[1]) == counted

    assert {r["id"] for r in json.loads(command("runs", "list", "--json")[1])} == {recorded[2], going.id}
    assert len(list((exia_home / "artifacts").iterdir())) == 1


def test_runs_that_ended_long_ago_are_removed(command, recorded):
    store = exia.open_runs()
    store.start(RunRecord(id="old-1", name="old", started=OLD))
    store.finish("old-1", "finished", OLD)
    store.close()

    assert json.loads(command("runs", "gc", "--older-than", "2d", "--yes", "--json")[1])["runs"] == 1
    assert {r["id"] for r in json.loads(command("runs", "list", "--json")[1])} == set(recorded)


@pytest.mark.parametrize(
    ("words", "said"), [((), "nothing says which"), (("--older-than", "soon"), "'soon' is no span of time")]
)
def test_a_removal_that_says_too_little_is_refused(command, words, said):
    code, _, err = command("runs", "gc", *words)

    assert code == 2
    assert said in err


def test_what_waits_is_shipped(command, monkeypatch, tmp_path):
    monkeypatch.setenv("EXIA_RUNS", f"sqlite:///{tmp_path / 'no' / 'runs.db'}")
    (tmp_path / "no").write_text("in the way")
    with exia.run("waits") as run:
        run.log_metric("ic", 0.5)
    journal.close_journals()
    code, _, err = command("doctor")
    assert code == 6
    assert "exia runs ship" in err
    assert command("runs", "ship")[0] == 6

    (tmp_path / "no").unlink()
    code, out, _ = command("runs", "ship", "--json")

    assert code == 0
    (row,) = json.loads(out)
    assert row["records"] > 1
    assert (row["left"], row["error"]) == (0, None)
    assert json.loads(command("runs", "show", run.id, "--json")[1])["metrics"] == {"ic": 0.5}
    assert json.loads(command("runs", "ship", "--json")[1])[0]["records"] == 0


def test_a_line_of_blocks_is_as_wide_as_asked_for():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([3, 3, 3]) == "▄▄▄"
    assert sparkline([]) == ""
    assert len(sparkline(list(range(10_000)))) == 40


def test_the_extremes_of_a_long_line_stay():
    line = [(float(n), 0.0) for n in range(100_000)]
    line[54_321] = (54_321.0, 9.0)

    thinned = thin(line)

    assert len(thinned) <= 2_000
    assert (54_321.0, 9.0) in thinned
    assert [x for x, _ in thinned] == sorted(x for x, _ in thinned)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 47), (0.001, 0.0011), (1e9, 2e9), (-1, 1)])
def test_ticks_are_round_and_few(low, high):
    found = ticks(low, high)

    assert 2 <= len(found) <= 7
    assert all(low - 1e-12 <= t <= high + 1e-12 for t in found)


def test_a_chart_shows_its_words_as_words():
    drawn = draw({"<b>&": [(0, 1)], "empty": []}, "svg", title="a < b", x_label="step").decode()

    root = ElementTree.fromstring(drawn)
    assert "a < b" in [e.text for e in root.iter() if e.text]
    assert "<b>&" in [e.text for e in root.iter() if e.text]


@pytest.mark.parametrize(("lines", "format"), [({}, "svg"), ({"a": []}, "png"), ({"a": [(0, 1)]}, "gif")])
def test_a_chart_of_nothing_is_refused(lines, format):
    with pytest.raises(BadInput):
        draw(lines, format, title="", x_label="")


def test_a_png_without_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)

    with pytest.raises(MissingExtra) as caught:
        draw({"a": [(0, 1)]}, "png", title="", x_label="")
    assert "jiyuan-exia[plot]" in str(caught.value.hint)
