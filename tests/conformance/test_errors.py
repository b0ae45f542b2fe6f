from __future__ import annotations

import click
import pytest
from tests.conformance.commands import base_error, settings, url_settings, walk


def assert_one_line_and_a_hint(done, code):
    lines = done.stderr.splitlines()

    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert len(lines) == 2, done.stderr
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("hint: ")
    return lines


def test_an_unknown_command_is_answered_with_the_nearest(library, place):
    lines = assert_one_line_and_a_hint(place.run(library, "doctr"), 2)

    assert "'doctr'" in lines[0]
    assert lines[1] == "hint: did you mean 'doctor'?"


def test_an_unknown_command_of_a_group_is_answered_with_the_nearest(library, place):
    for path, group in walk(library):
        if isinstance(group, click.Group) and path != library:
            name = group.list_commands(click.Context(group))[0]

            lines = assert_one_line_and_a_hint(place.run(*path.split(), f"{name}q"), 2)

            assert lines[1] == f"hint: did you mean {name!r}?"


def test_an_unknown_option_is_a_usage_error_with_the_way_to_help(library, place):
    lines = assert_one_line_and_a_hint(place.run(library, "doctor", "--jsn"), 2)

    assert "--jsn" in lines[0]
    assert lines[1] == f"hint: {library} doctor --help"


@pytest.mark.parametrize("words", [("config", "show"), ("doctor",)])
@pytest.mark.parametrize(
    ("text", "named"),
    [(b"[%s]\nhoem = '/tmp'\n", "'hoem'"), (b"[%s\n", "cannot be read"), (b"\xff\xfe[%s]", "cannot be read")],
    ids=["unknown key", "no TOML", "no UTF-8"],
)
def test_a_project_file_that_cannot_be_used_is_named(library, place, words, text, named):
    place.folder.mkdir()
    path = place.folder / "jiyuan.toml"
    path.write_bytes(text.replace(b"%s", library.encode()))

    lines = assert_one_line_and_a_hint(place.run(library, *words), 2)

    assert str(path) in lines[0]
    assert named in lines[0]
    if "key" in lines[0]:
        assert lines[1] == "hint: did you mean 'home'?"
    assert sorted(place.folder.iterdir()) == [path], "something was written"


def test_a_setting_of_another_type_is_named_with_its_origin(library, place):
    place.folder.mkdir()
    (place.folder / "jiyuan.toml").write_text(f"[{library}]\nhome = 7\n")

    done = place.run(library, "config", "show", env={f"{library}_HOME".upper(): ""})

    assert done.returncode == 2
    assert "jiyuan.toml: home must be a text, not 7" in done.stderr


def test_no_traceback_unless_debug_asks_for_it(library, place):
    place.folder.mkdir()
    (place.folder / "jiyuan.toml").write_text("[")

    assert "Traceback" not in place.run(library, "config", "show").stderr
    assert "Traceback" in place.run(library, "config", "show", "--debug").stderr
    assert "Traceback" in place.run(library, "--debug", "config", "show").stderr


def test_a_folder_that_cannot_be_written_is_one_line(library, place):
    done = place.run(library, "doctor", env={f"{library}_HOME".upper(): "/dev/null/home"})

    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 6), done.stderr


def test_a_port_with_an_unknown_scheme_is_reported_by_doctor_with_the_known_ones(library, place):
    for setting in url_settings(library):
        done = place.run(library, "doctor", env={setting.env: "nowhere://"})

        assert done.returncode in (2, 6), f"{setting.env}: {done.stdout}{done.stderr}"
        assert "known: " in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_the_origin_of_every_setting_is_shown(library, place):
    import json

    place.folder.mkdir()
    (place.folder / "jiyuan.toml").write_text(f"[{library}]\nhome = 'here'\n")

    rows = json.loads(
        place.run(library, "config", "show", "--origin", "--json", env={f"{library}_HOME".upper(): ""}).stdout
    )

    origins = {row["key"]: row["origin"] for row in rows}
    assert set(origins) == {"home", *(s.name for s in settings(library))}
    assert origins.pop("home") == str(place.folder / "jiyuan.toml")
    assert set(origins.values()) <= {"default"}


def test_every_setting_says_what_it_is_for(library):
    assert all(s.help.strip().endswith(".") for s in settings(library))


def test_every_error_of_the_library_has_the_one_base_and_an_exit_code(library):
    base = base_error(library)
    list(walk(library))  # imports every command

    for kind in _subclasses(base):
        assert kind.exit_code in range(1, 7), kind
        assert kind.__doc__, f"{kind} says not what it means"
    assert base.__name__ == f"{library.capitalize()}Error"
    assert base.__module__ == f"{library}.errors"


def test_the_librarys_modules_define_no_other_errors(library):
    import sys

    list(walk(library))
    base = base_error(library)
    strangers = {
        f"{kind.__module__}.{kind.__qualname__}"
        for name, module in list(sys.modules.items())
        if name == library or name.startswith(f"{library}.")
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, Exception)
        and kind.__module__ == name
        and not kind.__name__.startswith("_")
        and not issubclass(kind, base)
    }

    assert not strangers


def test_the_root_takes_its_exit_code_from_the_error(library, place):
    code = f"""
import sys
from {library}.cli import root
from {library}._house.command import run
from {library} import errors

@root.command()
def fail():
    raise getattr(errors, sys.argv[1])("what and why", hint="do this")

run(root, ["fail"])
"""
    for kind, expected in [
        (f"{library.capitalize()}Error", 1),
        ("BadInput", 2),
        ("NotFound", 3),
        ("NotAllowed", 4),
        ("Conflict", 5),
        ("BackendUnavailable", 6),
    ]:
        done = place.python(code, kind)

        assert (done.returncode, done.stderr) == (expected, "error: what and why\nhint: do this\n")


def _subclasses(kind):
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)
