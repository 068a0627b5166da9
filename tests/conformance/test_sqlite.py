"""SQLite's own: the tables and their migrations, durability, groups, and a disk that fails."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from safelight.server.domain.ports.commits import Committed
from safelight.server.stores.engine_sqlite import SqliteDatabase
from safelight.server.stores.migrate import sqlite_engine, upgrade_sqlite
from safelight.server.stores.statements import expanded, load, load_all, numbered
from safelight.server.stores.tables import METADATA
from safelight.sync_protocol.refusals import Code, Refused
from tests.conformance.library import Library, some_hash


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    """SQLite, and nothing else."""
    opened = await SqliteDatabase.open(tmp_path / "safelight.db")
    yield opened
    await opened.close()


def test_tables_are_what_migrations_make(tmp_path: Path) -> None:
    """The migrations, from the first on, end at the tables as they are written down."""
    path = str(tmp_path / "safelight.db")
    upgrade_sqlite(path)
    upgrade_sqlite(path)
    engine = sqlite_engine(path)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        made = set(connection.exec_driver_sql("SELECT sql FROM sqlite_schema WHERE name NOT LIKE 'alembic%'"))
    engine.dispose()
    expected = tmp_path / "expected.db"
    engine = sqlite_engine(str(expected))
    METADATA.create_all(engine)
    with engine.connect() as connection:
        written = set(connection.exec_driver_sql("SELECT sql FROM sqlite_schema"))
    engine.dispose()
    assert {_words(sql) for (sql,) in made} == {_words(sql) for (sql,) in written}


def _words(sql: str | None) -> tuple[str, ...]:
    """The words of a definition, in no order: constraints may stand in any."""
    return tuple(sorted((sql or "").replace("(", " ( ").replace(")", " ) ").replace(",", " ").split()))


def test_every_statement_is_prepared(tmp_path: Path) -> None:
    """Every statement of every noun fits the tables."""
    path = str(tmp_path / "safelight.db")
    upgrade_sqlite(path)
    connection = sqlite3.connect(path)
    statements = load_all()
    assert len(statements) > 80
    for statement in statements:
        whole = expanded(statement, 4) if "each" in statement.names else statement
        connection.execute("EXPLAIN " + numbered(whole, "?"), [None] * len(whole.names))
        if "each" in statement.names:
            assert statement.names[-1] == "each"
    connection.close()


def test_no_statement_reads_a_whole_table(tmp_path: Path) -> None:
    """However large an archive grows, no statement goes through all of a table that grows with it."""
    path = str(tmp_path / "safelight.db")
    upgrade_sqlite(path)
    connection = sqlite3.connect(path)
    few = {
        "invites",
        "forgotten_blobs",
        "leases",
        "named",
        "page",
        "times",
    }  # few rows, or what was cut already
    for statement in load_all():
        whole = expanded(statement, 4) if "each" in statement.names else statement
        sql = "EXPLAIN QUERY PLAN " + numbered(whole, "?")
        for *_, step in connection.execute(sql, [None] * len(whole.names)):
            if step.startswith("SCAN ") and "USING" not in step and not step.startswith("SCAN (subquery"):
                assert step.split()[1] in few, (statement.name, step)
    connection.close()


@pytest.mark.parametrize(
    ("where", "name", "index"),
    [("uncommitted", "count", "space_blobs_loose"), ("blobs", "drop_complete", "uploads_complete")],
)
def test_what_each_upload_asks_has_an_index(tmp_path: Path, where: str, name: str, index: str) -> None:
    """What is counted and dropped for an upload is found in an index of that alone, which has all that is asked."""
    path = str(tmp_path / "safelight.db")
    upgrade_sqlite(path)
    connection = sqlite3.connect(path)
    statement = load(where)[name]
    steps = connection.execute("EXPLAIN QUERY PLAN " + numbered(statement, "?"), [None] * len(statement.names))
    assert [step for *_, step in steps if index in step]
    connection.close()


def test_statements_are_portable() -> None:
    """No statement uses what PostgreSQL would not take: SQLite's own functions, OR REPLACE, rowid, or `IS` a value."""
    for statement in load_all():
        words = statement.text.upper()
        for foreign in ("OR REPLACE", "OR IGNORE", "ROWID", "IFNULL", "JSON_", "STRFTIME", "GLOB", "?", '"', "X'"):
            assert foreign not in words, statement.name
    assert numbered(load("server")["set_meta"], "$").startswith("INSERT INTO meta (key, value) VALUES ($1, $2)")


async def test_for_its_owner_alone(sqlite: SqliteDatabase, tmp_path: Path) -> None:
    """Nobody else may read the database's files."""
    await Library.make(sqlite)
    modes = {path.name: path.stat().st_mode & 0o077 for path in list(tmp_path.iterdir())}  # noqa: ASYNC240 - a test
    assert modes == dict.fromkeys(["safelight.db", "safelight.db-shm", "safelight.db-wal"], 0)


async def test_settings_of_the_connections(sqlite: SqliteDatabase) -> None:
    """The writer syncs every commit and holds references; readers cannot write; nobody checkpoints by itself."""
    writer = sqlite._writer._connection

    def of(pragma: str) -> object:
        return writer.execute(f"PRAGMA {pragma}").fetchone()[0]

    assert (of("journal_mode"), of("synchronous"), of("foreign_keys"), of("wal_autocheckpoint")) == ("wal", 2, 1, 0)
    for reader in sqlite._readers._connections:
        [[automatic]] = await reader.execute_fetchall("PRAGMA wal_autocheckpoint")
        assert automatic == 0
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await reader.execute_fetchall("DELETE FROM meta")


async def test_what_waits_is_one_transaction(sqlite: SqliteDatabase) -> None:
    """Commits and all else that wait together are one transaction, with one sync."""
    library = await Library.make(sqlite)
    other = await Library.make(sqlite)
    traced: list[str] = []
    sqlite._writer._connection.set_trace_callback(traced.append)
    await asyncio.gather(
        library.database.commit([library.a_record()]),
        sqlite.set_meta("key", b"value"),
        other.database.commit([other.a_record()]),
        sqlite.add_invite(some_hash(), 1),
    )
    sqlite._writer._connection.set_trace_callback(None)
    assert [line for line in traced if line in {"BEGIN IMMEDIATE", "COMMIT"}] == ["BEGIN IMMEDIATE", "COMMIT"]


async def test_what_waits_at_closing_is_written(tmp_path: Path) -> None:
    """Closing finishes what waits; after it nothing is taken any more."""
    path = tmp_path / "safelight.db"
    database = await SqliteDatabase.open(path)
    waiting = [asyncio.ensure_future(database.set_meta(f"key {number}", b"value")) for number in range(600)]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*waiting)
    with pytest.raises(Refused):
        await database.set_meta("late", b"value")
    assert not path.with_name("safelight.db-wal").exists()
    database = await SqliteDatabase.open(path)
    assert await database.get_meta("key 599") == b"value"
    await database.close()


async def test_killed_process_keeps_what_it_said(tmp_path: Path) -> None:
    """What was said to be written is there after the process was killed with no chance to close."""
    code = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from safelight.server.stores.engine_sqlite import SqliteDatabase\n"
        "async def main():\n"
        "    database = await SqliteDatabase.open(Path(sys.argv[1]))\n"
        "    for number in range(50):\n"
        "        await database.set_meta('last', b'%d' % number)\n"
        "    print(number, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "safelight.db")]
    process = await asyncio.to_thread(subprocess.run, run, capture_output=True, check=False, timeout=60)
    assert (process.returncode, process.stdout) == (-9, b"49\n")
    database = await SqliteDatabase.open(tmp_path / "safelight.db")
    assert await database.get_meta("last") == b"49"
    await database.close()


async def test_full_disk(sqlite: SqliteDatabase) -> None:
    """A full disk refuses the group, keeps what was there, and works again when there is room."""
    library = await Library.make(sqlite)
    connection = sqlite._writer._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    for _ in range(2):
        results = await asyncio.gather(
            sqlite.set_meta("large", bytes(10**6)), sqlite.commit([library.a_record()]), return_exceptions=True
        )
        assert [result.code for result in results if isinstance(result, Refused)] == [Code.STORAGE_FULL] * 2
    assert await sqlite.get_meta("large") is None
    connection.execute("PRAGMA max_page_count = 1000000")
    await sqlite.set_meta("large", bytes(10**6))
    await library.do(library.a_record())


class _FailingConnection:
    """The writer's connection on a disk that fails with SQLite's *code* when a transaction is to be durable."""

    def __init__(self, real: sqlite3.Connection, code: int) -> None:
        self._real = real
        self._code = code

    def execute(self, sql: str) -> sqlite3.Cursor:
        if sql == "COMMIT":
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = self._code
            raise error
        return self._real.execute(sql)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_CORRUPT])
async def test_broken_disk(sqlite: SqliteDatabase, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """After a failed write or sync the store takes nothing more, and says so; what it says it has, it has."""
    library = await Library.make(sqlite)
    for disk in ("broken", "seemingly well"):
        with monkeypatch.context() as broken:
            if disk == "broken":
                connection = _FailingConnection(sqlite._writer._connection, code)
                broken.setattr(sqlite._writer, "_connection", connection)
            with pytest.raises(Refused) as refusal:
                await sqlite.commit([library.a_record()])
        assert refusal.value.code is Code.STORAGE_READ_ONLY
    space = await sqlite.space(library.space_id)
    assert space is not None
    assert space.number == 1


async def test_checkpoints(sqlite: SqliteDatabase, tmp_path: Path) -> None:
    """The log of writes is moved into the database now and then, so that it stays small, also while readers read."""
    sizes = []
    for number in range(100):
        await asyncio.gather(*(sqlite.set_meta(f"key {number % 7} {part}", bytes(4000)) for part in range(64)))
        await sqlite.get_meta("key 0 0")
        sizes.append((tmp_path / "safelight.db-wal").stat().st_size)
    assert max(sizes[50:]) <= max(sizes[:50]) < 64 * 1024 * 1024


async def test_mistakes_are_not_the_disks(sqlite: SqliteDatabase) -> None:
    """A statement that fails is the fault of who sent it, and the store goes on."""
    await sqlite.add_invite(code := some_hash(), 1)
    with pytest.raises(sqlite3.IntegrityError):
        await sqlite.add_invite(code, 1)
    library = await Library.make(sqlite)
    assert isinstance(await library.do(library.a_record()), Committed)
