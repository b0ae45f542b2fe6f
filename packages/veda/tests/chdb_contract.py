"""The registry's contract on a current ClickHouse engine; ``test_chdb.py`` runs this file where chdb is installed."""

from __future__ import annotations

import json
import uuid

import pytest
from chdb.session import Session
from clickhouse_driver.util.escape import escape_params

from veda import open_registry
from veda.registry import clickhouse
from veda.testing import RegistryContract


class _Engine:
    """Takes the place of the driver's connection: the same statements, another engine, no network."""

    session: Session

    def execute(self, statement, given=None):
        if isinstance(given, list):
            columns = statement.partition("(")[2].partition(")")[0].split(", ")
            lines = "\n".join(json.dumps(dict(zip(columns, row, strict=True))) for row in given)
            self.session.query(f"{statement.removesuffix('VALUES')} FORMAT JSONEachRow {lines}")
            return []
        if given is not None:
            statement = statement % escape_params(given, _Context)
        said = str(self.session.query(statement, "JSONCompact") or "")
        types = {"UInt64": int}
        answer = json.loads(said) if said.strip() else {"data": [], "meta": []}
        kinds = [types.get(column["type"], lambda v: v) for column in answer["meta"]]
        return [tuple(kind(v) for kind, v in zip(kinds, row, strict=True)) for row in answer["data"]]

    def disconnect(self):
        pass


class _Context:
    class server_info:
        @staticmethod
        def get_timezone():
            return "UTC"


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    session = Session(str(tmp_path_factory.mktemp("chdb")))
    _Engine.session = session
    yield _Engine
    session.close()


class TestRegistry(RegistryContract):
    @pytest.fixture
    def registry(self, engine, monkeypatch):
        monkeypatch.setattr(clickhouse, "Client", lambda **_: engine())
        with open_registry(f"clickhouse://here/default?tables=t{uuid.uuid4().hex}") as registry:
            yield registry
