"""What stores say of themselves, and that the server's readiness believes it."""

import asyncio
import errno
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from safelight.server.domain import readiness
from safelight.server.domain.ports.blobs import Blobs
from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.rows import UploadRow
from safelight.server.domain.ports.state import StoreState
from safelight.server.domain.readiness import Readiness
from safelight.server.stores import disk, sqlite_writer
from safelight.server.stores.blobs_directory import DirectoryBlobs
from safelight.server.stores.engine_postgres import PostgresDatabase
from safelight.server.stores.engine_sqlite import SqliteDatabase
from safelight.sync_protocol.refusals import Code, Refused
from tests.conformance.library import NOW_MS, Library, some_hash, some_id
from tests.conformance.test_blobs import store
from tests.support.postgres import PostgresServer


class Time:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.ms = 0

    def __call__(self) -> int:
        """The time."""
        return self.ms


class Told:
    """A store that says what a test tells it, and counts how often it was asked."""

    def __init__(self, state: StoreState | Exception) -> None:
        self.says = state
        self.asked = 0

    async def state(self) -> StoreState:
        """Say it."""
        self.asked += 1
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


def readiness_of(database: object, blobs: object, monotonic: Time | None = None) -> Readiness:
    """The readiness of a server over two stores."""
    return Readiness(database, blobs, monotonic or Time(), ready_free_bytes=1000)  # type: ignore[arg-type]  # `state` is all it asks


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    """SQLite, and nothing else."""
    opened = await SqliteDatabase.open(tmp_path / "safelight.db")
    yield opened
    await opened.close()


async def test_a_database_that_is_well(database: Database) -> None:
    """It refuses nothing, and knows how large it is."""
    state = await database.state()
    assert state.refusal is None
    assert state.size_bytes is not None
    assert state.size_bytes > 10_000


async def test_blobs_that_are_well(blobs: Blobs) -> None:
    """They refuse nothing; a folder knows its disk, a bucket has none."""
    state = await blobs.state()
    assert state.refusal is None
    assert (state.free_bytes is None) == (state.total_bytes is None)


async def test_open_uploads_are_counted(library: Library) -> None:
    """Those that are neither complete nor failed."""
    database, ids = library.database, [some_id() for _ in range(3)]
    for upload_id in ids:
        row = UploadRow(
            upload_id, library.device_id, b"", library.space_id, NOW_MS, NOW_MS + 1, 0, None, None, "open", b""
        )
        await database.add_upload(row, 9, 10**9, 10**6)
    await database.fail_upload(ids[0])
    await database.finish_upload(ids[1], some_hash(), 1, NOW_MS)
    assert await database.open_uploads() == 1


async def test_a_failed_sync_of_blobs_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first one on, though the disk has recovered."""
    blobs = await DirectoryBlobs.open_in(tmp_path / "blobs")

    def fail(_: int) -> None:
        raise disk.SyncFailure(errno.EIO, "failed")

    with monkeypatch.context() as patch:
        patch.setattr(disk, "sync_file", fail)
        with pytest.raises(Refused):
            await store(blobs, b"x" * 1000)
    assert (await blobs.state()).refusal is Code.STORAGE_READ_ONLY
    parts = await readiness_of(Told(StoreState()), blobs).parts()
    assert parts == {"server": "ok", "database": "ok", "blobs": "storage-read-only"}
    await blobs.close()


async def test_a_disk_that_was_mounted_read_only_is_seen(
    sqlite: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kernel does by itself after errors, before anybody has tried to write."""
    blobs = await DirectoryBlobs.open_in(tmp_path / "blobs")
    monkeypatch.setattr(disk, "room_at", lambda _: disk.Room(10**9, 10**10, read_only=True))
    assert (await blobs.state()).refusal is Code.STORAGE_READ_ONLY
    assert (await sqlite.state()).refusal is Code.STORAGE_READ_ONLY
    await blobs.close()


async def test_a_failed_commit_of_sqlite_is_seen(sqlite: SqliteDatabase) -> None:
    """From the first one on."""

    class Broken:
        """The connection, over a disk that fails."""

        def __init__(self, connection: sqlite3.Connection) -> None:
            self._connection = connection

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            """Run it, but for the commit."""
            if sql == "COMMIT":
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
                raise error
            return self._connection.execute(sql, *values)

        def __getattr__(self, name: str) -> object:
            return getattr(self._connection, name)

    writer = sqlite._writer
    whole = writer._connection
    writer._connection = Broken(whole)  # type: ignore[assignment]
    with pytest.raises(Refused):
        await sqlite.set_meta("key", b"value")
    writer._connection = whole
    assert (await sqlite.state()).refusal is Code.STORAGE_READ_ONLY
    assert (await readiness_of(sqlite, Told(StoreState())).parts())["database"] == "storage-read-only"


async def test_a_commit_that_does_not_end_is_seen(sqlite: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that hangs fails nothing and yet stores nothing; it is well again when it goes on."""
    monkeypatch.setattr(sqlite_writer, "STUCK_AFTER_S", 0.05)
    go_on = threading.Event()

    async def hang(_: object) -> None:
        go_on.wait(10)

    writing = asyncio.ensure_future(sqlite._write(hang))
    await asyncio.sleep(0.2)
    assert (await sqlite.state()).refusal is Code.STORAGE_UNAVAILABLE
    go_on.set()
    await writing
    await asyncio.sleep(0)
    assert (await sqlite.state()).refusal is None


async def test_a_postgresql_that_takes_no_writes_is_seen(postgres: PostgresServer) -> None:
    """It answers, and would refuse whatever is written."""
    name = postgres.make_database()
    database = await PostgresDatabase.open(postgres.address(name))
    postgres.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    postgres.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    assert (await database.state()).refusal is Code.STORAGE_READ_ONLY
    await database.close()
    postgres.drop_database(name)


async def test_little_room_is_full() -> None:
    """Less than what the operator asked for, on either disk; a store without a disk of its own is never full."""
    little, none, enough = StoreState(None, 1, 999, 5000), StoreState(None, 1, None, None), StoreState(None, 1, 1000)
    assert (await readiness_of(Told(little), Told(enough)).parts())["database"] == "storage-full"
    parts = await readiness_of(Told(none), Told(little)).parts()
    assert (parts["database"], parts["blobs"]) == ("ok", "storage-full")


async def test_stores_are_asked_once_a_second() -> None:
    """However many ask, and again as soon as a second is over."""
    database, clock = Told(StoreState()), Time()
    one = readiness_of(database, Told(StoreState()), clock)
    await asyncio.gather(*(one.parts() for _ in range(50)))
    clock.ms = 999
    await one.parts()
    assert database.asked == 1
    database.says = Refused(Code.STORAGE_READ_ONLY)
    clock.ms = 1000
    assert (await one.parts())["database"] == "storage-read-only"
    assert database.asked == 2


async def test_a_store_that_fails_or_hangs_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not asked again while it owes an answer, so that a disk that hangs takes one thread and no more."""
    monkeypatch.setattr(readiness, "PATIENCE_S", 0.05)
    answers = asyncio.Event()

    class Hanging(Told):
        async def state(self) -> StoreState:
            self.asked += 1
            await answers.wait()
            return StoreState()

    hanging, clock = Hanging(StoreState()), Time()
    one = readiness_of(hanging, Told(OSError(errno.EIO, os.strerror(errno.EIO))), clock)
    for _ in range(3):
        parts = await one.parts()
        assert (parts["database"], parts["blobs"]) == ("storage-unavailable", "storage-unavailable")
        clock.ms += 1000
    assert hanging.asked == 1
    answers.set()
    assert (await one.parts())["database"] == "ok"


async def test_a_server_that_stops_is_not_ready() -> None:
    """From the moment on at which it was told to."""
    one = readiness_of(Told(StoreState()), Told(StoreState()))
    assert set((await one.parts()).values()) == {"ok"}
    one.stop()
    assert (await one.parts())["server"] == "stopping"


def times_below(folder: Path) -> dict[Path, int]:
    """When each file below was changed, but for the index of the WAL, where readers take their locks."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if not path.name.endswith("-shm")}


async def test_asking_writes_nothing(sqlite: SqliteDatabase, tmp_path: Path) -> None:
    """Not a byte, and it takes no time to speak of."""
    blobs = await DirectoryBlobs.open_in(tmp_path / "blobs")
    await sqlite.state()  # the first connection makes an empty WAL
    before = times_below(tmp_path)
    started = time.perf_counter()
    for _ in range(50):
        await sqlite.state()
        await blobs.state()
    took_s = (time.perf_counter() - started) / 50
    assert times_below(tmp_path) == before
    assert took_s < 0.02
    await blobs.close()
