"""Bring a database to the newest tables, from any version that ever was, with what is in the installed package."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from safelight.server.stores import postgres_connection

# Processes that start at once upgrade one after another. Any number will do that nothing else of ours locks.
_UPGRADE_LOCK = 0x5AFE1197


def upgrade(connection: Connection) -> None:
    """Upgrade the database at *connection*, whose transaction is the caller's."""
    config = Config()
    config.set_main_option("script_location", "safelight.server.stores:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def upgrade_sqlite(path: str) -> None:
    """Upgrade the SQLite database at *path*, making it if there is none; all of it or nothing."""
    engine = sqlite_engine(path)
    try:
        with engine.begin() as connection:
            upgrade(connection)
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
    engine = postgres_engine(address)
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
            await connection.run_sync(upgrade)
    finally:
        await engine.dispose()


def postgres_engine(address: str) -> AsyncEngine:
    """Return an engine whose connections are made and checked like all others."""
    return create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: postgres_connection.connect(address), poolclass=NullPool
    )
