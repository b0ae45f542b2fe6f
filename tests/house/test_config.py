from __future__ import annotations

import pytest

from veda._house.backends import BackendURL
from veda._house.config import Setting, home, load_config, project_file
from veda._house.errors import ConfigError

STORE = Setting("store", "file", "Where packages are kept.", url=True)
SETTINGS = [STORE, Setting("workers", 4, "Threads."), Setting("eager", False, "Now."), Setting("rate", 0.5, "Per s.")]


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """A project two folders up and a user's own folder, both empty."""
    (tmp_path / "project" / "deep" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "deep" / "deeper")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in ("VEDA_STORE", "VEDA_WORKERS", "VEDA_EAGER", "VEDA_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(tmp_path):
    def write(text: str):
        path = tmp_path / "project" / "jiyuan.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def user(tmp_path):
    def write(text: str):
        path = tmp_path / "config" / "jiyuan" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_argument_beats_environment_beats_project_beats_user_beats_default(project, user, monkeypatch):
    def value_and_origin(**arguments):
        config = load_config(SETTINGS, arguments)
        return config["store"], config.origin("store")

    assert value_and_origin() == ("file", "default")

    mine = user('[veda]\nstore = "file:/user"\n')
    assert value_and_origin() == ("file:/user", str(mine))

    ours = project('[veda]\nstore = "file:/project"\n')
    assert value_and_origin() == ("file:/project", str(ours))

    monkeypatch.setenv("VEDA_STORE", "file:environment")
    assert value_and_origin() == ("file:environment", "environment VEDA_STORE")

    assert value_and_origin(store="file:argument") == ("file:argument", "argument")
    assert value_and_origin(store=None) == ("file:environment", "environment VEDA_STORE")


def test_an_empty_environment_variable_says_nothing(monkeypatch):
    monkeypatch.setenv("VEDA_STORE", "")

    assert load_config(SETTINGS).origin("store") == "default"


def test_the_nearest_project_file_upward_is_read(project, tmp_path):
    project("")
    nearer = tmp_path / "project" / "deep" / "jiyuan.toml"
    nearer.write_text("")

    assert project_file() == nearer


def test_another_librarys_section_is_not_judged(project):
    project('[exia]\nanything = "goes"\n')

    assert load_config(SETTINGS)["store"] == "file"


def test_a_relative_path_in_a_file_begins_at_that_file(project, monkeypatch):
    folder = project("[veda]\nhome = 'here'\nstore = 'file:my%20store?sync=no'\n").parent

    config = load_config(SETTINGS)

    assert home() == folder / "here"
    store = BackendURL.parse(config.text("store"))
    assert (store.path, store.query) == (f"{folder}/my store", {"sync": "no"})
    monkeypatch.setenv("VEDA_STORE", "file:my-store")
    assert load_config(SETTINGS).text("store") == "file:my-store"  # what a command is given begins where it runs


@pytest.mark.parametrize("store", ["file", "file://", "file:///srv/store", "file:~/store", "db://host/name"])
def test_other_addresses_in_a_file_stay_as_they_are(project, store):
    project(f"[veda]\nstore = '{store}'\n")

    assert load_config(SETTINGS).text("store") == store


def test_an_unknown_key_is_refused_with_the_nearest_known_one(project):
    path = project('[veda]\nstroe = "file"\n')

    with pytest.raises(ConfigError, match=f"{path}.*'stroe'") as caught:
        load_config(SETTINGS)

    assert caught.value.hint == "did you mean 'store'?"


def test_a_mistyped_library_is_refused_and_a_section_of_somebody_else_is_not(project):
    project("[vedaa]\nname = 'x'\n\n[services.web]\ncommand = 'x'\n")

    with pytest.raises(ConfigError, match="no library is called 'vedaa'") as caught:
        load_config(SETTINGS)
    assert caught.value.hint == "did you mean 'veda'?"

    project("[services.web]\ncommand = 'x'\n")
    assert load_config(SETTINGS)


def test_an_unknown_key_near_nothing_is_refused_with_all_known_ones(project):
    project("[veda]\nqqq = 1\n")

    with pytest.raises(ConfigError) as caught:
        load_config(SETTINGS)

    assert caught.value.hint == "known keys: eager, home, rate, store, workers"


@pytest.mark.parametrize("content", [b"[veda\n", b"\xff\xfe", b"veda = 1\n"])
def test_a_file_that_cannot_be_read_is_named(project, content):
    path = project("")
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=str(path)) as caught:
        load_config(SETTINGS)

    assert caught.value.hint


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('workers = "many"', "a whole number"),
        ("workers = true", "a whole number"),
        ("workers = 1.5", "a whole number"),
        ("store = 7", "a text"),
        ('eager = "perhaps"', "true or false"),
        ('rate = "fast"', "a number"),
    ],
)
def test_a_value_of_another_type_is_refused(project, line, kind):
    project(f"[veda]\n{line}\n")

    with pytest.raises(ConfigError, match=f"must be {kind}"):
        load_config(SETTINGS)


def test_the_environments_texts_become_the_settings_types(monkeypatch):
    monkeypatch.setenv("VEDA_WORKERS", "8")
    monkeypatch.setenv("VEDA_EAGER", "TRUE")
    monkeypatch.setenv("VEDA_RATE", "1e-3")

    config = load_config(SETTINGS)

    assert (config["workers"], config["eager"], config["rate"]) == (8, True, 0.001)


def test_a_url_is_shown_without_its_password_and_used_with_it():
    config = load_config(SETTINGS, {"store": "minio://me:canary@s3/bucket"})

    assert config.shown("store") == "minio://me:***@s3/bucket"
    assert config.text("store") == "minio://me:canary@s3/bucket"


def test_home_is_the_xdg_data_folder_unless_the_environment_says_another(tmp_path, monkeypatch):
    assert home() == tmp_path / "data" / "veda"

    monkeypatch.setenv("VEDA_HOME", str(tmp_path / "elsewhere"))

    assert home() == tmp_path / "elsewhere"


def test_reading_the_configuration_writes_nothing(tmp_path):
    before = sorted(tmp_path.rglob("*"))

    load_config(SETTINGS)
    home()

    assert sorted(tmp_path.rglob("*")) == before
