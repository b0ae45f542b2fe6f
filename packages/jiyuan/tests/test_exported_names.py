"""The first level: its names, its examples, and what an import costs."""

from __future__ import annotations

import doctest
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import jiyuan

ROOT = Path(__file__).resolve().parents[3]


def test_the_first_level_is_listed_sorted_and_pinned():
    assert jiyuan.__all__ == [
        "JiyuanError", "Reproduction", "Trace", "api", "doctor", "down", "export", "flow", "pack", "pool", "pull",
        "push", "reproduce", "run", "trace", "up", "users_of",
    ]  # fmt: skip
    assert len(set(jiyuan.__all__)) == len(jiyuan.__all__)
    assert all(getattr(jiyuan, name).__doc__ for name in jiyuan.__all__)


def test_a_name_that_there_is_not_says_so():
    with pytest.raises(AttributeError, match="has no attribute 'floww'"):
        jiyuan.floww  # noqa: B018


@pytest.mark.parametrize("name", [n for n in jiyuan.__all__ if n[0].islower()])
def test_the_example_of_each_function_runs(name, centre, tmp_path, monkeypatch):
    value = getattr(jiyuan, name)
    examples = doctest.DocTestParser().get_examples(value.__doc__)
    assert [e for e in examples if doctest.SKIP not in e.options], f"jy.{name} has no example that runs"
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__", "expert"))
    (tmp_path / "jiyuan.toml").write_text(
        f"[services.clock]\ncommand = '{sys.executable} -c \"import time; time.sleep(600)\"'\n"
    )
    monkeypatch.chdir(tmp_path)
    if name == "down":
        jiyuan.up()

    try:
        for found in doctest.DocTestFinder(recurse=False).find(value, name, globs={}):
            said: list[str] = []
            result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found, out=said.append)
            assert not result.failed, "".join(said)
    finally:
        if name in ("up", "down"):
            jiyuan.down()


def test_an_import_loads_no_library_and_a_look_at_the_names_neither():
    code = "import sys, jiyuan; dir(jiyuan); print([n for n in ('veda', 'exia', 'kyrios', 'ptolemy', 'numpy', 'click') if n in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_a_notebook_shows_tables_and_traces(centre, tmp_path):
    code = """
import json
from types import SimpleNamespace

class Formatter:
    def __init__(self): self.shown = {}
    def for_type_by_name(self, module, name, show): self.shown[module, name] = show

html = Formatter()
magics = {}
shell = SimpleNamespace(
    display_formatter=SimpleNamespace(formatters={"text/html": html}),
    register_magic_function=lambda function, kind, name: magics.update({name: function}),
)
import sys
sys.modules["IPython"] = SimpleNamespace(get_ipython=lambda: shell)
import jiyuan as jy
def shown(value):
    kind = type(value)
    return html.shown[kind.__module__, kind.__qualname__](value)
flow = jy.flow(sys.argv[1])
run = flow.run()
with jy.pool(dict, max_size=2) as pool:
    texts = [shown(flow), shown(run), shown(pool), shown(jy.pull("scaling"))]
jy.load_ipython_extension(shell)
texts.append(magics["trace"](run.run_id[-6:])._repr_html_())
print(json.dumps(texts))
"""

    done = subprocess.run(
        [sys.executable, "-c", code, str(centre.flow)], capture_output=True, text=True, cwd=tmp_path, env=dict(os.environ)
    )

    assert done.returncode == 0, done.stderr
    flow, run, pool, pulled, trace = json.loads(done.stdout)
    assert "flow scaled 1.0" in flow and "bars.bars" in flow
    assert "succeeded" in run
    assert "max_size" in pool
    assert "scaling@1.0.0" in pulled
    assert trace.startswith("<h2>Run</h2>")
