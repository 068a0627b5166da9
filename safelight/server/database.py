"""Which database holds the rows, SQLite in the data folder or PostgreSQL, and that it is this server's.

A server that is started over another database would find nothing, and begin anew beside what people trust it with.
"""

from pathlib import Path

from safelight.server import data_folder
from safelight.server.domain.ports.database import Database
from safelight.server.settings import Settings
from safelight.server.stores.engine_postgres import PostgresDatabase
from safelight.server.stores.engine_sqlite import SqliteDatabase
from safelight.server.stores.postgres_errors import DatabaseRefused

_KEY_META = "server key"


async def open_database(settings: Settings, server_key: bytes) -> Database:
    """Open the database that *settings* name. Raises DatabaseRefused, with a remedy.

    Whoever runs the application holds the data folder, and so the SQLite database in it: see `data_folder.opened`.
    """
    database = await open_database_anyway(settings, server_key)
    try:
        if moved := await database.get_meta("moved"):
            raise DatabaseRefused(
                f"this installation was moved to {moved.decode()}; start it there. To go back to this one, which knows"
                " nothing of what came after: `safelight-server move --undo`, with the same --data"
            )
        if await database.get_meta("moving"):
            raise DatabaseRefused("an installation is being moved here and is not all here yet: repeat the move first")
    except BaseException:
        await database.close()
        raise
    return database


async def open_database_anyway(settings: Settings, server_key: bytes) -> Database:
    """The same for a move, whether or not an installation was moved from there or is being moved to there."""
    note = data_folder.moved_path(settings.data)
    if not settings.database:
        if note.exists():
            raise DatabaseRefused("this server keeps its rows in PostgreSQL; name it with SAFELIGHT_DATABASE")
        return await SqliteDatabase.open(data_folder.database_path(settings.data))
    if data_folder.database_path(settings.data).exists():
        raise DatabaseRefused(f"this server keeps its rows in {settings.data}; start it without --database")
    database = await PostgresDatabase.open(settings.database)
    try:
        await _claim(database, server_key)
        _note(note)
    except BaseException:
        await database.close()
        raise
    return database


async def _claim(database: Database, server_key: bytes) -> None:
    """All processes of a server sign with one key: receipts of another would look to clients like another server's."""
    if await database.claim_meta(_KEY_META, server_key) != server_key:
        raise DatabaseRefused(
            "this database belongs to a server with another key; copy that server's server.key into this data folder"
        )


def _note(note: Path) -> None:
    if not note.exists():
        data_folder.write_durably(note, "The rows of this server are in PostgreSQL.\n", 0o644)
