"""What every place of channels must do."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pyarrow as pa
import pytest

from kyrios.channel import Channel
from kyrios.errors import BadInput, ChannelFull


def numbers(*values: int) -> pa.Table:
    """Return a table of one column, ``n``."""
    return pa.table({"n": pa.array(values, pa.int64())})


class ChannelContract:
    """Give an `open_again` fixture that opens the same channel anew: columns ``n`` of int64, a capacity of 3."""

    @pytest.fixture
    def channel(self, open_again: Callable[[], Channel]) -> Channel:
        """Give the channel, empty."""
        return open_again()

    def test_every_reader_gets_every_message_in_order(self, channel: Channel) -> None:
        readers = [channel.reader("first"), channel.reader("second")]
        assert [channel.send(numbers(n)) for n in (7, 8, 9)] == [1, 2, 3]

        for reader in readers:
            got = [reader.receive(timeout=5) for _ in range(3)]
            assert [(m.position, m.table) for m in got if m] == [(1, numbers(7)), (2, numbers(8)), (3, numbers(9))]

    def test_a_message_that_was_sent_before_its_first_reader_came_waits_for_him(self, channel: Channel) -> None:
        channel.send(numbers(1))

        message = channel.reader("late").receive(timeout=5)

        assert message is not None
        assert message.table == numbers(1)

    def test_a_table_with_other_columns_is_refused_and_nothing_is_sent(self, channel: Channel) -> None:
        reader = channel.reader("r")
        for wrong in (pa.table({"m": [1]}), pa.table({"n": ["x"]}), pa.table({"n": [1], "m": [2]})):
            with pytest.raises(BadInput, match=channel.name):
                channel.send(wrong)

        assert reader.receive(timeout=0) is None

    def test_a_full_channel_lets_the_sender_wait_and_then_gives_up(self, channel: Channel) -> None:
        channel.reader("slow")
        for n in range(3):
            channel.send(numbers(n))

        with pytest.raises(ChannelFull, match="3 messages wait"):
            channel.send(numbers(3), timeout=0.02)

    def test_a_sender_that_waits_goes_on_as_soon_as_the_slowest_reader_commits(
        self, channel: Channel, open_again: Callable[[], Channel]
    ) -> None:
        quick, slow = channel.reader("quick"), channel.reader("slow")
        for n in range(3):
            channel.send(numbers(n))
        quick.commit(3)
        sent = []
        sender = threading.Thread(target=lambda: sent.append(open_again().send(numbers(3), timeout=30)))
        sender.start()

        slow.receive(timeout=5)
        slow.commit()
        sender.join(30)

        assert sent == [4]

    def test_a_reader_that_waits_gets_what_is_sent_meanwhile(
        self, channel: Channel, open_again: Callable[[], Channel]
    ) -> None:
        reader = channel.reader("r")
        got = []
        waiting = threading.Thread(target=lambda: got.append(reader.receive(timeout=30)))
        waiting.start()

        open_again().send(numbers(5))
        waiting.join(30)

        assert [message.table for message in got if message] == [numbers(5)]

    def test_nothing_comes_from_an_empty_channel(self, channel: Channel) -> None:
        assert channel.reader("r").receive(timeout=0.02) is None

    def test_what_was_not_committed_comes_again_and_what_was_does_not(
        self, channel: Channel, open_again: Callable[[], Channel]
    ) -> None:
        reader = channel.reader("r")
        for n in (7, 8, 9):
            channel.send(numbers(n))
        for _ in range(3):
            reader.receive(timeout=5)
        reader.commit(2)

        again = open_again().reader("r").receive(timeout=5)

        assert again is not None
        assert (again.position, again.table) == (3, numbers(9))

    def test_a_reader_goes_on_behind_the_position_of_its_checkpoint(self, channel: Channel) -> None:
        reader = channel.reader("r")
        for n in (7, 8, 9):
            channel.send(numbers(n))
        for _ in range(3):
            reader.receive(timeout=5)

        message = reader.receive(timeout=5, after=1)

        assert message is not None
        assert message.position == 2

    def test_a_message_that_is_sent_again_with_its_id_is_there_once(self, channel: Channel) -> None:
        reader = channel.reader("r")

        assert [channel.send(numbers(1), id="mine") for _ in range(2)] == [1, 1]
        assert channel.send(numbers(2)) == 2
        reader.receive(timeout=5)
        second = reader.receive(timeout=5)
        assert second is not None
        assert second.table == numbers(2)

    def test_a_reader_that_has_left_holds_nobody_up(self, channel: Channel) -> None:
        stays, leaves = channel.reader("stays"), channel.reader("leaves")
        for n in range(3):
            channel.send(numbers(n))
        stays.commit(3)

        leaves.leave()

        assert channel.send(numbers(3), timeout=5) == 4

    def test_a_commit_never_goes_back_nor_beyond_what_was_sent(
        self, channel: Channel, open_again: Callable[[], Channel]
    ) -> None:
        reader = channel.reader("r")
        channel.send(numbers(1))
        reader.commit(99)
        reader.commit(0)
        channel.send(numbers(2))

        message = open_again().reader("r").receive(timeout=5)

        assert message is not None
        assert message.position == 2

    def test_no_message_is_lost_or_doubled_between_many_senders_and_readers(
        self, channel: Channel, open_again: Callable[[], Channel]
    ) -> None:
        got: dict[str, list[int]] = {"a": [], "b": []}
        readers = {name: open_again().reader(name) for name in got}

        def send(first: int) -> None:
            mine = open_again()
            for n in range(first, first + 20):
                mine.send(numbers(n), timeout=60)

        def read(name: str) -> None:
            while len(got[name]) < 40:
                message = readers[name].receive(timeout=60)
                assert message is not None
                got[name].append(message.table["n"][0].as_py())
                readers[name].commit()

        threads = [threading.Thread(target=send, args=(first,)) for first in (0, 100)]
        threads += [threading.Thread(target=read, args=(name,)) for name in got]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)

        assert got["a"] == got["b"]
        assert sorted(got["a"]) == [*range(20), *range(100, 120)]
        for first in (0, 100):  # what one sender sent stays in its order
            assert [n for n in got["a"] if first <= n < first + 20] == list(range(first, first + 20))
