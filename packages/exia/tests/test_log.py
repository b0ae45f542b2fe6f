from __future__ import annotations

import errno
import multiprocessing
import os
import threading

import pytest

from exia.errors import BackendUnavailable, Conflict, Damaged
from exia.log import START, Cursor, LogReader, LogWriter, in_use, read_cursor, retain, trim, write_cursor
from exia.log.segment import segments


def opened(folder, **options):
    return LogWriter(folder, **{"encode": lambda items: [str(item).encode() for item in items], **options})


def written(folder, *items, **options):
    writer = opened(folder, **options)
    for item in items:
        writer.put(item)
        if "segment_bytes" in options:
            writer.flush()
    writer.close()


def texts(folder, cursor=START):
    reader, found = LogReader(folder, cursor), []
    while records := reader.read(100):
        found += [record.data.decode() for record in records]
    return found


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def full_disk(monkeypatch):
    """A disk that takes half of each write and then is full, until the test makes room."""
    real, room = os.pwrite, threading.Event()

    def pwrite(descriptor, data, offset):
        if room.is_set():
            return real(descriptor, data, offset)
        real(descriptor, bytes(data)[: len(data) // 2], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", pwrite)
    return room


def test_what_was_put_comes_back_in_order_with_its_number(folder):
    written(folder, *range(25_000))

    reader = LogReader(folder)
    records = [record for _ in range(25) for record in reader.read(1_000)]

    assert [record.number for record in records] == list(range(25_000))
    assert [record.data for record in records] == [b"%d" % n for n in range(25_000)]
    assert reader.read() == []


def test_what_was_flushed_can_be_read_while_the_writer_goes_on(folder):
    writer = opened(folder, period=60)
    writer.put("a")
    writer.flush()
    reader = LogReader(folder)

    assert [r.data for r in reader.read()] == [b"a"]
    writer.put("b")
    writer.flush()
    assert [r.data for r in reader.read()] == [b"b"]
    writer.close()


def test_a_log_that_was_never_written_is_empty(folder):
    assert LogReader(folder).read() == []


def test_a_consumer_goes_on_where_it_was(folder, tmp_path):
    written(folder, *range(10))
    reader = LogReader(folder)
    reader.read(4)
    write_cursor(tmp_path / "mine.cursor", reader.cursor)

    assert texts(folder, read_cursor(tmp_path / "mine.cursor")) == [str(n) for n in range(4, 10)]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[1, 2]", b"null"])
def test_a_cursor_that_cannot_be_read_begins_again(tmp_path, content):
    (tmp_path / "mine.cursor").write_bytes(content)

    assert read_cursor(tmp_path / "mine.cursor") == START
    assert read_cursor(tmp_path / "none.cursor") == START


def test_records_go_on_over_segments(folder):
    written(folder, *range(50), segment_bytes=64)

    assert len(segments(folder)) == 10
    assert texts(folder) == [str(n) for n in range(50)]


def test_a_record_larger_than_what_is_read_at_once_is_read_whole(folder):
    written(folder, "x" * 3_000_000, "y")

    assert texts(folder) == ["x" * 3_000_000, "y"]


def test_a_log_is_gone_on_with_and_its_numbers_too(folder):
    written(folder, "a", "b")
    written(folder, "c")

    assert [r.number for r in LogReader(folder).read()] == [0, 1, 2]
    assert texts(folder) == ["a", "b", "c"]


@pytest.mark.parametrize("cut", [1, 5, 8, 9])
def test_a_torn_end_is_no_record_and_is_cut_off_by_the_next_writer(folder, cut):
    written(folder, "first", "second")
    path = segments(folder)[-1].path
    path.write_bytes(path.read_bytes()[:-cut])

    assert texts(folder) == ["first"]
    written(folder, "third")
    assert texts(folder) == ["first", "third"]


@pytest.mark.parametrize("left", [b"", b"EXIA", bytes(16)])
def test_a_segment_that_was_torn_while_it_was_begun_holds_nothing(folder, left):
    written(folder, "first")
    (folder / f"{1:020d}.seg").write_bytes(left)

    assert texts(folder) == ["first"]
    written(folder, "second")
    assert texts(folder) == ["first", "second"]


def test_a_record_that_was_altered_is_named_and_can_be_passed_over(folder):
    written(folder, *range(20), segment_bytes=100)
    there = segments(folder)
    data = bytearray(there[0].path.read_bytes())
    data[-1] ^= 1
    there[0].path.write_bytes(data)
    reader = LogReader(folder)
    before = len(reader.read())

    with pytest.raises(Damaged, match=f"{there[0].path.name} is damaged at byte"):
        reader.read()
    assert reader.skip() == 1
    assert reader.read()[0].number == before + 1


def test_records_in_the_wrong_order_are_no_records(folder):
    written(folder, "a", "b")
    path = segments(folder)[0].path
    data = path.read_bytes()
    size = (len(data) - 16) // 2
    path.write_bytes(data[:16] + data[16 + size :] + data[16 : 16 + size])

    assert texts(folder) == []


def test_one_writes_to_a_log_at_a_time(folder):
    writer = opened(folder)

    assert in_use(folder)
    with pytest.raises(Conflict, match="another writes to the log"):
        opened(folder)
    writer.close()
    assert not in_use(folder)
    opened(folder).close()


def test_a_closed_log_takes_nothing_and_closing_twice_changes_nothing(folder):
    writer = opened(folder)
    writer.close()
    writer.close()

    with pytest.raises(Conflict, match="is closed"):
        writer.put("late")
    with pytest.raises(Conflict, match="is closed"):
        writer.flush()


def test_a_full_queue_lets_the_caller_wait_until_there_is_room(folder):
    writer = opened(folder, bound=10, period=0.001)
    for n in range(2_000):
        writer.put(n)
    writer.close()

    assert texts(folder) == [str(n) for n in range(2_000)]


def test_a_full_queue_may_drop_and_count_and_the_log_says_how_many(folder):
    go_on, taken = threading.Event(), threading.Event()

    def encode(items):
        taken.set()
        go_on.wait(10)
        return [str(item).encode() for item in items]

    writer = opened(folder, bound=100, when_full="drop", lost=lambda n: f"lost {n}", encode=encode)
    writer.put("first")
    assert taken.wait(10)  # the writer holds the first now
    for n in range(150):
        writer.put(n)
    go_on.set()
    writer.flush()
    writer.put("last")
    writer.close()

    assert writer.dropped == 50
    assert [t for t in texts(folder) if t.startswith("lost")] == ["lost 50"]
    assert len(texts(folder)) == 103


def test_an_item_that_is_no_record_does_not_take_the_others_with_it(folder, caplog):
    written(folder, "a", "b", encode=lambda items: [{"a": b"fine"}[item] for item in items])

    assert texts(folder) == ["fine"]
    assert "an item cannot be recorded: KeyError" in caplog.text


def test_a_full_disk_is_told_and_nothing_is_lost_when_there_is_room_again(folder, full_disk):
    writer = opened(folder)
    for n in range(100):
        writer.put(n)

    with pytest.raises(BackendUnavailable, match="cannot be written: No space left on device") as caught:
        writer.flush()
    assert "free some space" in str(caught.value.hint)
    assert texts(folder) == []
    full_disk.set()
    writer.flush()

    assert texts(folder) == [str(n) for n in range(100)]
    writer.close()
    assert writer.error is None


def test_a_disk_that_stays_full_is_told_at_the_end(folder, full_disk):
    writer = opened(folder, period=0.01)
    writer.put("a")

    with pytest.raises(BackendUnavailable, match="No space left on device"):
        writer.close(timeout=0.1)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(BackendUnavailable, match="cannot be written"):
        opened(tmp_path / "file" / "log")


def test_segments_that_all_have_passed_are_trimmed(folder):
    written(folder, *range(20), segment_bytes=64)
    fast, slow = LogReader(folder), LogReader(folder)
    for _ in range(15):
        fast.read(1)
    for _ in range(8):
        slow.read(1)

    removed = trim(folder, [fast.cursor, slow.cursor])

    assert removed > 0
    assert segments(folder)[0].first == slow.cursor.segment
    assert texts(folder, slow.cursor) == [str(n) for n in range(8, 20)]
    assert trim(folder, [START]) == 0


def test_the_oldest_segments_go_when_there_are_too_many_bytes_or_years(folder):
    written(folder, *range(30), segment_bytes=64)
    size = sum(s.path.stat().st_size for s in segments(folder))

    retain(folder, max_bytes=size // 2)
    kept = texts(folder)
    assert kept[-1] == "29"
    assert 0 < len(kept) < 30
    assert sum(s.path.stat().st_size for s in segments(folder)) <= size // 2
    os.utime(segments(folder)[0].path, (0, 0))
    retain(folder, max_age=3600)
    assert 0 < len(texts(folder)) < len(kept)


def test_a_cursor_whose_segment_is_gone_goes_on_with_the_oldest(folder):
    written(folder, *range(30), segment_bytes=64)
    retain(folder, max_bytes=1)

    assert texts(folder, Cursor(0, 16, 0)) == texts(folder, START) == ["27", "28", "29"]


def test_a_new_segment_calls_for_retention(folder):
    written(folder, *range(30), segment_bytes=64, on_rotate=lambda at: retain(at, max_bytes=200))

    assert len(segments(folder)) <= 5
    assert texts(folder)[-1] == "29"


def test_a_forked_child_is_told_that_the_log_is_not_its_own(folder):
    writer = opened(folder)
    writer.put("parent")
    context = multiprocessing.get_context("fork")
    hears, says = context.Pipe(duplex=False)

    def child():
        try:
            writer.put("child")
        except Conflict as exc:
            says.send(str(exc))

    process = context.Process(target=child)
    process.start()
    assert hears.poll(10)
    assert "was opened before a fork" in hears.recv()
    process.join()
    writer.put("parent again")
    writer.close()

    assert texts(folder) == ["parent", "parent again"]


def test_many_threads_put_and_each_finds_its_own_order(folder):
    writer = opened(folder, bound=500, period=0.001)
    threads = [threading.Thread(target=lambda i=i: [writer.put(f"{i} {n}") for n in range(1_000)]) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()

    found = texts(folder)
    assert len(found) == 8_000
    assert all([t for t in found if t.startswith(f"{i} ")] == [f"{i} {n}" for n in range(1_000)] for i in range(8))
