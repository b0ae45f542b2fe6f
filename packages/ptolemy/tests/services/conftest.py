from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ptolemy.testing.services import nobody_left


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Give a callable that writes jiyuan.toml; whatever a test started has ended after it."""

    def write(text: str) -> Path:
        path = tmp_path / "jiyuan.toml"
        path.write_text(text)
        return path

    with nobody_left(tmp_path):
        yield write
