from __future__ import annotations

import pytest

import exia
from exia.errors import BadInput, RunNotFound
from exia.runs import RunRecord
from exia.runs.filter import parse_filter
from exia.runs.query import find_runs, get_run


@pytest.fixture
def run():
    return RunRecord(
        id="0199",
        name="momentum-live",
        started="2026-11-02T08:00:00.000000+00:00",
        ended="2026-11-02T08:01:30.000000+00:00",
        status="finished",
        params={"window": 20, "universe": ["A", "B"], "note": "20", "fast": True, "nothing": None},
        tags={"desk": "alpha", "a b": "blank", "path": "x/y", "it's": "quote"},
        metrics={"ic": 0.04, "val/ic": 0.05, "loss": -1.5},
        facts={"git": {"branch": "research"}, "python": "3.11"},
        host="desk-1",
    )


@pytest.mark.parametrize(
    "text",
    [
        "metrics.ic > 0.03",
        "metrics.ic > 0.03 and tags.desk = 'alpha'",
        "METRICS.ic >= 4e-2 AND Tags.desk LIKE 'al%'",
        "metric.ic<0.05",
        "metrics.val/ic = 0.05",
        "metrics.`val/ic` = 0.05",
        "tags.\"a b\" = 'blank'",
        "metrics.loss = -1.5",
        "metrics.loss < -.5",
        "params.window = 20",
        "params.window = '20'",
        "params.window != 30",
        "params.note = '20'",
        "params.fast = true",
        "param.window in (10, 20)",
        "tags.desk not in ('beta', 'gamma')",
        "tags.desk ilike 'ALPHA'",
        "tags.path like 'x_y'",
        "tags.desk not like 'b%'",
        "status = 'finished'",
        "attributes.status = 'finished'",
        "run_name = 'momentum-live'",
        "started >= '2026-11-02' and ended < '2026-11-03'",
        "duration = 90",
        "duration > 60 and duration < 120",
        "tags.missing is null",
        "params.nothing is null",
        "tags.desk is not null",
        "not tags.desk = 'beta'",
        "tags.desk = 'beta' or metrics.ic > 0.03",
        "(tags.desk = 'beta' or tags.desk = 'alpha') and not (metrics.ic < 0)",
        "facts.git.branch = 'research'",
        "facts.python = '3.11'",
        r"tags.`it's` = 'quote'",
        "id = '0199'",
    ],
)
def test_a_filter_that_fits(run, text):
    assert parse_filter(text)(run)


@pytest.mark.parametrize(
    "text",
    [
        "metrics.ic > 0.05",
        "metrics.missing > 0",
        "metrics.missing != 0",
        "tags.missing != 'x'",
        "tags.missing like '%'",
        "tags.missing not in ('x')",
        "metrics.ic > 0.03 and tags.desk = 'beta'",
        "params.universe > 3",
        "params.window > 'a'",
        "params.fast = 1",
        "tags.desk like 'alph'",
        "tags.desk like 'ALPHA'",
        "tags.path like 'x.y'",
        "tags.desk is null",
        "tags.desk = 'beta' or metrics.ic < 0",
        "status = 'failed' or not name = 'momentum-live'",
    ],
)
def test_a_filter_that_does_not_fit(run, text):
    assert not parse_filter(text)(run)


@pytest.mark.parametrize(
    ("text", "column", "said", "hint"),
    [
        ("", 1, "expected a key", "metrics.ic"),
        ("metrics.ic", 11, "expected one of = !=", "metrics.ic"),
        ("metrics.ic >", 13, "expected a number or a 'text'", ""),
        ("metrics. > 0.03", 10, "expected a name right behind 'metrics.'", ""),
        ("metrics > 3", 1, "metrics what?", "metrics.NAME"),
        ("metricks.ic > 3", 1, "a run has no 'metricks'", "did you mean 'metrics'"),
        ("tags.desk = alpha", 13, "alpha is no value", "'alpha'"),
        ('tags.desk = "alpha"', 13, "is no value", "'alpha'"),
        ("tags.desk = 'alpha", 13, "no closing '", "add '"),
        ("metrics.ic > 0.03 tags.desk = 'alpha'", 19, "expected 'and', 'or' or the end", ""),
        ("metrics.ic > 0.03 and", 22, "expected a key", ""),
        ("stauts = 'failed'", 1, "no attribute 'stauts'", "did you mean 'status'"),
        ("attributes.colour = 'red'", 1, "no attribute 'colour'", "known: "),
        ("(metrics.ic > 1", 16, "expected ')'", ""),
        ("tags.desk in 'a'", 14, "expected '('", ""),
        ("tags.desk like 3", 16, "expected a 'text' behind like", ""),
        ("metrics.ic > 0.03 & tags.desk = 'a'", 19, "cannot be understood", ""),
        ("metrics.ic > 3x", 14, "cannot be understood", ""),
        ("tags.desk is 3", 14, "expected 'null'", ""),
    ],
)
def test_what_cannot_be_understood_is_told_with_its_column(text, column, said, hint):
    with pytest.raises(BadInput) as caught:
        parse_filter(text)

    assert str(caught.value).startswith(f"filter, column {column}: ")
    assert said in str(caught.value)
    assert hint in str(caught.value.hint)


def test_runs_are_found_by_a_filter_newest_first():
    for n in range(5):
        with exia.run("good" if n % 2 else "other", tags={"desk": "alpha"}) as run:
            run.log_metric("ic", n / 100)

    assert [r.metrics["ic"] for r in find_runs("metrics.ic > 0.01")] == [0.04, 0.03, 0.02]
    assert [r.metrics["ic"] for r in find_runs("name = 'good'")] == [0.03, 0.01]
    assert len(find_runs("name = 'good' or metrics.ic = 0")) == 3
    assert [r.metrics["ic"] for r in find_runs("tags.desk = 'alpha'", limit=2)] == [0.04, 0.03]
    assert len(find_runs(status="finished", limit=None)) == 5
    assert find_runs(status="lost") == []


def test_the_best_run_comes_first_if_asked_for_and_one_without_the_value_last():
    for ic, desk in ((0.02, "b"), (0.04, "a"), (None, "a"), (0.03, "b")):
        with exia.run("ordered", tags={"desk": desk}) as run:
            if ic is not None:
                run.log_metric("ic", ic)

    def found(order, **rules):
        return [(r.tags["desk"], r.metrics.get("ic")) for r in find_runs(order_by=order, **rules)]

    assert found("metrics.ic desc") == [("a", 0.04), ("b", 0.03), ("b", 0.02), ("a", None)]
    assert found("metrics.ic", limit=2) == [("b", 0.02), ("b", 0.03)]
    assert found("tags.desk desc, metrics.ic asc")[:2] == [("b", 0.02), ("b", 0.03)]
    assert found("metrics.ic desc", where="tags.desk = 'b'") == [("b", 0.03), ("b", 0.02)]
    assert found("started")[0] == ("b", 0.02)


def test_values_of_several_kinds_are_sorted_all_the_same():
    for window in (20, "wide", None, [1], 10, "narrow"):
        with exia.run("ordered", params={"window": window}):
            pass

    assert [r.params["window"] for r in find_runs(order_by="params.window")] == [10, 20, [1], "narrow", "wide", None]


@pytest.mark.parametrize(
    ("text", "column", "hint"),
    [
        ("metrics.ic down", 12, "metrics.ic desc, started"), ("", 1, "metrics.ic desc, started"),
        ("metrics.ic,", 12, "desc"), ("stauts", 1, "did you mean 'status'"),
    ],
)  # fmt: skip
def test_an_order_that_cannot_be_understood_is_told_with_its_column(text, column, hint):
    with pytest.raises(BadInput, match=f"order, column {column}: ") as caught:
        find_runs(order_by=text)

    assert hint in str(caught.value.hint)


def test_many_runs_are_paged_through():
    store = exia.open_runs()
    for n in range(450):
        store.start(RunRecord(id=f"r{n:04}", name="many", started="t", tags={"odd": str(n % 2)}))

    assert len(find_runs("tags.odd = '1'", limit=None, store=store)) == 225
    assert [r.id for r in find_runs(limit=3, store=store)] == ["r0449", "r0448", "r0447"]
    store.close()


def test_the_beginning_of_an_id_is_enough_if_it_is_the_only_one():
    store = exia.open_runs()
    for run_id in ("abcd1", "abcd2x", "abcd2y", "xyzw", "xyzw9", "ab"):
        store.start(RunRecord(id=run_id, name="ids", started="t"))

    assert get_run("abcd1", store=store).id == "abcd1"
    assert get_run("abcd2x", store=store).id == "abcd2x"
    assert get_run("xyzw", store=store).id == "xyzw"
    assert get_run("ab", store=store).id == "ab"
    with pytest.raises(BadInput, match="2 runs or more begin with 'abcd2'") as caught:
        get_run("abcd2", store=store)
    assert "abcd2x" in str(caught.value.hint)
    for none in ("nope", "abc", "", "%"):
        with pytest.raises(RunNotFound):
            get_run(none, store=store)
    store.close()
