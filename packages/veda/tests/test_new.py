"""A new workspace can begin from a release: its files under another name, to be changed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import veda

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_a_workspace_begins_from_a_release_and_is_ones_own(tmp_path):
    veda.register(veda.pack(EXAMPLES / "expert" / "garch", tmp_path / "garch.vedapkg"))

    folder = veda.new_workspace("my-garch", tmp_path, template="garch@~=1.0")

    package = veda.pack(folder)
    assert (package.name, package.version) == ("my-garch", "0.1.0")
    assert veda.check(folder) == []
    (folder / "src/garch/__init__.py").write_text("class Garch:\n    def signal(self): ...\n")
    assert veda.pack(folder).digest != package.digest


def test_its_tests_pass_as_those_of_the_release_did(tmp_path):
    veda.register(veda.pack(EXAMPLES / "momentum", tmp_path / "m.vedapkg"))
    folder = veda.new_workspace("drift", tmp_path, template="momentum")

    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder], capture_output=True, text=True
    )

    assert answer.returncode == 0, answer.stdout


def test_modes_comments_and_references_of_the_release_come_along(workspace, tmp_path):
    root = workspace(**{"run.sh": "#!/bin/sh\n", "net.onnx": "weights"})
    (root / "run.sh").chmod(0o755)
    toml = root / "veda.toml"
    toml.write_text("# whose it was\n" + toml.read_text())
    veda.add(root / "net.onnx", reference=True)
    veda.register(veda.pack(root))

    folder = veda.new_workspace("other", tmp_path, template="small")

    assert os.access(folder / "run.sh", os.X_OK)
    assert (folder / "veda.toml").read_text() == toml.read_text().replace('"small"', '"other"', 1).replace(
        "1.0", "0.1.0", 1
    )
    assert (folder / "net.onnx").read_text() == "weights"
    assert [c.external for c in veda.pack(folder).manifest.chunks][-1]


def test_a_template_that_nobody_registered_leaves_nothing(tmp_path):
    with pytest.raises(veda.NotFound, match="no release of garch"):
        veda.new_workspace("my-garch", tmp_path / "here", template="garch")

    assert not (tmp_path / "here").exists()
