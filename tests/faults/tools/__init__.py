"""Tools that break things on purpose, always the same way for the same seed.

``proxy``
    a TCP line that is slow, cut, reset, swallowed or refused
``kill``
    ``kill -9`` of a process at its N-th write, fsync or rename
``power``
    power loss for any process: record its file calls, lose what it had not fsynced
``sqlite_power``
    power loss under SQLite, inside this process
``disk``
    a disk that is full
``clock``
    a clock that is wrong, or leaps
"""
