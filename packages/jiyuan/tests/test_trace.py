"""From a run to what gave it, and from data and packages to what they gave."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import jsonschema
import pytest

import exia
import exia.params
import jiyuan as jy
from jiyuan.errors import BadInput, NotFound
from jiyuan.lineage.index import Index

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/reference/lineage.schema.json").read_text(encoding="utf-8"))


def test_a_trace_names_everything_that_gave_the_results(centre):
    run = centre.run(shift=1.5)

    text = jy.trace(run.run_id).tree()

    for fact in (
        f"flow scaled 1.0: run {run.run_id} succeeded", "shift = 1.5", "scaling@1.0.0 sha256:",
        "asked for as scaling@~=1.0", "daily@v1 2 rows 20240102 to 20240103", "takes bars.bars as bars",
        "gives scaled.scaled: 2 rows, sha256:",
    ):  # fmt: skip
        assert fact in text


@pytest.mark.parametrize("part", [slice(None), slice(-6, None), slice(-12, None), slice(0, 20)])
def test_a_part_of_an_id_that_fits_one_run_is_enough(centre, part):
    run = centre.run()

    assert jy.trace(run.run_id[part]).run_id == run.run_id


def test_a_part_that_fits_several_runs_is_refused(centre):
    first, second = centre.run(), centre.run()
    common = next(n for n in range(36) if first.run_id[n] != second.run_id[n])

    with pytest.raises(BadInput, match="2 runs or more begin or end with"):
        jy.trace(first.run_id[:common])


@pytest.mark.parametrize("asked", ["nothing", "", "%", "01a209b5-88b4-77ea-be7b-000000000000"])
def test_a_run_that_never_was_is_not_found(centre, asked):
    with pytest.raises(NotFound, match="there is no run"):
        jy.trace(asked)


def test_a_version_of_a_data_set_leads_to_every_run_that_used_it(centre):
    before = [centre.run().run_id for _ in range(2)]
    centre.collect(10.0, 12.0)
    after = centre.run().run_id

    assert [use.run_id for use in jy.users_of("daily@v1")] == before[::-1]
    assert [use.run_id for use in jy.users_of("daily@2")] == [after]
    assert len(jy.users_of("daily")) == 3
    assert jy.trace(after).shared["daily@v2"] == 1


def test_a_package_leads_to_every_run_that_used_it_by_version_and_by_digest(centre):
    run = centre.run()
    digest = jy.trace(run).lineage["packages"][0]["digest"]

    for asked in ("scaling@1.0.0", f"scaling@{digest}", f"scaling@{digest[:20]}"):
        assert [use.run_id for use in jy.users_of(asked)] == [run.run_id]
    assert jy.users_of("scaling@2.0.0") == []


def test_a_name_that_nothing_used_gets_the_nearest_one(centre):
    centre.run()

    with pytest.raises(NotFound, match="no run used 'dayly'") as raised:
        jy.users_of("dayly@v1")
    assert raised.value.hint == "did you mean 'daily'?"
    with pytest.raises(BadInput):
        jy.users_of("daily@")


def test_a_run_of_an_algorithm_is_traced_too_and_its_record_follows_the_schema(centre):
    with exia.run("signals", params={"window": 20}) as run:
        run.log_dataset("daily", "1", rows=2, first="20240102", last="20240103")
        run.log_package("scaling", version="1.0.0", digest="sha256:" + "a" * 64)

    found = jy.trace(run)

    jsonschema.validate(found.lineage, SCHEMA)
    assert found.lineage["state"] == "succeeded"
    assert found.lineage["datasets"][0] == {
        "name": "daily", "version": "1", "rows": 2, "first": "20240102", "last": "20240103",
    }  # fmt: skip
    assert [(use.kind, use.name) for use in jy.users_of("daily@v1")] == [("run", "signals")]


def test_a_run_that_goes_on_is_traced_as_it_is_now_and_later_as_it_ended(centre):
    with exia.run("signals") as run:
        run.flush()
        assert jy.trace(run.id[-8:]).lineage["state"] == "running"
        run.log_dataset("weekly", "7")

    assert [use.state for use in jy.users_of("weekly@v7")] == ["succeeded"]


def test_a_run_that_took_outputs_from_another_is_linked_with_it_both_ways(centre):
    import kyrios

    first = centre.run()
    second = kyrios.load_flow(centre.flow).run(start="scaled")

    assert jy.trace(second).earlier == (first.run_id,)
    assert jy.trace(first).later == (second.run_id,)


def test_a_record_that_a_run_has_written_follows_the_schema(centre):
    jsonschema.validate(jy.trace(centre.run()).lineage, SCHEMA)


def test_what_is_kept_for_searching_can_be_deleted_and_is_made_again(centre):
    run = centre.run()
    before = [asdict(use) for use in jy.users_of("daily")]
    with Index() as index:
        path = index.path
    for file in path.parent.glob("lineage.db*"):
        file.unlink()

    assert [asdict(use) for use in jy.users_of("daily")] == before
    assert jy.trace(run.run_id[-6:]).run_id == run.run_id


def test_the_mermaid_graph_leads_from_data_and_packages_to_the_last_unit(centre):
    text = jy.trace(centre.run()).mermaid()

    assert text.splitlines()[0] == "flowchart LR"
    for line in ('dataset0[("daily@v1")]', "dataset0 --> run", "package0 --> run", "run --> unit0", "unit0 --> unit1"):
        assert line in text


def test_the_page_holds_everything_that_it_shows_and_its_links_lead_somewhere(centre):
    page = jy.trace(centre.run(algorithm="scaling")).html()

    for missing in ("http://", "https://", "<script", "src="):
        assert missing not in page
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'id="([^"]+)"', page))
    assert jy.trace(centre.run())._repr_html_().startswith("<h2>Run</h2>")


def test_a_name_with_markup_stays_text(centre):
    with exia.run("signals", params={"note": '<b>"bold"</b>'}) as run:
        pass

    assert "<b>" not in jy.trace(run).html()


def test_the_command_prints_each_form(centre, command, tmp_path):
    run = centre.run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_COLOR", "1")
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "jiyuan.toml").write_text(toml(centre))

    def trace(*words):
        done = command("trace", *words, home=tmp_path / "place")
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert trace(run.run_id[-6:]) == jy.trace(run).tree() + "\n"
    assert json.loads(trace(run.run_id, "--json"))["lineage"]["run_id"] == run.run_id
    assert trace(run.run_id, "--mermaid") == jy.trace(run).mermaid() + "\n"
    assert trace(run.run_id, "--html", "-o", "trace.html") == "trace.html\n"
    assert (tmp_path / "place" / "trace.html").read_text() == jy.trace(run).html()
    assert [row["run_id"] for row in json.loads(trace("--uses", "daily@v1", "--json"))] == [run.run_id]
    refused = command("trace", home=tmp_path / "place")
    assert (refused.returncode, refused.stderr.splitlines()[1][:5]) == (2, "hint:")


def test_a_trace_of_a_pool_session_names_the_versions_of_its_live_parameters(centre):
    exia.params.define("signal", {"type": "object", "properties": {"window": {"type": "integer", "default": 20}}})
    with exia.pool(dict, record=True) as pool, exia.params.follow("signal", pool) as live:
        live.wait(exia.params.set("signal", {"window": 30}).version, timeout=20)
    (session,) = exia.find_runs()

    trace = jy.trace(session.id)

    assert trace.to_dict()["lineage"]["parameters"]["sets"] == {"signal": [1, 2]}
    assert "live parameters signal v1, v2" in trace.tree()
    assert 'parameters0[/"signal v1, v2"/]' in trace.mermaid()
    assert "parameters0 --> run" in trace.mermaid()
    assert "<td>signal</td><td>v1, v2</td>" in trace.html()


def toml(centre):
    """The settings of a centre as its project file."""
    lines = []
    for name, value in centre.settings().items():
        library, _, key = name.lower().partition("_")
        lines.append(f"[{library}]\n{key} = '{value}'\n" if key == "home" else f"{key} = '{value}'\n")
    order = sorted(
        range(len(lines)), key=lambda n: (list(centre.settings())[n].split("_")[0], not lines[n].startswith("["))
    )
    return "".join(lines[n] for n in order)
