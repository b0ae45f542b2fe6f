"""The pools that Exia's is measured against, at their defaults or, where those cost them much, at their best.

They hold objects without fields instead of connections, so that what is measured is the pool's own.
"""

from __future__ import annotations

import queue
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Any, NamedTuple

INSTALLED = ("psycopg-pool==3.3.3", "psycopg[binary]>=3.2", "pondpond==1.4.1", "SQLAlchemy==2.1.9", "DBUtils==3.2.0")


class Thing:
    """What is pooled; some pools ask it for the verbs of a connection."""

    __slots__ = ()

    def close(self) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...


class Pooled(NamedTuple):
    """A pool that is open: how to take an object, and how to give back what was taken."""

    take: Callable[[], Any]
    give: Callable[[Any], object]


class Peer(NamedTuple):
    """One pool that somebody could use instead."""

    id: str
    name: str  #: With its version and what was set.
    opened: Callable[[int], AbstractContextManager[Pooled]]  #: Holds so many objects, all idle.
    bounded: bool = True  #: Whether a caller waits where all objects are out.
    fair: bool = False  #: Whether who waits longest is served next.


def peers() -> list[Peer]:
    """Return those that are installed."""
    known = (
        ("psycopg-pool", "psycopg_pool", Peer("psycopg", "defaults, stand-in connections", _psycopg, fair=True)),
        ("SQLAlchemy", "sqlalchemy", Peer("sqlalchemy", "QueuePool, defaults", _sqlalchemy)),
        ("DBUtils", "dbutils", Peer("dbutils", "PooledDB, defaults", _dbutils)),
        ("pondpond", "pond", Peer("pondpond", "eviction off", _pondpond, bounded=False)),
    )
    found = [Peer("queue", "queue.LifoQueue", _lifo_queue)]
    for distribution, module, peer in known:
        try:
            import_module(module)
        except ImportError:
            continue
        found.append(peer._replace(name=f"{distribution} {version(distribution)}, {peer.name}"))
    return found


@contextmanager
def _lifo_queue(size: int) -> Iterator[Pooled]:
    idle: queue.LifoQueue[Thing] = queue.LifoQueue()
    for _ in range(size):
        idle.put(Thing())
    yield Pooled(idle.get, idle.put)


@contextmanager
def _psycopg(size: int) -> Iterator[Pooled]:
    from psycopg.pq import TransactionStatus
    from psycopg_pool import ConnectionPool

    class Info:
        transaction_status = TransactionStatus.IDLE

    class Connection:
        info = Info()
        pgconn = Info()
        closed = False
        _pool: Any = None

        @classmethod
        def connect(cls, *args: Any, **kwargs: Any) -> Connection:
            return cls()

        def close(self) -> None:
            self.closed = True

    # Its defaults are its best here: no check, no reset.
    theirs: Any = ConnectionPool("", connection_class=Connection, min_size=size, max_size=size, open=True)
    theirs.wait()
    yield Pooled(theirs.getconn, theirs.putconn)
    theirs.close()


@contextmanager
def _sqlalchemy(size: int) -> Iterator[Pooled]:
    from sqlalchemy.pool import QueuePool

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs: Any = QueuePool(Thing, pool_size=size, max_overflow=0)
    out = [theirs.connect() for _ in range(size)]  # made when they are first asked for
    while out:
        out.pop().close()
    yield Pooled(theirs.connect, lambda one: one.close())
    theirs.dispose()


@contextmanager
def _dbutils(size: int) -> Iterator[Pooled]:
    from dbutils.pooled_db import PooledDB

    def connect() -> Thing:
        return Thing()

    connect.threadsafety = 1  # type: ignore[attr-defined]
    limits = {"mincached": size, "maxcached": size, "maxconnections": size}
    theirs: Any = PooledDB(connect, **limits, blocking=True, failures=(OSError,))
    yield Pooled(theirs.connection, lambda one: one.close())
    theirs.close()


@contextmanager
def _pondpond(size: int) -> Iterator[Pooled]:
    from pond import Pond, PooledObject, PooledObjectFactory

    class Things(PooledObjectFactory):  # type: ignore[misc]
        def createInstance(self) -> Any:
            return PooledObject(Thing())

        def destroy(self, pooled_object: Any) -> None: ...

        def reset(self, pooled_object: Any, **kwargs: Any) -> Any:
            return pooled_object

        def validate(self, pooled_object: Any) -> bool:
            return True

    # Eviction off is its best; its default costs three times as much.
    theirs: Any = Pond(time_between_eviction_runs=-1)
    theirs.register(Things(pooled_maxsize=size, least_one=False), name="things")
    yield Pooled(lambda: theirs.borrow(name="things"), lambda one: theirs.recycle(one, name="things"))
