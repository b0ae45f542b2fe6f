from __future__ import annotations

import sys

import pytest

from kyrios.environment import this_environment


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Give a function that adds a folder of packages to the path, with one distribution in it."""
    monkeypatch.setattr(sys, "path", [])
    this_environment.cache_clear()

    def add(folder, name):
        info = tmp_path / folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        sys.path.append(str(info.parent))

    yield add
    this_environment.cache_clear()


def test_what_a_package_carries_inside_of_itself_is_no_distribution(site):
    site("lib/site-packages", "ray")
    before = this_environment()
    this_environment.cache_clear()
    site("lib/site-packages/ray/thirdparty", "colorama")  # importing ray adds it to the path

    assert this_environment() == before
    this_environment.cache_clear()
    site("overlay", "colorama")
    assert this_environment() != before
