"""What a server that is to be killed notes of itself, where its death does not erase it.

A few bytes of a file mapped into memory: after `kill -9` they hold what they held at that moment. So it is known, not
guessed from outside, whether bytes were on their way and whether a commit was being written. The server is otherwise as
it is: `attend` runs before its main, and only writes down what begins and ends.
"""

import asyncio
import mmap
import signal
import struct
import threading
import weakref
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

from safelight.server.domain.ports.blobs import Taken
from safelight.server.domain.ports.commits import Commit
from safelight.server.stores import postgres_connection, postgres_writer, sqlite_writer
from safelight.server.stores.blobs_directory import DirectoryAppender
from safelight.server.stores.commit_facts import SpaceFacts
from safelight.server.stores.commits import Outcome
from safelight.server.stores.postgres_connection import Connection, Pool
from safelight.server.stores.s3_upload import S3Appender
from safelight.server.stores.sqlite_writer import SqliteWriter
from safelight.server.stores.transaction import Transaction, Work

_FORM = struct.Struct("=BBH")


class Stage(IntEnum):
    """How far a transaction with commits is: none, its rows are being written, it is itself being committed."""

    NONE = 0
    WRITING = 1
    COMMITTING = 2


class Notes:
    """The bytes, as both sides see them."""

    def __init__(self, path: Path) -> None:
        with path.open("a+b") as file:
            file.truncate(_FORM.size)
            self._bytes = mmap.mmap(file.fileno(), _FORM.size)

    def clear(self) -> None:
        """Begin anew."""
        _FORM.pack_into(self._bytes, 0, 0, 0, 0)

    @property
    def stage(self) -> Stage:
        """How far a transaction with commits is."""
        return Stage(self._bytes[0])

    @property
    def uploads(self) -> int:
        """How many requests the server took bytes of an upload from, and has not answered."""
        count: int = _FORM.unpack_from(self._bytes)[2]
        return count

    def hold_at(self, stage: Stage) -> None:
        """Ask the server to stand still when it next comes to *stage*; NONE asks for nothing."""
        self._bytes[1] = stage

    def enter(self, stage: Stage) -> None:
        """Note a stage; where that was asked for, stand still in it until someone lets the process go on."""
        self._bytes[0] = stage
        if stage and self._bytes[1] == stage:
            self._bytes[1] = Stage.NONE
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    def count_upload(self, change: int) -> None:
        """Note an upload more, or less."""
        struct.pack_into("=H", self._bytes, 2, self.uploads + change)


def attend(path: str) -> None:
    """Have this process note what it does in the file *path*."""
    notes = Notes(Path(path))
    notes.clear()
    _note_uploads(DirectoryAppender, notes)
    _note_uploads(S3Appender, notes)
    _note_sqlite(notes)
    _note_postgres(notes)


def _note_uploads(appender: Any, notes: Notes) -> None:
    """From the first bytes that a request brought until it lets go of the upload, just before it is answered."""
    write, close = appender.write, appender.close
    taking = weakref.WeakSet[Any]()

    async def noted_write(self: Any, data: bytes | bytearray | memoryview, taken: Taken | None = None) -> None:
        if data and self not in taking:
            taking.add(self)
            notes.count_upload(1)
        await write(self, data, taken)

    async def noted_close(self: Any) -> None:
        try:
            await close(self)
        finally:
            if self in taking:
                taking.discard(self)
                notes.count_upload(-1)

    appender.write, appender.close = noted_write, noted_close


def _note_sqlite(notes: Notes) -> None:
    """All in the writer's thread: from the first statement for a commit until SQLite's COMMIT has returned."""
    module: Any = sqlite_writer
    begin, transact, run = SqliteWriter.__init__, SqliteWriter._transact, module.commit_run

    def see(sql: str) -> None:
        if sql == "COMMIT" and notes.stage is Stage.WRITING:
            notes.enter(Stage.COMMITTING)

    def noted_begin(self: SqliteWriter, path: Path) -> None:
        begin(self, path)
        self._connection.set_trace_callback(see)

    async def noted_run(tx: Transaction, commits: Sequence[Commit]) -> list[Outcome]:
        notes.enter(Stage.WRITING)
        outcomes: list[Outcome] = await run(tx, commits)
        return outcomes

    def noted_transact(self: SqliteWriter, work: Any) -> Any:
        try:
            return transact(self, work)
        finally:
            notes.enter(Stage.NONE)

    patched: Any = SqliteWriter
    patched.__init__, patched._transact = noted_begin, noted_transact
    module.commit_run = noted_run


def _note_postgres(notes: Notes) -> None:
    """From the first statement after the locks on its spaces until PostgreSQL has answered COMMIT; one task commits."""
    writer: Any = postgres_writer
    transact, run, commit = writer.transact, writer.commit_locked, postgres_connection._commit
    committing: list[asyncio.Task[Any] | None] = [None]

    async def noted_run(tx: Transaction, spaces: dict[bytes, SpaceFacts], commits: Sequence[Commit]) -> list[Outcome]:
        committing[0] = asyncio.current_task()
        notes.enter(Stage.WRITING)
        outcomes: list[Outcome] = await run(tx, spaces, commits)
        return outcomes

    async def noted_commit(connection: Connection) -> None:
        if asyncio.current_task() is committing[0]:
            notes.enter(Stage.COMMITTING)
        await commit(connection)

    async def noted_transact(pool: Pool, work: Work[Any]) -> Any:
        try:
            return await transact(pool, work)
        finally:
            if asyncio.current_task() is committing[0]:
                committing[0] = None
                notes.enter(Stage.NONE)

    writer.transact, writer.commit_locked = noted_transact, noted_run
    postgres_connection._commit = noted_commit
