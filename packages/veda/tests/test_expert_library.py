"""The six algorithms of examples/expert go through a curated channel into an empty home, and compute there."""

from pathlib import Path

import numpy as np
import pytest

import veda
from veda import keys

EXAMPLES = Path(__file__).parents[3] / "examples"
LIBRARY = sorted([EXAMPLES / "momentum", *(p.parent for p in EXAMPLES.glob("expert/*/veda.toml"))])
NAMES = ["factor-regression", "garch", "kalman-hedge", "minimum-variance", "momentum", "pairs"]


@pytest.fixture
def packages(tmp_path):
    """Pack all six; a package file in a clone's dist/ is nobody's business."""
    return [veda.pack(path, tmp_path / f"{path.name}.vedapkg") for path in LIBRARY]


@pytest.fixture(params=["file", pytest.param("minio", marks=pytest.mark.minio)])
def store(request, tmp_path, monkeypatch):
    if request.param == "minio":
        return request.getfixturevalue("minio_url")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))  # so that the store is nobody's own folder
    return f"file:{tmp_path}/srv"


@pytest.mark.parametrize("folder", LIBRARY, ids=lambda p: p.name)
def test_each_package_is_ready_and_says_what_it_takes_and_does(folder):
    assert veda.check(folder) == []


def test_the_library_has_six_packages_with_typed_methods_and_a_parameter_schema(packages):
    assert sorted(p.name for p in packages) == NAMES
    for package in packages:
        (point,) = package.manifest.facts["entry_points"]
        assert "signal" in point["methods"]
        assert all("->" in m["signature"] and m["summary"] for m in point["methods"].values())
        assert all("type" in p or "annotation" in p for p in point["parameters"]["properties"].values())
        assert "README.md" in [f.path for f in package.manifest.files]


def test_the_library_is_reviewed_promoted_and_pulled_into_an_empty_home(packages, store, tmp_path):
    for package in packages:
        veda.push(package, store)
    veda.promote(NAMES, "review", store=store)
    library = veda.promote([], "expert", from_="review", store=store)
    assert (library.sequence, sorted(library.releases)) == (1, NAMES)
    reader = tmp_path / "reader"

    with pytest.raises(veda.Untrusted, match=r"trust"):
        veda.pull("garch", store, channel="expert", home=reader)
    key = str(keys.signing_key().public)
    veda.trust("curator", key, channel="expert", home=reader)
    veda.trust("curator", key, home=reader)

    pulled = [veda.pull(name, store, channel="expert", home=reader) for name in NAMES]
    assert {p.signed_by for p in pulled} == {"curator"}

    garch = veda.load("garch@~=1.0", home=reader)
    returns = np.loadtxt(garch.package.file("data/dem-gbp.csv"), skiprows=1)
    assert garch().fit(returns).alpha == pytest.approx(0.153134, abs=1e-6)
    weights = veda.load("minimum-variance", home=reader)().weights([[0.04, 0.01], [0.01, 0.09]])
    assert weights == pytest.approx([8 / 11, 3 / 11])
    with veda.open_registry(home=reader) as registry:
        found = registry.search(veda.Query(uses="numpy", method="signal"))
    assert sorted(r.name for r in found) == NAMES


def test_a_release_that_was_not_promoted_is_not_in_the_library(packages, store, tmp_path):
    for package in packages[:2]:
        veda.push(package, store)
    first, second = (p.name for p in packages[:2])
    veda.promote(first, "expert", store=store)
    reader = tmp_path / "reader"
    key = str(keys.signing_key().public)
    veda.trust("curator", key, channel="expert", home=reader)
    veda.trust("curator", key, home=reader)

    assert veda.pull(first, store, channel="expert", home=reader).name == first
    with pytest.raises(veda.NotFound, match=f"channel expert has no {second}"):
        veda.pull(second, store, channel="expert", home=reader)
