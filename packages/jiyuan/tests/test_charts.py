import xml.etree.ElementTree as ElementTree

from jiyuan.demo.charts import Line, area_chart, graph_chart, line_chart, weights_chart

DATES = [f"{year}{month:02}01" for year in (2001, 2002, 2003) for month in range(1, 13)]


def test_a_line_chart_is_well_formed_and_draws_each_line_from_the_first_to_the_last_date():
    growth = [1.0 + 0.1 * i for i in range(len(DATES))]

    root = ElementTree.fromstring(line_chart(DATES, [Line("a", "strategy", growth), Line("b", "market", growth)]))

    lines = [e for e in root.iter() if e.tag == "polyline"]
    assert [e.get("class") for e in lines] == ["line strategy", "line market"]
    points = lines[0].get("points", "").split()
    assert float(points[0].split(",")[0]) < float(points[-1].split(",")[0])
    assert float(points[0].split(",")[1]) > float(points[-1].split(",")[1])


def test_equal_growth_is_equally_steep_on_a_logarithmic_chart():
    root = ElementTree.fromstring(
        line_chart(["20010101", "20010102", "20010103"], [Line("a", "x", [1, 2, 4])], log=True)
    )

    line = next(e for e in root.iter() if e.tag == "polyline")
    first, second, third = (float(p.split(",")[1]) for p in line.get("points", "").split())
    assert abs((first - second) - (second - third)) < 0.2


def test_a_flat_line_can_be_drawn():
    ElementTree.fromstring(line_chart(DATES, [Line("a", "x", [1.0] * len(DATES))]))
    ElementTree.fromstring(area_chart(DATES, [Line("a", "x", [0.0] * len(DATES))]))


def test_names_of_shares_and_tasks_cannot_break_out_of_the_picture():
    hostile = '<script>alert("1")</script>'

    for chart in (
        weights_chart(["20010101"], [(hostile, [0.5])]),
        graph_chart([(hostile, "succeeded", 0.1)], []),
        line_chart(["20010101", "20010102"], [Line(hostile, "x", [1, 2])]),
    ):
        assert all(e.tag != "script" for e in ElementTree.fromstring(chart).iter())


def test_each_task_stands_right_of_what_it_needs():
    tasks = [("report", "succeeded", 1.5), ("ingest", "succeeded", 0.1), ("adjust", "succeeded", 0.2)]

    root = ElementTree.fromstring(graph_chart(tasks, [("ingest", "adjust"), ("adjust", "report")]))

    left = {g.findtext("text"): float(g.find("rect").get("x")) for g in root.iter("g")}
    assert left["ingest"] < left["adjust"] < left["report"]
    assert "1.50 s" in ElementTree.tostring(root, encoding="unicode")
