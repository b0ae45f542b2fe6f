from __future__ import annotations

import pytest
from tests.conformance.commands import LIBRARIES, Place


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "place")


@pytest.fixture(params=LIBRARIES)
def library(request):
    return request.param
