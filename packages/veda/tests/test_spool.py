"""What is packed waits for its manifest, in memory or beyond it in a file."""

import pytest

from veda.spool import Spool

CHUNKS = [b"first", b"the second, which is larger", b"", b"4"]


@pytest.mark.parametrize("memory", [0, 5, 12, 1 << 20])
def test_chunks_come_back_in_their_order_wherever_they_were_kept(memory):
    with Spool(memory) as spool:
        for chunk in CHUNKS:
            spool.add(chunk)

        assert list(spool) == CHUNKS


def test_what_exceeds_the_memory_goes_to_a_file_that_is_gone_afterwards(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("veda.spool.TemporaryFile", lambda: opened.append((tmp_path / "f").open("x+b")) or opened[-1])
    with Spool(4) as spool:
        spool.add(b"1234")
        assert not opened
        spool.add(b"5")

        assert list(spool) == [b"1234", b"5"]

    assert opened[0].closed
