from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

SOURCE = '''\
"""A package for tests."""

from small.parts import WORD


class Small:
    """Add a number to what comes in.

    Parameters
    ----------
    step
        What is added.
    """

    def __init__(self, step: int = 1) -> None:
        self.step = step

    def signal(self, value: float) -> float:
        """Return `value` plus the step."""
        return value + self.step

    def word(self) -> str:
        """Return the word of this version."""
        return WORD
'''
TOML = """\
[package]
name = "small"
version = "{version}"
license = "Apache-2.0"
requires = []

[entry-points]
default = "small:Small"
"""


def pytest_configure(config):
    config.addinivalue_line("markers", "minio: needs an S3 server, named by VEDA_TEST_MINIO_URL")
    config.addinivalue_line("markers", "clickhouse: needs a ClickHouse server, named by VEDA_TEST_CLICKHOUSE_URL")
    config.addinivalue_line("markers", "chdb: needs chdb, a current ClickHouse engine")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Everything embedded lies below tmp_path; nothing of the user's is read or written."""
    for name in [n for n in os.environ if n.startswith("VEDA_") and not n.startswith("VEDA_TEST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VEDA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    # A folder below it is the user's own, so that what lies there needs no signature.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def workspace(tmp_path):
    """Give a function that writes the workspace of a small package and returns its folder."""

    def make(version: str = "1.0", word: str = "one", folder: str = "small", **files: str | bytes) -> Path:
        root = tmp_path / folder
        contents = {
            "veda.toml": TOML.format(version=version),
            "src/small/__init__.py": SOURCE,
            "src/small/parts.py": f"WORD = {word!r}\n",
            "README.md": "# small\n",
            **files,
        }
        for path, content in contents.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content.encode() if isinstance(content, str) else content)
        return root

    return make


@pytest.fixture
def trusted_author(home, tmp_path):
    """Make the author's key, and let the home ``other`` trust it."""
    from veda import keys

    key = keys.signing_key()
    keys.trust("author", str(key.public), home=tmp_path / "other")
    return key


@pytest.fixture
def minio_url(trusted_author):
    """Give the URL of an empty place on a real S3 server, whose author the home ``other`` trusts."""
    url = os.environ["VEDA_TEST_MINIO_URL"]  # the mark of the test has skipped it where there is no server
    minio = pytest.importorskip("minio", reason="pip install 'jiyuan-veda[minio]'")
    from veda._house.backends import BackendURL

    address = BackendURL.parse(url)
    bucket = address.path.strip("/").partition("/")[0]
    secure = address.query.get("secure") != "false"
    server = minio.Minio(
        f"{address.host}:{address.port}", access_key=address.user, secret_key=address.password, secure=secure
    )
    if not server.bucket_exists(bucket):
        server.make_bucket(bucket)
    head, mark, query = url.partition("?")
    return f"{head.rstrip('/')}/{uuid.uuid4().hex}{mark}{query}"


@pytest.fixture
def clickhouse_url():
    """Give the URL of empty tables on a real ClickHouse server."""
    url = os.environ["VEDA_TEST_CLICKHOUSE_URL"]  # the mark of the test has skipped it where there is no server
    pytest.importorskip("clickhouse_driver", reason="pip install 'jiyuan-veda[clickhouse]'")
    return f"{url}?tables=t{uuid.uuid4().hex}"
