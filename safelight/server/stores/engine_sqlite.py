"""The database of one person's server: SQLite in the data folder, one writer, and readers that only read.

docs/decisions/0004-sqlite.md.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import aiosqlite

from safelight.server.domain.ports.commits import Commit, Committed, Joining, Rejected
from safelight.server.domain.ports.neighbours import Hears
from safelight.server.domain.ports.state import StoreState
from safelight.server.stores import disk
from safelight.server.stores.accounts import AccountRows
from safelight.server.stores.albums import AlbumRows
from safelight.server.stores.blobs import BlobRows
from safelight.server.stores.checks import CheckRows
from safelight.server.stores.devices import DeviceRows
from safelight.server.stores.links import LinkRows
from safelight.server.stores.migrate import in_sqlite, prepare
from safelight.server.stores.server_rows import ServerRows
from safelight.server.stores.spaces import SpaceRows
from safelight.server.stores.sqlite_writer import SqliteWriter, T
from safelight.server.stores.statements import Row, Statement, Value, expanded, in_runs, numbered, statement
from safelight.server.stores.table_rows import TableRows
from safelight.server.stores.transaction import Found, Transaction, Work
from safelight.server.stores.trash import TrashRows
from safelight.server.stores.upload_links import UploadLinkRows
from safelight.sync_protocol.refusals import Code

READERS = 3
_INTEGRITY = statement("integrity", "PRAGMA integrity_check(20)")


class SqliteReaders:
    """Connections that can only read, never checkpoint, and share what is asked between them."""

    def __init__(self, connections: Sequence[aiosqlite.Connection]) -> None:
        self._connections = connections
        self._busy = [0] * len(connections)

    @classmethod
    async def open(cls, path: Path, count: int = READERS) -> "SqliteReaders":
        """Open *count* connections to *path*."""
        connections = []
        for _ in range(count):
            connection = aiosqlite.connect(path, isolation_level=None, cached_statements=512)
            connection._thread.daemon = True  # noqa: SLF001 - else a server that fails hangs instead of ending
            await connection
            connections.append(connection)
            for pragma in ("query_only = ON", "wal_autocheckpoint = 0", "temp_store = MEMORY", "busy_timeout = 5000"):
                await connection.execute_fetchall(f"PRAGMA {pragma}")
        return cls(connections)

    async def rows(self, statement: Statement, **values: Value) -> list[Found]:
        """Run and return what it finds."""
        return await self._run(numbered(statement, "?"), statement.values(values))

    async def rows_in(self, statement: Statement, each: Sequence[bytes], **values: Value) -> list[Found]:
        """Run for all of *each*."""
        found: list[Found] = []
        first = statement.values(values)
        for run in in_runs(each):
            found += await self._run(numbered(expanded(statement, len(run)), "?"), (*first, *run))
        return found

    async def _run(self, sql: str, values: Row) -> list[Found]:
        """Run on the least busy connection."""
        index = self._busy.index(min(self._busy))
        self._busy[index] += 1
        try:
            return [tuple(row) for row in await self._connections[index].execute_fetchall(sql, values)]
        finally:
            self._busy[index] -= 1

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            await connection.close()


class SqliteDatabase(
    ServerRows,
    AccountRows,
    DeviceRows,
    SpaceRows,
    AlbumRows,
    BlobRows,
    LinkRows,
    UploadLinkRows,
    CheckRows,
    TableRows,
    TrashRows,
):
    """The port `Database`, in one file of the data folder, whose lock keeps every other process out.

    Open it with `open`, close it with `close`.
    """

    def __init__(self, path: Path, writer: SqliteWriter, readers: SqliteReaders) -> None:
        super().__init__()
        self._path = path
        self._writer = writer
        self._readers = readers

    @classmethod
    async def open(cls, path: Path) -> "SqliteDatabase":
        """Open the database at *path*, made and migrated as needed."""
        await asyncio.to_thread(_prepare, path)
        writer = SqliteWriter(path)
        try:
            return cls(path, writer, await SqliteReaders.open(path))
        except BaseException:
            await writer.close()
            raise

    @property
    def _reading(self) -> SqliteReaders:
        return self._readers

    async def _write(self, work: Work[T]) -> T:
        return await self._writer.write(work)

    def tell(self, hears: Hears) -> None:
        """Nothing to tell: the file has one process."""

    async def newest_ledger_number(self, space_id: bytes) -> int | None:  # noqa: ARG002 - the port's
        """None: nobody else writes."""
        return None

    async def _check_lease(self, tx: Transaction, name: bytes) -> None:
        """Nobody else could have taken it."""

    async def take_lease(self, name: bytes, lasts_ms: int) -> int:  # noqa: ARG002 - the port's
        """Whatever is asked for is this process's: the file has no other."""
        return 0

    async def renew_lease(self, name: bytes, lasts_ms: int) -> bool:  # noqa: ARG002 - the port's
        """Nobody else could have taken it."""
        return True

    async def release_lease(self, name: bytes) -> None:
        """Nobody waits for it."""

    async def commit(
        self,
        batch: Sequence[Commit],
        joining: Joining | None = None,  # noqa: ARG002 - the port's
    ) -> list[Committed | Rejected]:
        """Commit *batch* with what else waits, in one durable transaction; it never waits for a space."""
        return await self._writer.commit(batch)

    async def state(self) -> StoreState:
        """Say whether a reader answers and the writer still writes, and how much room there is."""
        await self.highest_time_ms()
        size_bytes, room = await asyncio.to_thread(_measure, self._path)
        refusal = Code.STORAGE_READ_ONLY if room.read_only else self._writer.refusal()
        return StoreState(refusal, size_bytes, room.free_bytes, room.total_bytes)

    async def integrity(self) -> list[str]:
        """Return what SQLite finds wrong with its file and indexes, at most a few lines of it."""
        rows = await self._readers.rows(_INTEGRITY)
        return [said for (said,) in rows if said != "ok"]

    async def close(self) -> None:
        """Finish what waits and close; the writer last, because the last to close checkpoints."""
        await self._readers.close()
        await self._writer.close()


def _measure(path: Path) -> tuple[int, disk.Room]:
    """The size of the database with what is not checkpointed yet, and the room on its disk."""
    wal = path.with_name(path.name + "-wal")
    return path.stat().st_size + (wal.stat().st_size if wal.exists() else 0), disk.room_at(path.parent)


def _prepare(path: Path) -> None:
    """Make the file for its owner alone, and bring it to the newest tables."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    in_sqlite(str(path), prepare)
