"""Functions around units, what one engine alone is told, plugins, and templates of a flow's own."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from importlib.metadata import EntryPoint
from textwrap import dedent

import pytest
from tests.faults.kyrios.conftest import working

import kyrios

HOOKS = """
from pathlib import Path

def note(call):
    with open(Path(__file__).with_name("calls"), "a") as file:
        found = {name: table.num_rows for name, table in {**call.inputs, **call.outputs}.items()}
        print(call.moment, call.unit, call.attempt, dict(call.params), found, call.error[:27], file=file)

def refuse(call):
    raise ValueError(f"{call.unit} is not wanted")

def nothing():
    pass
"""
ALL = "{before: ['hooks:note'], after: ['hooks:note'], on_error: ['hooks:note'], on_retry: ['hooks:note']}"
FAILS = """
def numbers(*, first, factor):
    raise ValueError("no numbers")
"""


def extend(flow, file: str, extension: str) -> None:
    flow.write("hooks.py", HOOKS)
    with (flow.folder / file).open("a") as text:
        text.write(f"extension: {extension}\n")


def calls(flow) -> list[str]:
    path = flow.folder / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_a_units_hooks_are_called_before_and_after_it(sums):
    extend(sums, "units/numbers.yaml", ALL)

    kyrios.load_flow(sums).run()

    assert calls(sums) == [
        "before numbers 1 {'first': 1, 'factor': 1.0} {} ",
        "after numbers 1 {'first': 1, 'factor': 1.0} {'numbers': 2} ",
    ]


def test_a_try_that_is_repeated_and_the_last_one_are_told_apart(sums):
    sums.unit("numbers", (sums.folder / "units/numbers.yaml").read_text().partition("interface:")[2], ", retries: 1")
    sums.replace("units/numbers.yaml", "retries: 1", "retries: 1, retry_delay: 1ms")
    extend(sums, "units/numbers.yaml", ALL.replace("before: ['hooks:note'], after: ['hooks:note'], ", ""))
    sums.code(sums.code_text().replace("def numbers(", "def once(") + FAILS)

    with pytest.raises(kyrios.UnitFailed, match="no numbers"):
        kyrios.load_flow(sums).run()

    given = "{'first': 1, 'factor': 1.0} {} ValueError: no numbers (/"
    assert [line.partition(" (")[0] for line in calls(sums)] == [
        f"{moment} numbers {number} {given}".partition(" (")[0] for moment, number in (("on_retry", 1), ("on_error", 2))
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_unit_without_time_left_is_told_of(sums, workers):
    sums.replace("units/numbers.yaml", "run: {", "run: {timeout: 50ms, ")
    sums.code(sums.code_text().replace('print("first is", first)', "import threading; threading.Event().wait(0.3)"))
    extend(sums, "units/numbers.yaml", "{on_error: ['hooks:note']}")

    with pytest.raises(kyrios.UnitFailed, match="no result within"):
        kyrios.load_flow(sums).run(workers=workers)

    assert calls(sums) == ["on_error numbers 1 {} {} no result within 0.05 s"]


def test_a_flows_hooks_stand_around_those_of_its_units(sums):
    extend(sums, "units/numbers.yaml", "{before: ['inner:note'], after: ['inner:note']}")
    sums.write("inner.py", HOOKS.replace("print(call.moment", "print('inner', call.moment"))
    extend(sums, "flow.yaml", "{before: ['hooks:note'], after: ['hooks:note']}")

    kyrios.load_flow(sums).run(workers=1)

    said = [" ".join(line.split()[:3]) for line in calls(sums)]
    assert said[:4] == ["before numbers 1", "inner before numbers", "inner after numbers", "after numbers 1"]
    assert sum(line.startswith("after") for line in said) == 4


def test_hooks_of_a_flow_inside_a_flow_lie_beside_it(sums, flow_folder):
    inner = flow_folder("sums/units/inner")
    inner.replace("flow.yaml", "flow: sums", "flow: inner")
    extend(inner, "flow.yaml", "{after: ['hooks:note']}")
    sums.flow("""
        kyrios: 1
        flow: sums
        info: {version: "1.0"}
        units:
          part: {use: inner@1}
    """)

    kyrios.load_flow(sums).run()

    assert len(calls(inner)) == 4
    assert calls(sums) == []


def test_what_a_hook_before_or_after_raises_is_the_units_failure(sums):
    extend(sums, "units/both.yaml", "{after: ['hooks:refuse'], on_error: ['hooks:refuse', 'hooks:note']}")

    with pytest.raises(kyrios.UnitFailed) as caught:
        kyrios.load_flow(sums).run()

    assert "both is not wanted" in str(caught.value)
    assert "hooks.py:9" in str(caught.value)
    assert len(calls(sums)) == 1  # one that raises does not keep the others from being told
    run = kyrios.runs()[0]
    assert not run.data.has(f"{run.run_id}/outputs/both.sums.arrow")


def test_a_scheduler_that_calls_units_one_by_one_calls_their_hooks(sums):
    extend(sums, "units/numbers.yaml", ALL)

    kyrios.load_flow(sums).run_unit("numbers", run_id="r")

    assert [line.split()[0] for line in calls(sums)] == ["before", "after"]


def test_a_loop_calls_hooks_at_every_tick(sums):
    sums.replace("flow.yaml", "fuse: none", "schedule: {every: 1ms}")
    extend(sums, "units/numbers.yaml", ALL)

    kyrios.load_flow(sums).loop(ticks=3)

    assert [line.split()[0] for line in calls(sums)] == ["before", "after"] * 3


@pytest.mark.dask
def test_hooks_are_called_on_workers_of_another_engine(sums):
    pytest.importorskip("distributed", reason="no module distributed; run: scripts/install servers")
    extend(sums, "flow.yaml", "{after: ['hooks:note'], engines: {dask: {priority: 3}}}")

    kyrios.load_flow(sums).run(engine="dask:?workers=1")

    assert len(calls(sums)) == 4


@pytest.mark.celery
@pytest.mark.redis
def test_a_unit_goes_to_the_queue_that_it_names(sums, celery_workers):
    pytest.importorskip("celery", reason="no module celery; run: scripts/install servers")
    queue = celery_workers.partition("queue=")[2].partition("&")[0]
    other = celery_workers.replace(queue, "nobody")  # no worker takes from this one
    extend(sums, "flow.yaml", f"{{engines: {{celery: {{queue: {queue.replace('-', '_')}}}}}}}")
    url = celery_workers.replace(queue, queue.replace("-", "_"))
    words = kyrios.load_flow(sums)

    assert {task.extension["engines"]["celery"]["queue"] for task in words.graph.tasks} == {queue.replace("-", "_")}
    with working(url, sums.folder.parent):
        assert words.run(engine=other).state == "succeeded"


@pytest.mark.ray
def test_a_unit_that_needs_more_than_the_node_has_is_refused(sums):
    pytest.importorskip("kyrios.engine.ray", reason="no module ray; run: scripts/install servers")
    extend(sums, "units/both.yaml", "{engines: {ray: {cpus: 0.5}}}")
    assert kyrios.load_flow(sums).run(engine="ray:?workers=2").state == "succeeded"
    sums.replace("units/both.yaml", "cpus: 0.5", "gpus: 512")

    with pytest.raises(kyrios.BadInput, match="the unit both needs 512 GPU, and this node has 0"):
        kyrios.load_flow(sums).run(engine="ray:?workers=2")


@pytest.mark.dask
def test_a_resource_that_no_worker_here_offers_is_refused(sums):
    pytest.importorskip("distributed", reason="no module distributed; run: scripts/install servers")
    extend(sums, "units/both.yaml", "{engines: {dask: {resources: {GPU: 1}}}}")

    with pytest.raises(kyrios.BadInput, match="the unit both needs GPU"):
        kyrios.load_flow(sums).run(engine="dask:?workers=1")


PLUGIN = """
seen = []

class Counting:
    def after(self, call):
        seen.append(call)
"""


@pytest.fixture
def seen(monkeypatch, tmp_path):
    """Install a plugin, and give the list of the calls that it was told of."""
    (tmp_path / "counting.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    point, real = EntryPoint("counting", "counting:Counting", "kyrios.plugins"), importlib.metadata.entry_points

    def found(**given):
        return [point] if given.get("group") == point.group else real(**given)

    monkeypatch.setattr(importlib.metadata, "entry_points", found)
    yield importlib.import_module("counting").seen
    del sys.modules["counting"]


def test_a_plugin_that_is_installed_is_called_by_its_name(sums, seen):
    extend(sums, "flow.yaml", "{plugins: [counting]}")

    kyrios.load_flow(sums).run()

    assert sorted(call.unit for call in seen) == ["again", "both", "double", "numbers"]
    assert seen[0].outputs["numbers"].num_rows == 2


@pytest.mark.parametrize(
    ("file", "extension", "said"),
    [
        ("flow.yaml", "{plugins: [countin]}", "no plugin 'countin' is installed"),
        ("units/both.yaml", "{before: ['hooks:nte']}", "has no function 'nte'"),
        ("units/both.yaml", "{before: ['hooks:nothing']}", "takes nothing, but a hook is given the call"),
        ("units/both.yaml", "{befor: ['hooks:note']}", "unknown key 'befor'"),
        ("units/both.yaml", "{engines: {celery: {qeue: gpu}}}", "unknown key 'qeue'"),
        ("units/both.yaml", "{templates: {airflow: x}}", "unknown key 'templates'"),
        ("flow.yaml", "{templates: {airflw: x}}", "Kyrios has no template for 'airflw'"),
        ("flow.yaml", "{templates: {airflow: mine.j2}}", "there is no file"),
    ],
)
def test_a_mistake_in_an_extension_is_named_with_its_line(sums, file, extension, said):
    extend(sums, file, extension)

    with pytest.raises(kyrios.FlowInvalid) as caught:
        kyrios.load_flow(sums)

    problem = next(p for p in caught.value.problems if said in p.message)
    assert problem.file.endswith(file)
    assert "extension:" in (sums.folder / file).read_text().splitlines()[problem.line - 1]


def test_a_flow_without_an_extension_keeps_its_digest(sums):
    assert "extension" not in kyrios.load_flow(sums).graph.canonical


def test_python_and_yaml_give_one_extension(sums):
    extend(sums, "units/numbers.yaml", "{before: ['hooks:note'], engines: {ray: {cpus: 1.0}}}")
    sums.write(
        "flow.py",
        dedent("""
        import kyrios
        import hooks
        from units import numbers as made

        @kyrios.unit(
            outputs={"numbers": {"n": "int64"}}, extension={"before": [hooks.note], "engines": {"ray": {"cpus": 1.0}}}
        )
        def numbers(*, first: int = 1, factor: float = 1.0):
            return made(first=first, factor=factor)

        with kyrios.flow("sums", extension={"after": ["hooks:note"]}) as flow:
            numbers()
    """),
    )
    told = kyrios.load_flow(sums).graph.task("numbers").extension
    (sums.folder / "flow.yaml").unlink()

    built = kyrios.load_flow(sums).graph.task("numbers").extension

    assert built == {**told, "after": [["", "hooks:note"]]}


OWN = """
{% extends "airflow" %}
{% block imports %}
{{ super() }}
import logging
{% endblock %}
{% block footer %}
logging.getLogger(__name__).info({{ graph.summary | literal }})
{% endblock %}
"""


def test_a_flow_changes_named_blocks_of_its_template(sums):
    sums.write("mine.j2", OWN)
    plain = kyrios.load_flow(sums).render("airflow", "plain")[0].text
    extend(sums, "flow.yaml", "{templates: {airflow: mine.j2}}")

    text = kyrios.load_flow(sums).render("airflow", "dags")[0].text

    assert "import logging\n" in text
    assert text.rstrip().endswith('logging.getLogger(__name__).info("Numbers, doubled and added.")')
    assert 'task_id="numbers"' in text
    assert "logging" not in plain
    sums.replace("mine.j2", "info(", "warning(")
    assert [finding.kind for finding in kyrios.render.check(sums.folder.parents[1] / "dags")] == ["stale"]


@pytest.mark.parametrize("engine", ["local", "celery", "ray", "dask"])
def test_every_engine_has_a_footer_to_change(sums, engine):
    if engine != "local":
        pytest.importorskip({"dask": "distributed"}.get(engine, engine), reason="run: scripts/install servers")
    sums.write("mine.j2", f'{{% extends "{engine}" %}}\n{{% block footer %}}\n# of our own\n{{% endblock %}}\n')
    extend(sums, "flow.yaml", f"{{templates: {{{engine}: mine.j2}}}}")

    assert "# of our own" in kyrios.load_flow(sums).render(engine, "out")[0].text


BLOCK = '{% extends "airflow" %}\n{% block footer %}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BLOCK, "mine.j2:2: Unexpected end of template"),
        (
            BLOCK + "\n{{ nobody }}{% endblock %}",
            r"mine.j2:3, airflow.py.j2:\d+: UndefinedError: 'nobody' is undefined",
        ),
        ('{% extends "arflow" %}', "mine.j2: there is no template 'arflow'"),
        (BLOCK + "\n1 +\n{% endblock %}", r"mine.j2, .* gives no Python: invalid syntax in line \d+ .*: 1 \+$"),
        (BLOCK + "{{ graph.__class__.__mro__ }}{% endblock %}", "mine.j2:2, .* SecurityError"),
    ],
)
def test_a_mistake_in_a_template_is_named_with_its_line_and_nothing_is_written(sums, text, said, tmp_path):
    sums.write("mine.j2", text)
    extend(sums, "flow.yaml", "{templates: {airflow: mine.j2}}")

    with pytest.raises(kyrios.BadInput) as caught:
        kyrios.load_flow(sums).render("airflow", tmp_path / "dags")

    assert re.search(said, caught.value.message)
    assert not (tmp_path / "dags").exists()


def test_a_unit_is_built_with_its_hooks(sums, flow_folder):
    extend(sums, "units/numbers.yaml", "{after: ['hooks:note']}")
    from kyrios.building import build

    build(sums.folder)
    other = flow_folder("other")
    (other.folder / "units/numbers.yaml").unlink()

    kyrios.load_flow(other).run()

    assert len(list(sums.folder.parents[1].glob("home/units/numbers/*/calls"))) == 1
