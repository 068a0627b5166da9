"""The database: readable, whole, of a version that this Safelight knows, and not behind with its housekeeping."""

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from safelight.server.doctor.findings import Finding, note, ok, problem
from safelight.server.settings import Settings
from safelight.server.stores import postgres_connection
from safelight.server.stores.migrate import Standing, standing_of
from safelight.server.stores.postgres_errors import DatabaseRefused

LARGE_WAL_BYTES = 256 * 1024 * 1024
CHECK_S = 60.0
_STEPS_BETWEEN_LOOKS = 100_000
_RESTORE = "Stop the server, keep a copy of the folder as it is, and put the database back from a backup."
_HIGHEST = (
    "SELECT MAX(t) FROM (SELECT MAX(time_ms) AS t FROM spaces UNION ALL SELECT MAX(time_ms) FROM account_entries"
    " UNION ALL SELECT MAX(created_ms) FROM accounts)"
)


@dataclass(frozen=True, slots=True)
class Rows:
    """What was found, and the highest time that is stored."""

    findings: list[Finding]
    highest_ms: int = 0


def of_sqlite(path: Path, check_s: float = CHECK_S) -> Rows:
    """Look at the SQLite database, through a connection that cannot write.

    Where nothing waits in the WAL it is read as a file that nobody changes, which makes no file beside it. Should
    somebody have begun to write meanwhile, it is read again together with the WAL.
    """
    if not path.exists():
        sentence = "There is no database in the data folder: the next start would begin with an empty one."
        return Rows([problem("database", sentence, "If this server has been used: " + _RESTORE)])
    alone = not _wal_bytes(path)
    found = _look(path, check_s, alone=alone)
    return _look(path, check_s, alone=False) if alone and _wal_bytes(path) else found


def _look(path: Path, check_s: float, *, alone: bool) -> Rows:
    try:
        with closing(_open(path, alone=alone)) as connection:
            whole = _whole(connection, check_s)
            highest = connection.execute(_HIGHEST).fetchone()[0] or 0
            [(revision,)] = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except (sqlite3.Error, ValueError) as error:
        return Rows([problem("database", f"The database cannot be read ({error}).", _RESTORE)])
    return Rows([*whole, _version(str(revision)), *_wal(path)], int(highest))


async def of_postgres(settings: Settings) -> Rows:
    """Look at PostgreSQL as the server does when it starts."""
    try:
        connection = await postgres_connection.connect(settings.database)
    except DatabaseRefused as refused:
        return Rows([problem("database", f"{refused}.", "Change it, then start the server anew.")])
    except Exception as error:  # noqa: BLE001 - whatever is in the way, the server would meet it too
        sentence = f"PostgreSQL does not let this server in ({type(error).__name__})."
        return Rows([problem("database", sentence, "Is it running, and are address, user and password right?")])
    try:
        shown = ok("database", f"PostgreSQL {connection.get_server_version().major} answers, and is durable.")
        highest = await connection.fetchval(_HIGHEST + " AS times") or 0
        revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    except Exception as error:  # noqa: BLE001 - no tables yet, or damaged ones
        sentence = f"PostgreSQL answers, and has no Safelight in it ({type(error).__name__})."
        return Rows([note("database", sentence, "The first start of the server makes its tables.")])
    finally:
        await connection.close()
    return Rows([shown, _version(str(revision))], int(highest))


def _open(path: Path, *, alone: bool) -> sqlite3.Connection:
    how = "mode=ro&immutable=1" if alone else "mode=ro"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=5)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _whole(connection: sqlite3.Connection, check_s: float) -> list[Finding]:
    """Let SQLite look through its own pages, for a while."""
    until = time.monotonic() + check_s
    connection.set_progress_handler(lambda: int(time.monotonic() > until), _STEPS_BETWEEN_LOOKS)
    try:
        said = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        sentence = f"The database is so large that {check_s:.0f} seconds were not enough to look through it."
        return [note("database", sentence, "Look when it is idle: sqlite3 -readonly safelight.db 'PRAGMA quick_check'")]
    finally:
        connection.set_progress_handler(None, 0)
    if said != ["ok"]:
        return [problem("database", f"The database is damaged: {said[0].splitlines()[0]}.", _RESTORE)]
    return [ok("database", "The database is whole.")]


def _version(revision: str) -> Finding:
    standing = standing_of(revision)
    if standing is Standing.CURRENT:
        return ok("data-version", f"The data is of the newest version, {revision}.")
    if standing is Standing.OLDER:
        sentence = f"The data is of version {revision}, of an older Safelight: this one does not start with it."
        return problem("data-version", sentence, "Run `safelight-server upgrade`, which makes a backup first.")
    sentence = f"The data is of version {revision}, which this Safelight does not know: a newer one wrote it."
    return problem("data-version", sentence, "Install the newer Safelight again.")


def _wal(path: Path) -> list[Finding]:
    size_bytes = _wal_bytes(path)
    if size_bytes <= LARGE_WAL_BYTES:
        return []
    sentence = f"{size_bytes // 1_000_000} MB wait in {path.name}-wal to be moved into the database."
    remedy = "Usually a disk that was full; the server moves them when there is room. Otherwise look into its log."
    return [note("wal", sentence, remedy)]


def _wal_bytes(path: Path) -> int:
    wal = path.with_name(path.name + "-wal")
    return wal.stat().st_size if wal.exists() else 0
