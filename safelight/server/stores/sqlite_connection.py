"""SQLite's writing connection: how it is opened, statements run in its transaction, and what its errors mean."""

import fcntl
import os
import sqlite3
import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from safelight.server.stores.statements import Statement, Value, expanded, in_runs, numbered
from safelight.server.stores.transaction import Found
from safelight.sync_protocol.refusals import Code, Refused

CACHE_SIZE_KIB = 16 * 1024  # holds the pages of a large group, so that none is written before its end

# The bytes of the database file that every connection locks to share, and one locks alone to checkpoint as it closes.
_SHARED_START_BYTES, _SHARED_SIZE_BYTES = 0x40000002, 510

# Growing the shared index of the WAL fails so when the disk is full; nothing was synced, so nothing was lost.
_FULL_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP})
_BROKEN_CODES = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
    }
)


class SqliteTransaction:
    """A transaction on the writer's connection; its coroutines never wait."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def rows(self, statement: Statement, **values: Value) -> list[Found]:
        """Run and return what it finds or returns."""
        return self._connection.execute(numbered(statement, "?"), statement.values(values)).fetchall()

    async def rows_in(self, statement: Statement, each: Sequence[bytes], **values: Value) -> list[Found]:
        """Run for all of *each*."""
        found: list[Found] = []
        first = statement.values(values)
        for run in in_runs(each):
            found += self._connection.execute(numbered(expanded(statement, len(run)), "?"), (*first, *run))
        return found

    async def run_many(self, statement: Statement, rows: Iterable[Sequence[Value]]) -> None:
        """Run for each of *rows*."""
        self._connection.executemany(numbered(statement, "?"), rows)

    async def take_turns(self, name: bytes) -> None:
        """Nothing to wait for: transactions follow one another."""

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what is written within if it raises."""
        self._connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:  # a full disk ends the whole transaction
                self._connection.execute("ROLLBACK TO part")
                self._connection.execute("RELEASE part")
            raise
        self._connection.execute("RELEASE part")


def connect(path: Path) -> sqlite3.Connection:
    """Open *path* in WAL mode, committing and checkpointing only when told to."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    for pragma in (
        "journal_mode = WAL",
        "wal_autocheckpoint = 0",
        "temp_store = MEMORY",
        "busy_timeout = 5000",
        f"cache_size = -{CACHE_SIZE_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def leave_wal_alone(path: Path) -> None:
    """From now on SQLite does not checkpoint as its last connection closes, as long as this process lives.

    After a failed sync nothing may be synced again and then be believed, the WAL least of all, which that checkpoint
    deletes. SQLite can be told so only from Python 3.12 on; a lock of our own that it cannot share works in all. Where
    a system has no such locks, SQLite checkpoints frames alone that were synced before.
    """
    if not hasattr(fcntl, "F_OFD_SETLK"):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # stays open: closing it would let go of SQLite's locks
    lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, _SHARED_START_BYTES, _SHARED_SIZE_BYTES, 0)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)


def storage_refusal(error: sqlite3.Error) -> Refused | None:
    """The refusal that says what the disk did, or None if it was the statement."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    if code in _FULL_CODES:
        return Refused(Code.STORAGE_FULL)
    if code & 0xFF in _BROKEN_CODES:
        return Refused(Code.STORAGE_READ_ONLY, "the database could not be written")
    return None
