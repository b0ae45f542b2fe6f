"""The contract of the services, on each adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ptolemy.services import Services, open_services
from ptolemy.testing import ServicesContract
from ptolemy.testing.services import nobody_left


@pytest.fixture(params=["process", pytest.param("supervisor", marks=pytest.mark.supervisor)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Services]]:
    folder = tmp_path / "kept"
    with nobody_left(tmp_path):
        yield lambda: open_services(f"{request.param}://{folder}")


class TestServices(ServicesContract):
    """All of `ServicesContract`, once per adapter."""
