"""``exia monitor``: tail, query, top, page, Kibana's file and old days; and the page in a real browser."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import exia
import exia.monitor
from exia.errors import BadInput
from exia.monitor import open_monitor
from exia.monitor.kibana import saved_objects
from exia.monitor.mapping import COUNTS, PROPERTIES, RATES
from exia.monitor.page import status_page
from exia.monitor.port import field
from exia.monitor.summary import summarize
from exia.monitor.times import moment

EXIA = Path(sys.executable).parent / "exia"


def run(*words: str, code: int = 0) -> str:
    done = subprocess.run([EXIA, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture
def recorded():
    """Record a pool that was swapped and had an error."""
    with (
        exia.monitor.start(service="momentum", every=1000) as monitor,
        exia.pool(dict, max_size=2, name="scores<&>", sample=1) as pool,
    ):
        for _ in range(3):
            for _ in range(20):
                with pool.lease():
                    pass
            monitor.sample()
            threading.Event().wait(0.002)
        pool.swap(list)
        try:
            with pool.lease():
                raise ValueError("<script>alert(1)</script>")
        except ValueError as exc:
            monitor.failed("scored", exc, 12_345_678, n=7)
        monitor.sample()


def test_tail_prints_events_and_no_samples(recorded):
    lines = run("monitor", "tail").splitlines()

    assert "pool-created" in lines[0]
    assert any("scored  momentum  -  12.346 ms  failure  <script>" in line for line in lines)
    assert not any("metric" in line for line in lines)
    assert len(run("monitor", "tail", "-n", "2").splitlines()) == 2


def test_tail_prints_one_json_object_a_line(recorded):
    lines = run("monitor", "tail", "--json", "--where", "event.action=pool-swapped").splitlines()

    assert [json.loads(line)["exia"]["pool"]["new"] for line in lines] == ["list"]


def test_tail_goes_on_with_what_comes():
    with subprocess.Popen([EXIA, "monitor", "tail", "-f"], stdout=subprocess.PIPE, text=True) as following:
        with exia.monitor.start(every=1000) as monitor:
            monitor.event("first")
            monitor.deliver()
            assert "first" in following.stdout.readline()
            monitor.event("second")
            monitor.deliver()
            assert "second" in following.stdout.readline()
        following.terminate()


def test_query_finds_by_time_and_field(recorded):
    found = json.loads(run("monitor", "query", "--since", "10m", "--where", "event.action=scored", "--json"))

    assert [one["exia"]["data"]["n"] for one in found] == [7]
    assert json.loads(run("monitor", "query", "--since", "2020-01-01", "--until", "1d", "--json")) == []


@pytest.mark.parametrize(
    "words", [("--since", "soon"), ("--where", "x"), ("--since", "99999999999999d"), ("--limit", "0")]
)
def test_what_makes_no_query_is_refused_in_a_line(words):
    said = run("monitor", "query", *words, code=2)

    assert "Traceback" not in said


def test_top_sums_what_the_samples_say(recorded):
    (row,) = json.loads(run("monitor", "top", "--json"))

    assert (row["pool"], row["service"], row["version"]) == ("scores<&>", "momentum", "list")
    assert (row["calls"], row["errors"], row["max"]) == (61, 1, 2)
    assert row["calls/s"] > 0
    assert row["hold p99 ms"] is not None


def test_old_days_are_listed_and_deleted_only_on_demand(exia_home):
    from exia.testing.monitor import document

    store = open_monitor()
    store.write([document(0), document(1, datetime.now(UTC).isoformat(timespec="milliseconds")[:23] + "Z")])

    assert json.loads(run("monitor", "gc", "--json")) == [{"day": "2026-01-02", "deleted": False}]
    assert len(store.days()) == 2
    assert json.loads(run("monitor", "gc", "--delete", "--json")) == [{"day": "2026-01-02", "deleted": True}]
    assert len(store.days()) == 1


def test_times_are_read_as_people_type_them():
    assert abs(datetime.now(UTC) - timedelta(minutes=15) - moment("15m")) < timedelta(seconds=5)
    assert moment("2026-01-31T09:30") == datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    assert moment("2026-01-31T09:30+08:00") == datetime(2026, 1, 31, 1, 30, tzinfo=UTC)
    for odd in ("", "yesterday", "15 minutes", "-3m"):
        with pytest.raises(BadInput):
            moment(odd)


def test_a_store_that_is_away_is_said_with_exit_code_6(monkeypatch):
    pytest.importorskip("elasticsearch")
    monkeypatch.setenv("EXIA_MONITOR", "elasticsearch://127.0.0.1:1")

    assert "hint:" in run("monitor", "tail", code=6)


def kibana():
    path = Path(__file__).with_name("kibana_export.py")
    spec = importlib.util.spec_from_file_location("kibana_export", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def objects():
    return [json.loads(line) for line in saved_objects("exia").splitlines()]


@pytest.fixture
def panels(objects):
    return json.loads(objects[1]["attributes"]["panelsJSON"])


def test_the_file_for_kibana_has_the_structure_of_an_export_of_kibana_9(objects, panels):
    shapes = kibana()
    view, dashboard, details = objects

    assert shapes.misfit(view, shapes.DATA_VIEW) == []
    assert shapes.misfit(dashboard, shapes.DASHBOARD) == []
    assert shapes.misfit(details, shapes.DETAILS) == []
    attributes = dashboard["attributes"]
    assert shapes.misfit(json.loads(attributes["optionsJSON"]), shapes.OPTIONS) == []
    assert (
        shapes.misfit(json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]), shapes.SEARCH_SOURCE) == []
    )
    for panel in panels:
        assert shapes.misfit(panel, shapes.PANEL) == []
        state = panel["embeddableConfig"]["attributes"]["state"]
        assert state["visualization"].keys() <= shapes.VISUALIZATION
        data, *others = state["visualization"]["layers"]
        assert data.keys() <= shapes.DATA_LAYER
        assert all(layer.keys() == shapes.ANNOTATION_LAYER for layer in others)
        (layer,) = state["datasourceStates"]["formBased"]["layers"].values()
        assert layer.keys() == shapes.FORM_LAYER
        for column in layer["columns"].values():
            assert shapes.COLUMN[0] <= column.keys() <= shapes.COLUMN[0] | shapes.COLUMN[1]


def test_everything_that_the_dashboard_refers_to_is_in_the_file(objects, panels):
    view, dashboard, details = objects
    assert details["exportedCount"] == 2
    assert {one["id"] for one in dashboard["references"]} == {view["id"]}
    for panel in panels:
        attributes = panel["embeddableConfig"]["attributes"]
        state = attributes["state"]
        layers = {layer["layerId"]: layer for layer in state["visualization"]["layers"]}
        names = {one["name"] for one in attributes["references"]}
        wanted = {
            ("xy-visualization-layer-" if layer["layerType"] == "annotations" else "indexpattern-datasource-layer-")
            + id
            for id, layer in layers.items()
        }
        assert names == wanted
        assert {f"{panel['panelIndex']}:{name}" for name in names} <= {one["name"] for one in dashboard["references"]}
        for id, layer in state["datasourceStates"]["formBased"]["layers"].items():
            drawn = layers[id]
            assert {*drawn["accessors"], drawn["xAccessor"], drawn.get("splitAccessor")} - {None} == layer[
                "columns"
            ].keys()
            assert sorted(layer["columnOrder"]) == sorted(layer["columns"])
    spots = {(p["gridData"]["x"], p["gridData"]["y"]) for p in panels}
    assert len(spots) == len(panels)


def test_every_field_of_the_dashboard_has_a_type_in_the_index_template(panels):
    text = json.dumps(panels)
    for panel in panels:
        for layer in panel["embeddableConfig"]["attributes"]["state"]["datasourceStates"]["formBased"][
            "layers"
        ].values():
            for column in layer["columns"].values():
                if column["sourceField"] != "___records___":
                    assert typed(column["sourceField"]), column["sourceField"]
    assert "percentile" in text
    assert '"timeScale": "s"' in text


def test_changes_of_parameters_are_drawn_into_the_charts(panels):
    (changes, *_) = [
        layer["annotations"]
        for panel in panels
        for layer in panel["embeddableConfig"]["attributes"]["state"]["visualization"]["layers"]
        if layer["layerType"] == "annotations"
    ]

    assert any("params-changed" in one["filter"]["query"] for one in changes)
    assert all(typed(name) for one in changes for name in one["extraFields"])


def test_an_import_of_a_newer_file_replaces_the_old_one():
    assert saved_objects("exia") == saved_objects("exia")
    ids = [json.loads(line).get("id") for line in saved_objects("other").splitlines()]
    assert not set(ids[:2]) & {json.loads(line).get("id") for line in saved_objects("exia").splitlines()}


def test_the_file_is_written_for_the_prefix_that_is_configured(tmp_path, monkeypatch):
    monkeypatch.setenv("EXIA_MONITOR", "elasticsearch://127.0.0.1:1/desk")
    run("monitor", "kibana", "-o", str(tmp_path / "k.ndjson"))

    view = json.loads((tmp_path / "k.ndjson").read_text().splitlines()[0])

    assert view["attributes"]["title"] == "desk-*"
    assert (
        json.loads(run("monitor", "kibana", "--prefix", "x", "-o", "-").splitlines()[0])["attributes"]["title"] == "x-*"
    )


def test_every_figure_of_a_sample_has_a_type_in_the_index_template(recorded):
    (*_, sample) = open_monitor().query(where={"event.kind": "metric"})
    for name, value in sample["exia"]["pool"].items():
        kind = PROPERTIES["exia"]["properties"]["pool"]["properties"][name]
        assert ("properties" in kind) == isinstance(value, dict)
        assert (name in COUNTS) <= (type(value) is int)
        assert name in (*COUNTS, *RATES, "name", "version", "wait", "hold")


def typed(name):
    return field(PROPERTIES, ".properties.".join(name.split("."))) is not None


def test_the_page_says_so_where_nothing_was_recorded(tmp_path):
    run("monitor", "page", "-o", str(tmp_path / "s.html"))

    assert "No pool was sampled" in (tmp_path / "s.html").read_text()


def test_summaries_of_samples_without_an_interval_have_no_rate(recorded):
    first = open_monitor().query(where={"event.kind": "metric"})[0]

    (one,) = summarize([first])

    assert one.calls_per_second is None
    assert "scores&lt;&amp;&gt;" in status_page([first], since=moment("1h"))


@pytest.fixture(params=["light", "dark"])
def page(request, recorded, tmp_path, open_url):
    run("monitor", "page", "-o", str(tmp_path / "status.html"))
    page = open_url((tmp_path / "status.html").as_uri(), color_scheme=request.param)
    page.scheme = request.param
    return page


@pytest.mark.chromium
def test_the_page_in_a_browser_is_whole_quiet_and_of_the_readers_colours(page):
    page.wait_for_load_state("networkidle")

    assert page.said == []
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
    assert page.locator("h2").first.inner_text().startswith("scores<&>")
    assert page.locator("svg").count() == 4
    assert page.locator("polyline").count() >= 4
    assert page.locator("line.change").count() == 4
    assert "dict → list" in page.locator("line.change title").first.text_content()
    assert page.get_by_text("<script>alert(1)</script>").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    red, green, blue = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (red + green + blue < 200) == (page.scheme == "dark")
