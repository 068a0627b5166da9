"""Bring a database to the newest tables, from any version that ever was, with what is in the installed package.

A new database is made when it is opened. One that holds something is changed by `safelight-server upgrade` alone, which
makes a backup first; whatever else opens it says so, and that of a newer Safelight is left alone.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from safelight.server.stores import postgres_connection
from safelight.server.stores.postgres_errors import DatabaseRefused

T = TypeVar("T")

# Where migrations are found; tests add one of their own.
VERSION_LOCATIONS = ["safelight.server.stores:migrations/versions"]

# Processes that start at once upgrade one after another. Any number will do that nothing else of ours locks.
_UPGRADE_LOCK = 0x5AFE1197


class Standing(Enum):
    """How a database stands to this Safelight."""

    FRESH = auto()
    CURRENT = auto()
    OLDER = auto()
    NEWER = auto()


def upgrade(connection: Connection) -> None:
    """Upgrade the database at *connection*, whose transaction is the caller's."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def revision(connection: Connection) -> str:
    """The revision of the database's tables; empty where it has none."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def standing(connection: Connection) -> Standing:
    """Whether the database has tables, and whether they are older or newer than ours."""
    return standing_of(revision(connection))


def standing_of(found: str) -> Standing:
    """How tables of the revision *found* stand to ours; empty where there are none."""
    scripts = ScriptDirectory.from_config(_config())
    if not found:
        return Standing.FRESH
    if found == scripts.get_current_head():
        return Standing.CURRENT
    return Standing.OLDER if found in {script.revision for script in scripts.walk_revisions()} else Standing.NEWER


def refuse_newer(connection: Connection, found: Standing) -> None:
    """Raise DatabaseRefused for what a newer Safelight wrote: whatever this one did with it could lose something."""
    if found is Standing.NEWER:
        raise DatabaseRefused(
            f"this data was written by a newer Safelight (its tables are of revision {revision(connection)}): update"
            " Safelight to use it"
        )


def prepare(connection: Connection) -> None:
    """Make the tables of a new database, in the caller's transaction; raises DatabaseRefused unless ours are there."""
    found = standing(connection)
    refuse_newer(connection, found)
    if found is Standing.OLDER:
        raise DatabaseRefused(
            "this data was written by an older Safelight: run `safelight-server upgrade`, which makes a backup first"
        )
    if found is Standing.FRESH:
        upgrade(connection)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "safelight.server.stores:migrations")
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(VERSION_LOCATIONS))
    return config


def upgrade_sqlite(path: str) -> None:
    """Upgrade the SQLite database at *path*, making it if there is none; all of it or nothing."""
    in_sqlite(path, upgrade)


def in_sqlite(path: str, work: Callable[[Connection], T]) -> T:
    """Run *work* in a transaction of its own over the SQLite database at *path*, which is made if there is none."""
    engine = sqlite_engine(path)
    try:
        with engine.begin() as connection:
            return work(connection)
    finally:
        engine.dispose()


def sqlite_engine(path: str) -> Engine:
    """Return an engine whose transactions hold the changes of tables, too, which the driver's own do not."""
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _without_implicit_begin(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN EXCLUSIVE")

    return engine


async def upgrade_postgres(address: str) -> None:
    """Upgrade the PostgreSQL database at *address*; all of it or nothing, and one process at a time."""
    await in_postgres(address, upgrade)


async def in_postgres(address: str, work: Callable[[Connection], T]) -> T:
    """Run *work* in a transaction over the PostgreSQL database at *address*, one process at a time."""
    engine = postgres_engine(address)
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def postgres_engine(address: str) -> AsyncEngine:
    """Return an engine whose connections are made and checked like all others."""
    return create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: postgres_connection.connect(address), poolclass=NullPool
    )
