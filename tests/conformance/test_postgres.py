"""PostgreSQL's own: tables and statements, servers that would lose things, lost connections, restarts, full disks."""

import asyncio
import hashlib
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from safelight.server.domain.ports.commits import Committed
from safelight.server.stores import postgres_errors
from safelight.server.stores.engine_postgres import PostgresDatabase
from safelight.server.stores.migrate import postgres_engine, upgrade_postgres
from safelight.server.stores.postgres_errors import DatabaseRefused
from safelight.server.stores.statements import expanded, load_all, numbered
from safelight.server.stores.tables import METADATA
from safelight.sync_protocol.limits import MAX_HELD_AT_ONCE
from safelight.sync_protocol.refusals import Code, Refused
from tests.conformance.library import NOW_MS, Library, some_hash
from tests.support.in_memory import enough_memory
from tests.support.postgres import CommitCutter, PostgresServer, commit_cutter, postgres_server


@pytest.fixture
async def database(postgres: PostgresServer) -> AsyncIterator[str]:
    """The name of a database of the test's own."""
    name = postgres.make_database()
    yield name
    postgres.drop_database(name)


@pytest.fixture
async def opened(postgres: PostgresServer, database: str) -> AsyncIterator[PostgresDatabase]:
    """A database, open."""
    engine = await PostgresDatabase.open(postgres.address(database))
    yield engine
    await engine.close()


@pytest.fixture
async def cutter(postgres: PostgresServer) -> AsyncIterator[CommitCutter]:
    """A way to PostgreSQL that loses connections in the middle of COMMIT."""
    async with commit_cutter(postgres) as running:
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say at once that the database is away."""
    monkeypatch.setattr(postgres_errors, "PATIENCE_S", 0.2)


async def test_tables_are_what_migrations_make(postgres: PostgresServer, database: str) -> None:
    """The migrations end at the tables as they are written down; two processes may run them at once."""
    await asyncio.gather(*(upgrade_postgres(postgres.address(database)) for _ in range(3)))

    def compare(connection: Connection) -> None:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []

    engine = postgres_engine(postgres.address(database))
    async with engine.connect() as connection:
        await connection.run_sync(compare)
    await engine.dispose()
    columns = postgres.run(
        "SELECT table_name, column_name, data_type, collation_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name <> 'alembic_version'",
        database,
    )
    assert {kind for _, _, kind, _ in columns} == {"bytea", "bigint", "smallint", "text"}
    assert {collation for _, _, kind, collation in columns if kind == "text"} == {"C"}


async def test_every_statement_is_prepared(postgres: PostgresServer, database: str) -> None:
    """Every statement of every noun fits the tables."""
    connection = await asyncpg.connect(postgres.address(database))
    for statement in load_all():
        whole = expanded(statement, 4) if "each" in statement.names else statement
        await connection.prepare(numbered(whole, "$"))
    await connection.close()


@pytest.mark.parametrize("setting", ["fsync", "synchronous_commit"])
async def test_a_server_that_would_lose_things_is_refused(setting: str) -> None:
    """Durability that is turned off is refused at the start with a sentence that says what to turn on."""
    with (
        postgres_server(enough_memory(), **{setting: "off"}) as unsafe,
        pytest.raises(DatabaseRefused, match=f"{setting} = off"),
    ):
        await PostgresDatabase.open(unsafe.address("postgres"))


async def test_commits_stay_durable_whatever_is_set_later(postgres: PostgresServer, database: str) -> None:
    """A session keeps its durable commits when the server's default changes, and no new one is opened."""
    opened = await PostgresDatabase.open(postgres.address(database))
    await opened.set_meta("key", b"value")
    postgres.run(f"ALTER DATABASE {database} SET synchronous_commit = off")
    [[setting]] = await opened._writer._pool.fetch("SHOW synchronous_commit")
    assert setting == "on"
    await opened._writer._pool.expire_connections()
    with pytest.raises(Refused) as refusal:
        await opened.set_meta("key", b"value")
    assert refusal.value.code is Code.STORAGE_READ_ONLY
    await opened.close()


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_commit_whose_connection_is_lost(
    postgres: PostgresServer, database: str, cutter: CommitCutter, cut: str
) -> None:
    """A commit that may stand or not is asked again by its entry's id: it stands once, and its answer is true."""
    opened = await PostgresDatabase.open(cutter.address(database))
    library = await Library.make(opened)
    for _ in range(5):
        cutter.cut = cut
        record = library.a_record()
        other = library.a_record(some_hash()[:16])
        first, second = await library.commit(record, other)
        for outcome, entry in ((first, record), (second, other)):
            assert isinstance(outcome, Committed)
            assert outcome.repeated == (cut == "after")
            [row] = await opened.entries_at(library.space_id, [outcome.number])
            assert (row.entry_id, row.chain, row.time_ms) == (entry.entry_id, outcome.chain, outcome.time_ms)
        library.positions[record.device_id] = (record.counter, record.entry_id)
    assert cutter.cuts == 5
    rows = await opened.entries(library.space_id, 0, 100, 10**9)
    assert [row.number for row in rows] == list(range(1, 12))
    await opened.close()


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_genesis_whose_connection_is_lost(database: str, cutter: CommitCutter, cut: str) -> None:
    """The first entry of a space is found again as well."""
    opened = await PostgresDatabase.open(cutter.address(database))
    library = await Library.make(opened)
    other = Library(opened, library.account_id, library.device_id, some_hash())
    cutter.cut = cut
    assert (await other.do(other.genesis())).number == 1
    assert cutter.cuts == 1
    await opened.close()


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_other_work_whose_connection_is_lost(database: str, cutter: CommitCutter, cut: str) -> None:
    """What is not a commit is not done twice: it is said that nobody knows, and the next request finds it or not."""
    opened = await PostgresDatabase.open(cutter.address(database))
    cutter.cut = cut
    with pytest.raises(Refused) as refusal:
        await opened.set_meta("key", b"value")
    assert refusal.value.code is Code.STORAGE_UNAVAILABLE
    assert (await opened.get_meta("key") is not None) == (cut == "after")
    await opened.close()


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGQUIT], ids=["restart", "crash"])
async def test_postgres_restarts(by: signal.Signals, impatient: None) -> None:
    """While PostgreSQL is down requests are told to come again; then all goes on, and nothing is missing."""
    with postgres_server(enough_memory()) as server:
        server.make_template()
        opened = await PostgresDatabase.open(server.address("template"))
        library = await Library.make(opened)
        stands: list[Committed] = []
        refusals: set[Code] = set()
        enough = asyncio.Event()

        async def keep_committing() -> None:
            record = library.a_record()
            while len(stands) < 60:
                try:
                    stands.append(await library.do(record))  # the same again until it is answered: it may stand
                    library.positions[record.device_id] = (record.counter, record.entry_id)
                    record = library.a_record()
                    if len(stands) == 10:
                        enough.set()
                except Refused as refused:
                    refusals.add(refused.code)
                    await asyncio.sleep(0.02)

        committing = asyncio.create_task(keep_committing())
        await enough.wait()
        await asyncio.to_thread(server.stop, by)
        for ask in (opened.space(library.space_id), opened.set_meta("key", b"value")):
            with pytest.raises(Refused) as refusal:
                await ask
            assert refusal.value.code is Code.STORAGE_UNAVAILABLE
        await asyncio.to_thread(server.start)
        await committing
        assert refusals == {Code.STORAGE_UNAVAILABLE}
        rows = await opened.entries(library.space_id, 0, 1000, 10**9)
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
        assert {(row.number, row.chain) for row in rows} >= {(each.number, each.chain) for each in stands}
        assert len(rows) == 1 + len({each.number for each in stands})
        await opened.close()


async def test_a_short_restart_is_bridged() -> None:
    """Who comes while PostgreSQL restarts quickly only waits."""
    with postgres_server(enough_memory()) as server:
        server.make_template()
        opened = await PostgresDatabase.open(server.address("template"))
        library = await Library.make(opened)
        await asyncio.to_thread(server.stop)
        asking = asyncio.gather(
            library.do(library.a_record()), opened.space(library.space_id), opened.set_meta("key", b"value")
        )
        await asyncio.to_thread(server.start)
        committed, _, _ = await asking
        assert committed.number == 2
        await opened.close()


async def test_full_disk(postgres: PostgresServer, database: str, opened: PostgresDatabase) -> None:
    """A full disk refuses what it met, keeps what was there, and works again when there is room."""
    library = await Library.make(opened)
    postgres.run(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$",
        database,
    )
    for table in ("entries", "meta"):
        postgres.run(
            f"CREATE TRIGGER full_disk BEFORE INSERT ON {table} EXECUTE FUNCTION full_disk()",
            database,
        )
    record = library.a_record()
    results = await asyncio.gather(opened.set_meta("large", b"value"), opened.commit([record]), return_exceptions=True)
    assert [result.code for result in results if isinstance(result, Refused)] == [Code.STORAGE_FULL] * 2
    assert await opened.get_meta("large") is None
    for table in ("entries", "meta"):
        postgres.run(f"DROP TRIGGER full_disk ON {table}", database)
    await opened.set_meta("large", b"value")
    assert (await library.do(record)).number == 2


async def test_a_transaction_that_was_undone_is_not_taken_for_done(opened: PostgresDatabase) -> None:
    """Where a statement failed and the code went on, PostgreSQL answers COMMIT with ROLLBACK: that is no success."""

    async def work(tx: object) -> None:
        connection = tx._connection  # type: ignore[attr-defined] # the transaction of PostgreSQL, which has one
        with suppress(asyncpg.DivisionByZeroError):
            await connection.execute("SELECT 1/0")

    with pytest.raises(RuntimeError):
        await opened._write(work)


async def test_what_a_failure_quotes_is_not_kept(opened: PostgresDatabase) -> None:
    """PostgreSQL quotes the row at fault, and errors are logged: neither ids nor hashes stand in them any more."""
    invite = b"a code's hash, whole".ljust(32, b"\0")

    async def work(tx: object) -> None:
        connection = tx._connection  # type: ignore[attr-defined] # the transaction of PostgreSQL, which has one
        await connection.execute("INSERT INTO invites (code_hash, expires_ms) VALUES ($1, NULL)", invite)

    with pytest.raises(asyncpg.NotNullViolationError) as failure:
        await opened._write(work)
    assert "DETAIL" not in str(failure.value)
    assert invite.hex() not in str(failure.value)


async def test_what_waits_is_one_transaction(opened: PostgresDatabase) -> None:
    """Commits that wait together are one transaction."""
    library = await Library.make(opened)
    spaces = [library, *[await Library.make(opened) for _ in range(7)]]

    async def ids() -> int:
        return int((await opened._writer._pool.fetch("SELECT pg_snapshot_xmax(pg_current_snapshot())"))[0][0])

    before = await ids()
    await asyncio.gather(*(opened.commit([space.a_record()]) for space in spaces))
    assert await ids() - before == 1


async def test_a_commit_at_fault_harms_no_other(opened: PostgresDatabase, caplog: pytest.LogCaptureFixture) -> None:
    """Where a run fails for a reason that no check foresaw, only the commit at fault does."""
    good, bad = await Library.make(opened), await Library.make(opened)
    broken = replace(bad.a_record(), members=[(some_hash(), "owner")] * 2, is_ledger=True, epoch=1)
    with caplog.at_level(logging.CRITICAL):
        results = await asyncio.gather(
            opened.commit([good.a_record()]), opened.commit([broken]), return_exceptions=True
        )
    assert isinstance(results[1], asyncpg.UniqueViolationError)
    [committed] = results[0] if isinstance(results[0], list) else []
    assert isinstance(committed, Committed)


async def test_closing(postgres: PostgresServer, database: str) -> None:
    """Closing finishes what waits; after it nothing is taken any more."""
    opened = await PostgresDatabase.open(postgres.address(database))
    waiting = [asyncio.ensure_future(opened.set_meta(f"key {number}", b"value")) for number in range(50)]
    await asyncio.sleep(0)
    await opened.close()
    await asyncio.gather(*waiting)
    with pytest.raises(Refused):
        await opened.set_meta("late", b"value")


async def test_who_goes_away_takes_nothing_along(opened: PostgresDatabase, tmp_path: Path) -> None:
    """Work whose asker is gone is still done, whole."""
    task = asyncio.create_task(opened.set_meta("key", b"value"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(100):
        if await opened.get_meta("key") == b"value":
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it was not done")


async def test_many_held_at_once_leave_others_their_locks(impatient: None) -> None:
    """*A few who hold thousands of blobs, and nobody else gets on*: PostgreSQL's table of locks is everyone's."""
    with postgres_server(enough_memory(), max_locks_per_transaction="10", max_connections="20") as server:
        server.make_template()
        opened = await PostgresDatabase.open(server.address("template"))
        library = await Library.make(opened)
        server.run(
            "INSERT INTO space_blobs (name, space_id, size_bytes, tier, refs, device_id, held_ms) SELECT"
            f" sha256(n::text::bytea), '\\x{library.space_id.hex()}', 1, 'full', 1, '\\x{library.device_id.hex()}', 0"
            f" FROM generate_series(1, {MAX_HELD_AT_ONCE}) n",
            "template",
        )
        names = [hashlib.sha256(b"%d" % n).digest() for n in range(1, MAX_HELD_AT_ONCE + 1)]
        others = [some_hash() for _ in range(3)]
        holding = [
            opened.hold_blobs(library.device_id, other, library.space_id, names, 10**15, 10**6, NOW_MS)
            for other in others
        ]
        await asyncio.gather(*holding, library.do(library.a_record()))
        for other in others:
            assert await opened.blob_in_space(other, names[-1]) == (1, "")
        await opened.close()
