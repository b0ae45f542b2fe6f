from importlib import import_module
from pathlib import Path

import pytest

from jiyuan._house.backends import BackendURL
from jiyuan.demo.place import Place, find_examples, read_backends, settings
from jiyuan.errors import BadInput, Conflict


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(examples=tmp_path / "examples", out=tmp_path / "out")


def test_a_folder_that_the_demo_did_not_make_is_left_alone(place: Place):
    place.out.mkdir()
    theirs = place.out / "thesis.txt"
    theirs.write_text("ten years of work")

    with pytest.raises(Conflict, match="not made by the demo"):
        place.make()

    assert [p.name for p in place.out.iterdir()] == ["thesis.txt"]


def test_a_second_run_finds_an_empty_home_for_the_pulled_package(place: Place):
    place.make()
    (place.home("veda") / "trees").mkdir(parents=True)
    (place.home("ptolemy")).mkdir(parents=True)

    place.make()

    assert not place.home("veda").exists()
    assert place.home("ptolemy").exists()


def test_the_file_that_it_writes_says_what_the_environment_says_wherever_it_is_moved(place: Place, monkeypatch):
    place.make()
    moved = place.out.rename(place.out.with_name("moved"))
    monkeypatch.chdir(moved)

    for key, value in place.environment().items():
        monkeypatch.delenv(key, raising=False)
        library, _, name = key.lower().partition("_")
        known = import_module(f"{library}.settings").SETTINGS
        said = import_module(f"{library}._house.config").load_config(known).text(name)
        parse = Path if name == "home" else BackendURL.parse
        assert parse(said) == parse(value.replace(str(place.out), str(moved)))


def test_settings_are_put_back_also_after_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VEDA_HOME", "/before")
    monkeypatch.delenv("EXIA_HOME", raising=False)

    with pytest.raises(KeyboardInterrupt), settings({"VEDA_HOME": "/demo", "EXIA_HOME": "/demo"}):
        raise KeyboardInterrupt

    import os

    assert os.environ["VEDA_HOME"] == "/before"
    assert "EXIA_HOME" not in os.environ


def test_examples_are_found_from_a_folder_below_them(tmp_path: Path):
    flow = tmp_path / "examples" / "flows" / "momentum"
    flow.mkdir(parents=True)
    (flow / "flow.yaml").touch()
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)

    assert find_examples(below) == tmp_path / "examples"


def test_backends_are_read_by_the_names_of_their_variables(tmp_path: Path):
    file = tmp_path / "servers.toml"
    file.write_text('[veda]\nstore = "minio://host/bucket"\n[exia]\nruns = "mongodb://host/runs"\n')

    assert read_backends(file) == {"VEDA_STORE": "minio://host/bucket", "EXIA_RUNS": "mongodb://host/runs"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("veda = 1", "'veda' stands in no section"),
        ("[veda", "cannot be read"),
        ('[veda]\nstor = "file:x"', "veda.stor is no backend of the demo"),
        ('[veda]\nhome = "/tmp"', "veda.home is no backend"),
        ('[veda]\nstore = "somewhere"', "veda.store is no URL"),
        ("[veda]\nstore = 3", "veda.store is no URL"),
    ],
)
def test_a_file_that_names_no_backends_is_refused(tmp_path: Path, text: str, said: str):
    file = tmp_path / "servers.toml"
    file.write_text(text)

    with pytest.raises(BadInput, match=said):
        read_backends(file)


def test_given_backends_take_the_place_of_embedded_ones_and_their_passwords_are_the_users_alone(place: Place):
    served = Place(place.examples, place.out, {"VEDA_STORE": "minio://key:secret@host/bucket"})

    served.make()

    assert served.environment()["VEDA_STORE"] == "minio://key:secret@host/bucket"
    assert (place.out / "jiyuan.toml").stat().st_mode & 0o077 == 0
