"""``[services.NAME]`` of jiyuan.toml: what it can say, and what is answered to what it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ptolemy.errors import ConfigError, NotFound
from ptolemy.services import Component, Fresh, Ready, find_definition, read_components
from ptolemy.services.definition import in_order


def test_a_definition_says_everything_about_a_component(centre: Callable[[str], Path], tmp_path: Path):
    (tmp_path / "secrets.env").write_text("# of the team\nTOKEN='abc=d'\n")
    path = centre("""
[services.collector]
command = "ptolemy collect schedule --daily '17:30 CST'"
depends_on = ["api"]
group = "collectors"
ready = { log = "scheduled", timeout = 5 }
fresh = { file = "series/daily/*", max_age = 90000, restart = true }
restart = "on-failure"
backoff = 0.5
backoff_max = 60
retries = 4
env = { MODE = "daily", N = 3 }
env_file = "secrets.env"
cwd = "work"
stop_signal = "SIGINT"
stop_timeout = 3
log_size = 1000
log_files = 1

[services.api]
command = ["ptolemy", "serve"]
ready = { http = "http://127.0.0.1:8100/readyz" }
""")

    api, collector = read_components(path)

    assert api == Component("api", ("ptolemy", "serve"), ready=Ready(http="http://127.0.0.1:8100/readyz"), cwd=tmp_path)
    assert collector == Component(
        "collector",
        ("ptolemy", "collect", "schedule", "--daily", "17:30 CST"),
        ("api",),
        "collectors",
        Ready(log="scheduled", timeout=5),
        Fresh(str(tmp_path / "work" / "series/daily/*"), max_age=90000, restart=True),
        "on-failure",
        0.5,
        60,
        4,
        {"TOKEN": "abc=d", "MODE": "daily", "N": "3"},
        tmp_path / "work",
        "INT",
        3,
        1000,
        1,
    )


def test_several_instances_are_components_of_their_own_with_their_number(centre: Callable[[str], Path]):
    path = centre(
        '[services.worker]\ncommand = "work"\ninstances = 2\n[services.top]\ncommand = "top"\ndepends_on = ["worker"]\n'
    )

    one, two, top = read_components(path)

    assert [one.name, two.name] == ["worker.1", "worker.2"]
    assert [one.env, two.env] == [{"PTOLEMY_INSTANCE": "1"}, {"PTOLEMY_INSTANCE": "2"}]
    assert top.depends_on == ("worker.1", "worker.2")


def test_the_definition_is_found_from_a_folder_below(
    centre: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = centre("[services.a]\ncommand = 'a'\n")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")

    assert find_definition() == path


def test_without_a_definition_the_way_out_is_named():
    with pytest.raises(NotFound) as said:
        find_definition()

    assert "[services.NAME]" in str(said.value.hint)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("[services.a]\ncomand = 'x'", "has no key 'comand'", "did you mean 'command'?"),
        ("[services.a]\ncommand = 'x'\nready = { htp = 'y' }", "ready has no key 'htp'", "did you mean 'http'?"),
        ("[services.a]\ncommand = 'x'\nfresh = { maxage = 3 }", "fresh has no key 'maxage'", "did you mean 'max_age'?"),
        ("[services.a]\n", "has no command", "command ="),
        ("[services.a]\ncommand = ''", "has no command", "command ="),
        ('[services.a]\ncommand = "it\'s"', "cannot be split", "list"),
        ("[services.a]\ncommand = 3", "list of texts", "command ="),
        ("[services.a]\ncommand = 'x'\nrestart = 'alway'", "restart must be", "did you mean 'always'?"),
        ("[services.a]\ncommand = 'x'\nrestart = true", "restart must be", ""),
        ("[services.a]\ncommand = 'x'\nstop_signal = 'TREM'", "no signal", "did you mean 'TERM'?"),
        ("[services.a]\ncommand = 'x'\nbackoff = -1", "backoff must be a number", ""),
        ("[services.a]\ncommand = 'x'\nbackoff = nan", "backoff must be a number", ""),
        ("[services.a]\ncommand = 'x'\nstop_timeout = true", "stop_timeout must be a number", ""),
        ("[services.a]\ncommand = 'x'\nretries = 1.5", "whole number", ""),
        ("[services.a]\ncommand = 'x'\ninstances = 0", "instances must be", ""),
        ("[services.a]\ncommand = 'x'\nenv = ['A=b']", "env must be texts by name", "NAME"),
        ("[services.a]\ncommand = 'x'\nenv_file = 'none.env'", "env_file", "chmod"),
        ("[services.a]\ncommand = 'x'\ncwd = 3", "cwd must be a path", "cwd ="),
        ("[services.a]\ncommand = 'x'\ngroup = 3", "group must be a text", ""),
        ("[services.a]\ncommand = 'x'\ndepends_on = 'b'", "depends_on must be a list", "depends_on ="),
        ("[services.a]\ncommand = 'x'\ndepends_on = ['aa']", "which is no component", "did you mean 'a'?"),
        ("[services.a]\ncommand = 'x'\ndepends_on = ['a']", "in a circle: a -> a", "drop one"),
        ("[services.a]\ncommand = 'x'\nready = 'now'", "ready must be a table", "ready ="),
        ("[services.a]\ncommand = 'x'\nready = { tcp = '8100' }", "must be HOST:PORT", "tcp ="),
        ("[services.a]\ncommand = 'x'\nready = { http = '/x' }", "must be a URL", "http ="),
        ("[services.a]\ncommand = 'x'\nready = { log = 'x', file = 'y' }", "asks for 2 things", "one of"),
        ("[services.a]\ncommand = 'x'\nready = { log = 3 }", "must be a text", ""),
        ("[services.a]\ncommand = 'x'\nfresh = {}", "asks for 0 things", "one of"),
        ("[services.A]\ncommand = 'x'", "lower-case", "[services.a]"),
        ("[services.'a b']\ncommand = 'x'", "lower-case", "[services.a-b]"),
        ("[services.'a/../b']\ncommand = 'x'", "lower-case", "[services.a----b]"),
        ("[services]\na = 'x'", "must be a section", "[services.a]"),
        ("services = 3", "must be sections", "[services.NAME]"),
        ("[services.a]\ncommand = 'x'\ngroup = 'a'", "is a component and a group", "another name"),
        ("[services.a", "cannot be read", "mend"),
    ],
)
def test_what_cannot_be_used_is_named_with_the_way_out(centre: Callable[[str], Path], text: str, said: str, hint: str):
    path = centre(text)

    with pytest.raises(ConfigError) as caught:
        read_components(path)

    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    "command",
    ["x --token abcdef", "x --api-key=abcdef", "x --db-password abc", "x redis://me:abcdef@127.0.0.1/0"],
)
def test_a_secret_in_a_command_is_refused_and_not_repeated(centre: Callable[[str], Path], command: str):
    with pytest.raises(ConfigError, match="bears a secret") as caught:
        read_components(centre(f"[services.a]\ncommand = '{command}'"))

    assert "abc" not in str(caught.value)
    assert "env_file" in str(caught.value.hint)


def test_a_line_of_an_env_file_that_is_no_pair_is_named_by_its_number_alone(
    centre: Callable[[str], Path], tmp_path: Path
):
    (tmp_path / "s.env").write_text("A=1\nhunter2\n")

    with pytest.raises(ConfigError, match="line 2") as caught:
        read_components(centre("[services.a]\ncommand = 'x'\nenv_file = 's.env'"))

    assert "hunter2" not in str(caught.value)


def test_components_come_in_an_order_in_which_they_can_start():
    known = [Component("c", ("x",), ("b",)), Component("a", ("x",)), Component("b", ("x",), ("a",))]

    assert [c.name for c in in_order(known)] == ["a", "b", "c"]
