"""PostgreSQL's connections: how they are made and checked, and statements run in a transaction on one."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import asyncpg

from safelight.server.stores.postgres_errors import DatabaseRefused, FateUnknown, Meaning, meaning
from safelight.server.stores.statements import Statement, Value, expanded, in_runs, numbered
from safelight.server.stores.transaction import Found, Work

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection = Pool = object

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 30.0
START_PATIENCE_S = 20.0
START_PAUSE_S = 0.5
MIN_VERSION = 13

_LOG = logging.getLogger(__name__)
_SESSION = {
    "application_name": "safelight",
    # A process that froze or vanished in a transaction holds rows locked that others wait for.
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "15s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


class PostgresTransaction:
    """A transaction on a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def rows(self, statement: Statement, **values: Value) -> list[Found]:
        """Run and return what it finds or returns."""
        return _found(await self._connection.fetch(numbered(statement, "$"), *statement.values(values)))

    async def rows_in(self, statement: Statement, each: Sequence[bytes], **values: Value) -> list[Found]:
        """Run for all of *each*."""
        found: list[Found] = []
        first = statement.values(values)
        for run in in_runs(each):
            found += _found(await self._connection.fetch(numbered(expanded(statement, len(run)), "$"), *first, *run))
        return found

    async def run_many(self, statement: Statement, rows: Iterable[Sequence[Value]]) -> None:
        """Run for each of *rows*, without waiting for one before the next is sent."""
        values = list(rows)
        if values:
            await self._connection.executemany(numbered(statement, "$"), values)

    async def take_turns(self, name: bytes) -> None:
        """Wait until no other transaction holds *name*, and hold it until this one ends."""
        key = int.from_bytes(hashlib.sha256(name).digest()[:8], "big", signed=True)
        await self._connection.fetch("SELECT pg_advisory_xact_lock($1)", key)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what is written within if it raises."""
        await self._connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            await self._connection.execute("ROLLBACK TO part; RELEASE part")
            raise
        await self._connection.execute("RELEASE part")


async def open_pool(address: str, size: int) -> Pool:
    """Return a pool of at most *size* connections to *address*, each checked when it is made, which is when needed."""
    return await asyncpg.create_pool(
        address,
        min_size=0,
        max_size=size,
        init=check,
        reset=_nothing,
        max_queries=2**62,
        max_cached_statement_lifetime=0,
        statement_cache_size=1024,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings=_SESSION,
    )


async def connect(address: str) -> "asyncpg.Connection[asyncpg.Record]":
    """Return one connection outside any pool. Raises DatabaseRefused, also for an address that cannot be meant so."""
    if not _is_unambiguous(address):
        raise DatabaseRefused(
            "cannot use the database: its address cannot be read. What is special in a password is written as %XX:"
            " / as %2F, ? as %3F, # as %23, @ as %40"
        )
    connection = await asyncpg.connect(
        address, timeout=CONNECT_TIMEOUT_S, command_timeout=COMMAND_TIMEOUT_S, server_settings=_SESSION
    )
    try:
        await check(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def reach(address: str) -> None:
    """Wait for a database that is about to start, but not for long. Raises DatabaseRefused, never with the password."""
    loop = asyncio.get_running_loop()
    until = loop.time() + START_PATIENCE_S
    told = False
    while True:
        try:
            await (await connect(address)).close()
            return
        except DatabaseRefused:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said in one sentence
            said = f"{_shown(address)}: {str(error) or 'no answer'}"
            mistaken = isinstance(error, asyncpg.ClientConfigurationError) or meaning(error) is not Meaning.AWAY
            if mistaken or loop.time() > until:
                raise DatabaseRefused(f"cannot use the database {said}") from None
            if not told:
                _LOG.warning("waiting for the database %s", said)
                told = True
            await asyncio.sleep(START_PAUSE_S)


def _is_unambiguous(address: str) -> bool:
    """Whether the password ends where it seems to: else its rest is taken for port or name, and these are shown."""
    try:
        split = urlsplit(address)
    except ValueError:
        return False
    hosts = split.netloc.rpartition("@")[2].split(",")
    ports = [host.rpartition("]")[2].partition(":")[2] for host in hosts]
    if split.fragment or "@" in split.path + split.query:
        return False
    return all(not port or port.isdecimal() for port in ports)


def _shown(address: str) -> str:
    """The address without what may be a secret in it."""
    try:
        split = urlsplit(address)
    except ValueError:
        return "at an address that is none"
    return f"{split.path.lstrip('/') or 'by default'} at {split.hostname or 'this machine'}"


async def check(connection: Connection) -> None:
    """Refuse a database that would lose what it said it has; raises DatabaseRefused."""
    version = connection.get_server_version().major
    if version < MIN_VERSION:
        raise DatabaseRefused(f"PostgreSQL {version} is too old: Safelight needs {MIN_VERSION} or newer")
    row = await connection.fetchrow(
        "SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('server_encoding'),"
        " pg_is_in_recovery()"
    )
    if row is None:
        raise RuntimeError("a SELECT without FROM has one row")
    fsync, synchronous_commit, encoding, standby = row
    if fsync == "off":
        raise DatabaseRefused("PostgreSQL runs with fsync = off and would lose photographs; turn it on")
    if synchronous_commit == "off":
        raise DatabaseRefused("PostgreSQL runs with synchronous_commit = off and would lose photographs; turn it on")
    if encoding != "UTF8":
        raise DatabaseRefused(f"the database's encoding is {encoding}; make one with ENCODING 'UTF8'")
    if standby:
        raise DatabaseRefused("this PostgreSQL is a standby, which takes no writes; name the primary")
    # From here on this session keeps to it, also when the server's default changes.
    await connection.execute(f"SET synchronous_commit = {synchronous_commit}")


async def transact(pool: Pool, work: Work[T]) -> T:
    """Run *work* in a transaction of its own: its result, once that is durable.

    What it raises undoes it; FateUnknown where the connection was lost while it was being committed.
    """
    async with pool.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
        try:
            await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            result = await work(PostgresTransaction(connection))
        except BaseException:
            await _undo(connection)
            raise
        await _commit(connection)
        return result


async def _commit(connection: Connection) -> None:
    try:
        done = await connection.execute("COMMIT")
    except asyncpg.PostgresError as error:
        if meaning(error) is Meaning.AWAY:
            raise FateUnknown from error
        raise
    except Exception as error:
        connection.terminate()
        raise FateUnknown from error
    if done != "COMMIT":  # a statement failed and the work went on: PostgreSQL has undone it all
        raise RuntimeError(f"a transaction ended with {done} where it should have been committed")


async def _undo(connection: Connection) -> None:
    """Undo what the connection's transaction wrote, or else give the connection up, which undoes it as well."""
    try:
        if not connection.is_closed():
            await connection.execute("ROLLBACK")
    except BaseException as error:
        with suppress(asyncpg.InterfaceError):
            connection.terminate()
        if not isinstance(error, Exception):
            raise


async def close_pool(pool: Pool) -> None:
    """Close all connections; those of a server that does not answer are given up."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def _nothing(_: Connection) -> None:
    """Between two uses of a connection there is nothing to undo: no settings, no cursors, no listening."""


def _found(records: Iterable[Iterable[object]]) -> list[Found]:
    return [tuple(record) for record in records]
