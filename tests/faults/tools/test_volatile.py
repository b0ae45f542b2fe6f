from __future__ import annotations

from tests.faults.tools.volatile import SECTOR, VolatileDisk


def left(disk: VolatileDisk, path: str, tries: int = 200) -> set[bytes | None]:
    """Return every content that a power loss may leave; None where the file is gone."""
    return {disk.after_loss(seed).get(path) for seed in range(tries)}


def disk_with(names: str = "strict") -> VolatileDisk:
    disk = VolatileDisk("journalled" if names == "journalled" else "strict")
    disk.load({"/d": None, "/d/f": b"old"})
    return disk


def test_what_was_there_before_stays():
    assert left(disk_with(), "/d/f") == {b"old"}


def test_a_write_that_was_not_synced_is_there_or_lost():
    disk = disk_with()
    disk.names["/d/f"].write(0, b"new")

    assert left(disk, "/d/f") == {b"old", b"new"}


def test_a_long_write_is_torn_at_the_end_of_a_sector():
    disk = disk_with()
    disk.names["/d/f"].write(0, b"n" * 3 * SECTOR)

    assert left(disk, "/d/f") == {b"old", b"n" * SECTOR, b"n" * 2 * SECTOR, b"n" * 3 * SECTOR}


def test_a_later_write_may_survive_an_earlier_one():
    disk = disk_with()
    disk.names["/d/f"].write(0, b"12")
    disk.names["/d/f"].write(3, b"34")

    assert left(disk, "/d/f") == {b"old", b"12d", b"old34", b"12d34"}


def test_a_synced_write_stays():
    disk = disk_with()
    disk.names["/d/f"].write(0, b"new")
    disk.sync(disk.names["/d/f"])

    assert left(disk, "/d/f") == {b"new"}


def test_a_file_that_was_synced_is_gone_all_the_same_while_its_folder_was_not():
    disk = disk_with()
    made = disk.create("/d/g")
    made.write(0, b"new")
    disk.sync(made)
    assert left(disk, "/d/g") == {None, b"new"}

    disk.sync_folder("/d")

    assert left(disk, "/d/g") == {b"new"}


def test_a_journalled_disk_keeps_the_names_that_are_older_than_any_sync():
    disk = disk_with("journalled")
    made = disk.create("/d/g")
    made.write(0, b"new")
    disk.sync(made)

    assert left(disk, "/d/g") == {b"new"}


def test_a_rename_happens_whole_or_not_at_all():
    disk = disk_with()
    new = disk.create("/d/new")
    new.write(0, b"new")
    disk.sync(new)
    disk.rename("/d/new", "/d/f")

    assert left(disk, "/d/f") == {b"old", b"new"}


def test_names_in_one_folder_change_in_their_order():
    disk = disk_with()
    disk.create("/d/1")
    disk.create("/d/2")

    states = {(("/d/1" in state), ("/d/2" in state)) for state in map(disk.after_loss, range(100))}

    assert states == {(False, False), (True, False), (True, True)}


def test_after_a_sync_of_everything_nothing_is_lost():
    disk = disk_with()
    disk.create("/d/g").write(0, b"new")
    disk.rename("/d/f", "/d/moved")
    disk.sync_all()

    states = [disk.after_loss(n) for n in range(50)]

    assert states == [{"/d": None, "/d/g": b"new", "/d/moved": b"old"}] * 50


def test_the_same_seed_leaves_the_same():
    disk = disk_with()
    for n in range(50):
        disk.names["/d/f"].write(n, b"%d" % n)

    assert disk.after_loss(7) == disk.after_loss(7)
    assert len({str(disk.after_loss(n)) for n in range(20)}) > 1
