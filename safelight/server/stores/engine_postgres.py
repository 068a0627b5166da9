"""The database of a server that outgrew one process: PostgreSQL, which several processes share.

docs/decisions/0008-postgresql.md.
"""

from collections.abc import Mapping, Sequence

from safelight.server.domain.ports.commits import Commit, Committed, Joining, Rejected
from safelight.server.domain.ports.neighbours import Hears
from safelight.server.domain.ports.state import StoreState
from safelight.server.stores.accounts import AccountRows
from safelight.server.stores.albums import AlbumRows
from safelight.server.stores.blobs import BlobRows
from safelight.server.stores.checks import CheckRows
from safelight.server.stores.devices import DeviceRows
from safelight.server.stores.leases import LeaseRows
from safelight.server.stores.links import LinkRows
from safelight.server.stores.migrate import in_postgres, prepare
from safelight.server.stores.postgres_connection import (
    CONNECT_TIMEOUT_S,
    Pool,
    PostgresTransaction,
    close_pool,
    open_pool,
    reach,
)
from safelight.server.stores.postgres_errors import Patience
from safelight.server.stores.postgres_listener import PostgresListener
from safelight.server.stores.postgres_writer import PostgresWriter, T
from safelight.server.stores.server_rows import ServerRows
from safelight.server.stores.spaces import SQL as SPACES
from safelight.server.stores.spaces import SpaceRows
from safelight.server.stores.statements import Statement, Value, statement
from safelight.server.stores.table_rows import TableRows
from safelight.server.stores.together import Together
from safelight.server.stores.transaction import Found, Work
from safelight.server.stores.trash import TrashRows
from safelight.server.stores.upload_links import UploadLinkRows
from safelight.sync_protocol.refusals import Code

READERS = 4
WRITERS = 4
_STATE = statement(
    "state",
    "SELECT pg_database_size(current_database()),"
    " pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'",
)


class PostgresReaders:
    """Statements that only read, each on a connection of the pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def rows(self, statement: Statement, **values: Value) -> list[Found]:
        """Run and return what it finds."""
        patience = Patience()
        while True:
            try:
                async with self._pool.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
                    return await PostgresTransaction(connection).rows(statement, **values)
            except Exception as error:  # noqa: BLE001 - what is not tried again is raised by `after`
                await patience.after(error)

    async def rows_in(self, statement: Statement, each: Sequence[bytes], **values: Value) -> list[Found]:
        """Run for all of *each*."""
        if not each:
            return []
        patience = Patience()
        while True:
            try:
                async with self._pool.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
                    return await PostgresTransaction(connection).rows_in(statement, each, **values)
            except Exception as error:  # noqa: BLE001 - what is not tried again is raised by `after`
                await patience.after(error)


class PostgresDatabase(
    ServerRows,
    AccountRows,
    DeviceRows,
    SpaceRows,
    AlbumRows,
    BlobRows,
    LeaseRows,
    LinkRows,
    UploadLinkRows,
    CheckRows,
    TableRows,
    TrashRows,
):
    """The port `Database`, in PostgreSQL. Open it with `open`, close it with `close`."""

    def __init__(self, address: str, readers: Pool, writers: Pool) -> None:
        super().__init__()
        self._address = address
        self._listener: PostgresListener | None = None
        self._ledger_numbers = Together(self._ledger_numbers_of)
        self._pools = (writers, readers)
        self._readers = PostgresReaders(readers)
        self._writer = PostgresWriter(writers)

    @classmethod
    async def open(cls, address: str) -> "PostgresDatabase":
        """Open the database at *address* (`postgresql://…`), with its tables made and migrated as needed.

        Raises DatabaseRefused where it is not safe to use, or not reached within START_PATIENCE_S.
        """
        await reach(address)
        await in_postgres(address, prepare)
        readers = await open_pool(address, READERS)
        try:
            return cls(address, readers, await open_pool(address, WRITERS))
        except BaseException:
            await close_pool(readers)
            raise

    @property
    def _reading(self) -> PostgresReaders:
        return self._readers

    async def _write(self, work: Work[T]) -> T:
        return await self._writer.write(work)

    def tell(self, hears: Hears) -> None:
        """Listen to what all processes commit, from now on until `close`."""
        self._listener = PostgresListener(self._address, self._me(), hears)

    async def newest_ledger_number(self, space_id: bytes) -> int | None:
        """Return where the space's ledger stands; asked anew each time, together with others who ask."""
        return await self._ledger_numbers.find(space_id)

    async def _ledger_numbers_of(self, space_ids: Sequence[bytes]) -> Mapping[bytes, int]:
        return dict(await self._readers.rows_in(SPACES["ledger_numbers"], space_ids))

    async def commit(self, batch: Sequence[Commit], joining: Joining | None = None) -> list[Committed | Rejected]:
        """Commit *batch* with what else waits, in one durable transaction; see the port."""
        return await self._writer.commit(batch, joining)

    async def state(self) -> StoreState:
        """Say whether the database answers and takes writes, and how large it is. Its disk is its own to watch."""
        [(size_bytes, takes_none)] = await self._readers.rows(_STATE)
        return StoreState(Code.STORAGE_READ_ONLY if takes_none else None, int(size_bytes))

    async def integrity(self) -> list[str]:
        """Nothing: PostgreSQL's own checks (amcheck, checksums) are its owner's to run."""
        return []

    async def close(self) -> None:
        """Finish what waits and close."""
        if self._listener is not None:
            await self._listener.close()
        await self._writer.close()
        for pool in self._pools:
            await close_pool(pool)
