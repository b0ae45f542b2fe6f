"""Rendered files: stable, plain, safe from hostile values, and never written over a person's edits."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import kyrios
from kyrios import render
from kyrios.engine import Target, open_engine
from kyrios.graph import Graph, Task, ordered

HOSTILE = [
    "'",
    '"',
    "\\",
    "'''",
    '"""',
    "a'b\"c",
    "\n",
    "\r\n",
    "\t",
    "\x00",
    "\x1b[31m",
    "\u2028",
    "\u2029",
    "\x85",
    "\ufeff",
    "{{ 1 }}",
    "{% raw %}",
    "{# x #}",
    "}}",
    "%}",
    "${params.x}",
    "${HOME}",
    "$(id)",
    "`id`",
    "; rm -rf /",
    "&& id",
    "| id",
    "#",
    "# noqa",
    "'); import os; os.system('id'); ('",
    '"); import os; ("',
    "\\'",
    '\\"',
    "\\N{BULLET}",
    "%s",
    "{0}",
    "{x!r}",
    "f'{1}'",
    "绩元",
    "\U0001f600",
    "\u202e",
    "__import__('os')",
    "x.sh",
    "{{ 7*7 }}.sh",
    "a.bash",
    " ",
    "",
    "-rf",
    "--help",
    "\ud800",
    "None",
    "True",
    "1e999",
    "0x1",
    "\\x7b",
    "<script>",
    "]]>",
    "../..",
]


def graph(text: str = "plain") -> Graph:
    tasks = [
        Task("first", "first", "1.0", "m:f", summary=text, timeout=60.0),
        Task("second", "second", "1.0", "m:f", summary=text, after=("first",), retries=2),
        Task("import_", "second", "1.0", "m:f", after=("first",)),
    ]
    return Graph(
        "flow", "1.0", ordered(tasks), params={"p": text, "q": [text, {"k": text}], "n": 1.5, "none": None},
        summary=text, owner=text, tags=(text,), cron="0 18 * * 1-5", tz="Asia/Shanghai",
    )  # fmt: skip


def shape(code: str) -> list[str]:
    return [type(node).__name__ for node in ast.walk(ast.parse(code))]


@pytest.mark.parametrize("engine", ["airflow", "local"])
def test_hostile_values_enter_code_as_literals_only(engine):
    target = Target("/flows/flow", "kyrios", {"KYRIOS_DATA": "file:///srv"})
    (plain,) = open_engine(engine).render(graph(), target).values()
    assert len(HOSTILE) >= 50
    for value in HOSTILE:
        hostile = Target(f"/flows/{value}", "kyrios", {"KYRIOS_DATA": f"file:///{value}"})
        (text,) = open_engine(engine).render(graph(value), hostile).values()

        # An empty owner has a default in its place; everything else keeps the very same nodes.
        assert shape(text) == shape(plain), value
        found = {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
        assert value in found


@pytest.mark.parametrize("value", [v for v in HOSTILE if "\ud800" not in v])
def test_airflows_own_templates_leave_our_values_as_they_are(value):
    import jinja2

    from kyrios.engine.airflow import plain

    field = plain(value)
    assert not field.endswith((".sh", ".bash"))
    assert jinja2.Environment(keep_trailing_newline=True, newline_sequence="\n").from_string(field).render() in (
        value,
        value.replace("\r\n", "\n"),
    )


def test_a_flow_is_rendered_to_the_same_bytes_by_every_process(sums, tmp_path):
    texts = set()
    for seed, zone, locale in (
        ("0", "UTC", "C"),
        ("1", "Asia/Shanghai", "C.UTF-8"),
        ("77", "America/New_York", "POSIX"),
    ):
        out = tmp_path / seed
        code = f"import kyrios; kyrios.load_flow({str(sums.folder)!r}).render('airflow', {str(out)!r})"
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)
        texts.add((out / "sums.py").read_bytes())
    assert len(texts) == 1


def test_a_rendered_dag_is_clean_for_ruffs_airflow_rules_and_imports_no_kyrios(sums, tmp_path):
    (file,) = kyrios.load_flow(sums).render("airflow", tmp_path / "dags")
    path = tmp_path / "dags" / file.name
    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run(
        [ruff, "check", "--isolated", "--preview", "--select", "AIR,F,E9", path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    names = [a.name for n in ast.walk(ast.parse(file.text)) if isinstance(n, ast.Import) for a in n.names]
    names += [str(n.module) for n in ast.walk(ast.parse(file.text)) if isinstance(n, ast.ImportFrom)]
    assert not [name for name in names if name.startswith("kyrios")]
    for word in ("ds }}", "logical_date", "data_interval", "schedule_interval"):
        assert word not in file.text
    assert "catchup=False" in file.text


def test_a_dag_takes_retries_timeouts_schedule_and_edges_from_the_flow():
    (text,) = open_engine("airflow").render(graph(), Target("/flows/flow")).values()

    for line in (
        'schedule="0 18 * * 1-5"',
        'tz="Asia/Shanghai"',
        "retries=2",
        "execution_timeout=timedelta(seconds=60)",
        "first >> second",
        "first >> import_",
        "kyrios run-unit --engine airflow --flow /flows/flow --unit first --digest sha256:",
    ):
        assert line in text


def test_a_dag_lets_airflow_wait_longer_after_each_failure_where_the_flow_does(sums, tmp_path):
    sums.replace("flow.yaml", "double: {", "double: {retries: 3, retry_delay: 5s, backoff: 3, longest_delay: 10m, ")

    (file,) = kyrios.load_flow(sums).render("airflow", tmp_path / "dags")

    double = file.text.partition("    double = ")[2].partition("    )")[0]
    for line in (
        "retries=3,",
        "retry_delay=timedelta(seconds=5),",
        "retry_exponential_backoff=backoff(3.0),",
        "max_retry_delay=timedelta(seconds=600),",
    ):
        assert line in double
    assert file.text.count("retry_exponential_backoff") == 1


def test_nobody_stands_by_for_a_command_that_a_shell_or_another_machine_has_to_do_with(sums, tmp_path):
    flow = kyrios.load_flow(sums)

    (alone,) = flow.render("airflow", tmp_path / "alone", command="/opt/units/bin/kyrios")
    (shell,) = flow.render("airflow", tmp_path / "shell", command="ssh units@host kyrios")

    assert "= Unit(" in alone.text
    assert "UnitHook" not in shell.text
    assert "= BashOperator(" in shell.text


def test_a_unit_may_be_called_like_a_module_that_the_dag_file_uses(sums, tmp_path):
    sums.replace("flow.yaml", "  both:", "  socket:")

    (file,) = kyrios.load_flow(sums).render("airflow", tmp_path / "dags")

    assert "    socket_ = Unit(" in file.text


def test_fused_units_are_one_task_of_a_dag(sums, tmp_path):
    sums.replace("flow.yaml", "fuse: none", "fuse: {middle: [double, again]}")

    (file,) = kyrios.load_flow(sums).render("airflow", tmp_path / "dags")

    for line in (
        'task_id="middle"',
        "--unit middle --digest",
        'doc="2 units: again, double"',
        "numbers >> middle",
        "middle >> both",
    ):
        assert line in file.text
    assert "--unit double" not in file.text
    assert file.text.count('trigger_rule="all_done"') == 2


def test_the_command_that_tasks_call_and_where_they_find_the_flow_can_be_set(sums, tmp_path, monkeypatch):
    monkeypatch.setenv("KYRIOS_COMMAND", "/opt/units/bin/kyrios")
    monkeypatch.setenv("KYRIOS_DATA", "file:data")
    flow = kyrios.load_flow(sums)

    (file,) = flow.render("airflow", tmp_path / "dags", folder="/mnt/flows/sums", params={"first": 9})

    assert "/opt/units/bin/kyrios run-unit --engine airflow --flow /mnt/flows/sums " in file.text
    assert f'"KYRIOS_DATA": "file://{tmp_path}/data"' in file.text
    assert '"first": 9' in file.text
    assert flow.digest in file.text


def test_a_parameter_keeps_its_type_in_the_file(sums, tmp_path):
    sums.replace("flow.yaml", "{first: 1}", "{first: 1, rate: 2.0}")

    (file,) = kyrios.load_flow(sums).render("airflow", tmp_path / "dags")

    assert '"rate": 2.0,' in file.text
    assert '"first": 1,' in file.text


def test_a_password_is_never_written_into_a_file(sums, tmp_path, monkeypatch):
    monkeypatch.setenv("KYRIOS_HISTORY", "mysql://me:geheim@db/kyrios")

    (file,) = kyrios.load_flow(sums).render("airflow", tmp_path / "dags")

    assert "geheim" not in file.text
    assert "KYRIOS_HISTORY" not in file.text


def test_the_rendered_script_of_the_local_engine_runs_the_flow(sums, tmp_path):
    flow = kyrios.load_flow(sums)
    command = f"{sys.executable} -c 'from kyrios.cli import main; main()'"
    flow.render("local", tmp_path / "scripts", command=command, params={"first": 6})

    done = subprocess.run(
        [sys.executable, tmp_path / "scripts" / "sums.py"],
        env={**os.environ, "KYRIOS_RUN_ID": "by-script"},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    run = kyrios.get_run("by-script")
    assert run.state == "succeeded"
    assert run.table("both.sums").to_pydict() == {"n": [24, 28]}


def test_a_file_that_was_edited_by_hand_is_not_overwritten(sums, tmp_path):
    flow, out = kyrios.load_flow(sums), tmp_path / "dags"
    flow.render("airflow", out)
    edited = (out / "sums.py").read_text() + "# mine\n"
    (out / "sums.py").write_text(edited)
    sums.replace("flow.yaml", "{first: 1}", "{first: 2}")

    with pytest.raises(kyrios.Conflict, match=r"sums\.py was edited by hand"):
        kyrios.load_flow(sums).render("airflow", out)
    assert (out / "sums.py").read_text() == edited
    kyrios.load_flow(sums).render("airflow", out, force=True)
    assert "# mine" not in (out / "sums.py").read_text()


def test_a_file_that_is_not_ours_is_not_overwritten(sums, tmp_path):
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "sums.py").write_text("mine\n")

    with pytest.raises(kyrios.Conflict, match="not Kyrios' own"):
        kyrios.load_flow(sums).render("airflow", tmp_path / "dags")
    assert [p.name for p in (tmp_path / "dags").iterdir()] == ["sums.py"]


def test_two_flows_of_one_name_do_not_take_each_others_file(sums, flow_folder, tmp_path):
    kyrios.load_flow(sums).render("airflow", tmp_path / "dags")

    with pytest.raises(kyrios.Conflict, match="belongs to the flow in"):
        kyrios.load_flow(flow_folder("other")).render("airflow", tmp_path / "dags")


def test_rendering_again_touches_nothing_that_has_not_changed(sums, tmp_path):
    flow, out = kyrios.load_flow(sums), tmp_path / "dags"
    flow.render("airflow", out)
    before = {p.name: p.stat().st_mtime_ns for p in out.iterdir()}
    flow.render("airflow", out)

    assert {p.name: p.stat().st_mtime_ns for p in out.iterdir()} == before


def test_check_names_what_is_edited_stale_missing_and_orphaned(sums, flow_folder, tmp_path):
    from kyrios.render import check

    out = tmp_path / "dags"
    folders = {name: flow_folder(name) for name in ("edited", "stale", "missing", "orphaned", "good")}
    for name, folder in folders.items():
        folder.replace("flow.yaml", "flow: sums", f"flow: {name}")
        kyrios.load_flow(folder).render("airflow", out)
    assert check(out) == []
    (out / "edited.py").write_text("# mine\n")
    (out / "missing.py").unlink()
    folders["stale"].replace("flow.yaml", "{first: 1}", "{first: 2}")
    (folders["orphaned"].folder / "flow.yaml").unlink()

    assert [(f.file, f.kind) for f in check(out)] == [
        (f"{k}.py", k) for k in ("edited", "missing", "orphaned", "stale")
    ]


def test_a_manifest_that_cannot_be_read_is_named(sums, tmp_path):
    out = tmp_path / "dags"
    out.mkdir()
    (out / ".kyrios.json").write_text("{")

    with pytest.raises(kyrios.BadInput, match="cannot be read"):
        kyrios.load_flow(sums).render("airflow", out)


def test_every_flow_of_a_folder_is_rendered_and_a_broken_one_blocks_no_other(flow_folder, tmp_path, capsys):
    from kyrios.cli import root

    for name in ("one", "two", "three"):
        flow_folder(name).replace("flow.yaml", "flow: sums", f"flow: {name}")
    flow_folder("broken").replace("flow.yaml", "numbers@1", "nothing@1")
    flows, out = str(tmp_path / "flows"), tmp_path / "dags"

    code = root.main(["render", flows, "--engine", "airflow", "--out", str(out)], standalone_mode=False)

    assert code == 1
    assert sorted(p.name for p in out.glob("*.py")) == ["one.py", "three.py", "two.py"]
    assert "there is no unit 'nothing'" in capsys.readouterr().err
    assert render.check(out) == []


def test_two_flows_of_one_name_in_a_folder_are_a_conflict(flow_folder, tmp_path):
    folders = [flow_folder("a").folder, flow_folder("b").folder]

    with pytest.raises(kyrios.Conflict, match=r"both give sums\.py"):
        render.planned_in(folders, "airflow", out=tmp_path / "dags")


class Reader:
    """Loads flows and notes which."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, folder: Path) -> kyrios.Flow:
        self.read.append(folder.name)
        return kyrios.load_flow(folder)


def rendered(folders: list[Path], out: Path, **options: str) -> list[str]:
    """Render `folders` and return the names of those that were read for it."""
    reader = Reader()
    render.write(render.planned_in(folders, "airflow", out=out, load=reader, **options), out)
    return reader.read


def test_a_flow_is_not_read_again_while_nothing_that_it_was_made_from_has_changed(flow_folder, tmp_path):
    out = tmp_path / "dags"
    folders = [flow_folder(name) for name in ("one", "two")]
    for folder, name in zip(folders, ("one", "two"), strict=True):
        folder.replace("flow.yaml", "flow: sums", f"flow: {name}")
    paths = [folder.folder for folder in folders]

    assert rendered(paths, out) == ["one", "two"]
    assert rendered(paths, out) == []
    folders[1].replace("flow.yaml", "{first: 1}", "{first: 2}")
    assert rendered(paths, out) == ["two"]
    assert rendered(paths, out) == []
    assert rendered(paths, out, command="/opt/kyrios") == ["one", "two"]


@pytest.mark.parametrize("change", ["unit", "code", "output", "shadow", "manifest"])
def test_a_flow_is_read_again_when_anything_that_it_was_made_from_has_changed(sums, tmp_path, change):
    out = tmp_path / "dags"
    assert rendered([sums.folder], out) == ["sums"]
    if change == "unit":
        sums.replace("units/both.yaml", '"both"', '"Both of them"')
    elif change == "code":
        sums.replace("units.py", "def both(left, right):", "def both(left,  right):")
    elif change == "output":
        (out / "sums.py").unlink()
    elif change == "shadow":  # a folder of code in the place of an installed module counts as a change too
        sums.replace("units/both.yaml", "units:both", "helpers:both")
        assert rendered([sums.folder], out) == ["sums"]
        sums.write("helpers.py", sums.code_text())
    else:
        text = (out / ".kyrios.json").read_text().replace('"made_by": "', '"made_by": "0')
        (out / ".kyrios.json").write_text(text)

    assert rendered([sums.folder], out) == ["sums"]
    assert render.check(out) == []


def test_check_sees_a_mistake_in_code_that_was_rendered_before(sums, tmp_path):
    kyrios.load_flow(sums).render("airflow", tmp_path / "dags")
    sums.replace("units.py", "def both(", "def bath(")

    (finding,) = render.check(tmp_path / "dags")

    assert finding.kind == "orphaned"
