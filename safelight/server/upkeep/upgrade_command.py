"""The command `upgrade`: a backup, and then the tables of this Safelight; may be stopped anywhere and run again.

The tables change in one transaction. Before it stands a whole and durable copy of what was; after it there is nothing
left to do.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from safelight.server import data_folder
from safelight.server.domain.clock import wall_ms
from safelight.server.settings import Settings
from safelight.server.stores.migrate import (
    Standing,
    in_postgres,
    in_sqlite,
    refuse_newer,
    revision,
    standing,
    upgrade,
)
from safelight.server.stores.postgres_connection import reach
from safelight.server.stores.postgres_errors import DatabaseRefused
from safelight.server.upkeep.backup import back_up_postgres, back_up_sqlite
from safelight.server.upkeep.upgrade_check import check_ledgers

SETTINGS = frozenset({"data", "database"})
_NOTHING = "the data is of this Safelight's form already; there is nothing to do\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked for."""
    parser.add_argument(
        "--yes-i-have-a-backup",
        action="store_true",
        help="make none (for PostgreSQL, where pg_dump cannot be run here)",
    )
    parser.add_argument(
        "--with-unreadable-spaces",
        action="store_true",
        help="upgrade although this Safelight does not read what people signed in some space",
    )


async def run(settings: Settings, arguments: dict[str, Any], *, as_json: bool) -> int:  # noqa: ARG001 - as all commands
    """Upgrade, say what was done, and return the exit status."""
    checks = _nothing if arguments["with_unreadable_spaces"] else check_ledgers
    with data_folder.opened(settings.data, existing=True):
        if settings.database:
            await _upgrade_postgres(settings, checks, backup=not arguments["yes_i_have_a_backup"])
        else:
            await asyncio.to_thread(_upgrade_sqlite, settings, checks)
    return 0


def _nothing(_: Connection) -> None:
    """Check nothing."""


def _upgrade_sqlite(settings: Settings, checks: Callable[[Connection], None]) -> None:
    path = data_folder.database_path(settings.data)
    if not path.exists():
        raise DatabaseRefused(
            f"there is no database in {settings.data}; if it is in PostgreSQL, name it with --database"
        )
    before = in_sqlite(str(path), _older)
    if not before:
        sys.stdout.write(_NOTHING)
        return
    in_sqlite(str(path), checks)
    copy = back_up_sqlite(path, data_folder.backups_path(settings.data), before, wall_ms())
    _say(f"made a backup: {copy}")
    in_sqlite(str(path), upgrade)
    _say(f"upgraded from {before} to {in_sqlite(str(path), revision)}; the server may be started")


async def _upgrade_postgres(settings: Settings, checks: Callable[[Connection], None], *, backup: bool) -> None:
    await reach(settings.database)
    before = await in_postgres(settings.database, _older)
    if not before:
        sys.stdout.write(_NOTHING)
        return
    await in_postgres(settings.database, _alone)
    await in_postgres(settings.database, checks)
    if backup:
        folder = data_folder.backups_path(settings.data)
        copy = await asyncio.to_thread(back_up_postgres, settings.database, folder, before, wall_ms())
        _say(f"made a backup: {copy}")

    def upgrade_alone(connection: Connection) -> str:
        _alone(connection)
        upgrade(connection)
        return revision(connection)

    after = await in_postgres(settings.database, upgrade_alone)
    _say(f"upgraded from {before} to {after}; the servers may be started")


def _older(connection: Connection) -> str:
    """The revision of a database that is to be upgraded; empty where nothing is to do. Raises DatabaseRefused."""
    found = standing(connection)
    refuse_newer(connection, found)
    return revision(connection) if found is Standing.OLDER else ""


def _alone(connection: Connection) -> None:
    """Refuse while servers use the database: they know nothing of what changes under them."""
    [count] = connection.exec_driver_sql(
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'safelight'"
        " AND pid <> pg_backend_pid()"
    ).one()
    if count:
        raise DatabaseRefused(f"servers are using the database ({count} connections); stop them all first")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
