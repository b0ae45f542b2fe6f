from __future__ import annotations

import pytest

from veda import _house
from veda._house import backends, errors


@pytest.mark.parametrize(
    ("kind", "code", "builtin"),
    [
        (errors.LibraryError, 1, Exception),
        (errors.BadInput, 2, ValueError),
        (errors.ConfigError, 2, ValueError),
        (errors.UnknownBackend, 2, ValueError),
        (errors.MissingExtra, 2, ImportError),
        (errors.NotFound, 3, LookupError),
        (errors.NotAllowed, 4, PermissionError),
        (errors.Conflict, 5, ValueError),
        (errors.BackendUnavailable, 6, ConnectionError),
    ],
)
def test_each_kind_has_its_exit_code_its_builtin_parent_and_keeps_its_hint(kind, code, builtin):
    error = kind("what and why", hint="do this")

    assert isinstance(error, builtin)
    assert (error.exit_code, str(error), error.hint) == (code, "what and why", "do this")


def test_the_base_carries_the_librarys_own_name():
    assert errors.LibraryError.__name__ == "VedaError"
    assert _house.__name__ == "veda._house"


def test_only_a_near_word_is_suggested():
    assert errors.nearest("regstry", ["registry", "store"]) == "did you mean 'registry'?"
    assert errors.nearest("qqq", ["registry", "store"]) is None
    assert errors.nearest("x", []) is None


@pytest.fixture
def adapters(tmp_path, monkeypatch):
    """A distribution of a stranger that offers adapters for veda's port `shelf`."""
    info = tmp_path / "stranger-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[veda.shelf]\nwood = stranger_wood:open\nsteel = stranger_steel:open\nglass = stranger_glass:open\n"
    )
    (tmp_path / "stranger_wood.py").write_text("def open(url): return ('wood', url)\n")
    (tmp_path / "stranger_steel.py").write_text("import no_such_driver\n")
    (tmp_path / "stranger_glass.py").write_text("import veda.no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("adapters")
def test_a_strangers_adapter_is_opened_by_its_url():
    assert backends.known_backends("shelf") == ["glass", "steel", "wood"]
    assert backends.open_backend("shelf", "wood:here") == ("wood", backends.BackendURL("wood", path="here"))


@pytest.mark.usefixtures("adapters")
def test_an_unknown_scheme_lists_the_known_ones_and_the_nearest():
    with pytest.raises(errors.UnknownBackend, match="known: glass, steel, wood") as caught:
        backends.open_backend("shelf", "woood://")

    assert caught.value.hint == "did you mean 'wood'?"


@pytest.mark.usefixtures("adapters")
def test_a_missing_driver_names_the_extra_to_install():
    with pytest.raises(errors.MissingExtra, match="no_such_driver") as caught:
        backends.open_backend("shelf", "steel")

    assert caught.value.hint == "pip install 'jiyuan-veda[steel]'"


@pytest.mark.usefixtures("adapters")
def test_a_broken_import_of_our_own_is_not_called_a_missing_driver():
    with pytest.raises(ModuleNotFoundError, match=r"veda\.no_such_module") as caught:
        backends.open_backend("shelf", "glass")

    assert not isinstance(caught.value, errors.MissingExtra)
