"""The log on this machine's disk: what was told first is kept here, and delivered from here.

One process writes one log: callers put items into a bounded queue, a thread makes records of them, appends
them to segment files with a checksum each, and syncs. Consumers read it from cursors of their own, as late as
they like; a segment may go when all have passed it.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     writer = LogWriter(Path(folder) / "log", encode=lambda items: [item.encode() for item in items])
...     writer.put("first")
...     writer.flush()
...     [record.data for record in LogReader(Path(folder) / "log").read()]
...     writer.close()
[b'first']
"""

from exia.log.reader import START, Cursor, LogReader, Record, read_cursor, write_cursor
from exia.log.retention import retain, trim
from exia.log.writer import LogWriter, in_use

__all__ = [
    "START",
    "Cursor",
    "LogReader",
    "LogWriter",
    "Record",
    "in_use",
    "read_cursor",
    "retain",
    "trim",
    "write_cursor",
]
