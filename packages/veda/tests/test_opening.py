"""A package file and a release are opened and read alike."""

from __future__ import annotations

import pytest

import veda
from veda import BadInput, Damaged, NotFound


def test_a_file_and_the_release_of_it_give_the_same(workspace):
    package = veda.pack(workspace())
    veda.register(package)

    for what in (package.path, str(package.path), "small", "small@~=1.0", f"small@{package.digest}"):
        opened = veda.open(what)

        assert (opened.name, opened.version, opened.digest) == ("small", "1.0", package.digest)
        assert opened.manifest.files == package.manifest.files
        assert opened.read("src/small/parts.py") == b"WORD = 'one'\n"
        with pytest.raises(BadInput, match=r"small@1\.0 has no file 'other'"):
            opened.read("other")


def test_a_release_that_only_the_store_has_is_fetched(workspace, home):
    package = veda.pack(workspace())
    veda.register(package)
    veda.push(package)
    package.path.unlink()

    opened = veda.open("small@1.0")

    assert opened.path.is_relative_to(home)
    assert opened.read("README.md") == b"# small\n"


def test_what_is_not_registered_is_not_found():
    with pytest.raises(NotFound, match="no release of nothing is registered"):
        veda.open("nothing")


def test_a_file_that_somebody_has_changed_is_damaged(workspace):
    veda.register(veda.pack(workspace()))
    opened = veda.open("small")
    (opened.path / "README.md").chmod(0o644)
    (opened.path / "README.md").write_text("other")

    with pytest.raises(Damaged, match=r"the bytes of 'README\.md' are not those of the package"):
        opened.read("README.md")
