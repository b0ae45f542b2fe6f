"""What the fuzzer does, a little of it and without the fuzzer."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.fuzz.reader import Reader, broken

FOUND = Path(__file__).with_name("found")  # inputs that once broke the reader


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    monkeypatch.setenv("VEDA_HOME", str(tmp_path / "home"))
    return Reader(tmp_path)


def test_what_is_made_of_valid_input_is_accepted_or_refused(reader: Reader):
    chance = random.Random(9)

    for seed in reader.seeds():
        reader.take(seed)
        for _ in range(2):
            reader.take(broken(seed, [chance.getrandbits(40) for _ in range(chance.randint(1, 4))]))


def test_what_once_broke_the_reader_is_refused(reader: Reader):
    for path in sorted(FOUND.glob("*")):
        reader.take(path.read_bytes())
