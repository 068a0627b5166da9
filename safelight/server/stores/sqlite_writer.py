"""SQLite's one writer: a thread with one connection, which makes what waits together one durable transaction.

One connection writes and checkpoints, because SQLite before 3.51.3, which Python may bring, can corrupt a WAL database
that several connections checkpoint. The thread is handed a group in one hop and gives back its results in one.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from safelight.server.domain.ports import Commit
from safelight.server.stores.commits import Outcome, commit_run
from safelight.server.stores.statements import Statement, Value, expanded, in_runs, numbered
from safelight.server.stores.transaction import Found, Work
from safelight.sync_protocol.refusals import Code, Refused

T = TypeVar("T")

MAX_GROUP_JOBS = 256
CHECKPOINT_AFTER_ROWS = 4000
MAX_WAL_SIZE_BYTES = 64 * 1024 * 1024

_LOG = logging.getLogger(__name__)

# Growing the shared index of the WAL fails so when the disk is full; nothing was synced, so nothing was lost.
_FULL_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP})
_BROKEN_CODES = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
    }
)


class StorageFailure(Exception):
    """The disk, not the statement, is at fault: the whole group fails with *refusal*."""

    def __init__(self, refusal: Refused) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


@dataclass(slots=True)
class Job:
    """One thing that waits to be written: some work, or a commit."""

    work: Work[Any] | None
    commit: Commit | None
    done: asyncio.Future[Any]


class SqliteTransaction:
    """A transaction on the writer's connection; its coroutines never wait."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def rows(self, statement: Statement, **values: Value) -> list[Found]:
        """Run and return what it finds or returns."""
        return self._connection.execute(numbered(statement, "?"), statement.values(values)).fetchall()

    async def rows_in(self, statement: Statement, each: Sequence[bytes], **values: Value) -> list[Found]:
        """Run for all of *each*."""
        found: list[Found] = []
        for run in in_runs(each):
            found += await self.rows(
                expanded(statement, len(run)), **values, **{f"each{index}": name for index, name in enumerate(run)}
            )
        return found

    async def run_many(self, statement: Statement, rows: Iterable[Sequence[Value]]) -> None:
        """Run for each of *rows*."""
        self._connection.executemany(numbered(statement, "?"), rows)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what is written within if it raises."""
        self._connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:  # a full disk ends the whole transaction
                self._connection.execute("ROLLBACK TO part")
                self._connection.execute("RELEASE part")
            raise
        self._connection.execute("RELEASE part")


class SqliteWriter:
    """The thread, its connection, and what waits for it. Made and used in one event loop."""

    def __init__(self, path: Path) -> None:
        self._wal = path.with_name(path.name + "-wal")
        self._connection = connect(path)
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._transaction = SqliteTransaction(self._connection)
        self._loop = asyncio.get_running_loop()
        self._groups: SimpleQueue[list[Job] | None] = SimpleQueue()
        self._waiting: list[Job] = []
        self._working = False
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._read_only: Refused | None = None
        self._checkpointed_rows = 0
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Work[T]) -> T:
        """Run *work* in its own savepoint of the next group; durable when this returns."""
        job = Job(work, None, self._loop.create_future())
        self._add([job])
        result: T = await job.done
        return result

    async def commit(self, batch: Sequence[Commit]) -> list[Outcome]:
        """Commit *batch* in order in the next group."""
        jobs = [Job(None, commit, self._loop.create_future()) for commit in batch]
        self._add(jobs)
        return list(await asyncio.gather(*(job.done for job in jobs)))

    async def close(self) -> None:
        """Finish what waits, checkpoint, and end the thread. Readers must be closed before."""
        self._closing = True
        await self._idle.wait()
        if self._thread.is_alive():
            self._groups.put(None)
            await asyncio.to_thread(self._thread.join)

    def _add(self, jobs: list[Job]) -> None:
        if self._closing:
            raise Refused(Code.STORAGE_READ_ONLY, "the server is stopping")
        self._waiting += jobs
        if not self._working:
            # At the end of this turn of the loop, so that what becomes ready in it goes together.
            self._working = True
            self._idle.clear()
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        group, self._waiting = self._waiting[:MAX_GROUP_JOBS], self._waiting[MAX_GROUP_JOBS:]
        if group:
            self._groups.put(group)
        else:
            self._working = False
            self._idle.set()

    def _deliver(self, group: list[Job], results: list[object]) -> None:
        for job, result in zip(group, results, strict=True):
            if job.done.done():  # whoever asked went away
                continue
            if isinstance(result, BaseException):
                job.done.set_exception(result)
            else:
                job.done.set_result(result)
        self._loop.call_soon(self._hand_over)

    # What follows runs in the thread.

    def _run(self) -> None:
        while (group := self._groups.get()) is not None:
            results = self._write_group(group)
            self._loop.call_soon_threadsafe(self._deliver, group, results)
            self._checkpoint()
        if self._read_only is None:
            self._checkpoint(last=True)
        self._connection.close()

    def _write_group(self, group: list[Job]) -> list[object]:
        """Write *group* in one transaction; for each job its result, or what it raised."""
        if self._read_only is not None:
            return [_refusal(self._read_only) for _ in group]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            results = _to_the_end(self._write_jobs(group))
            self._connection.execute("COMMIT")
        except (sqlite3.Error, StorageFailure) as error:
            refusal = self._fail(error)
            return [_refusal(refusal) for _ in group]
        return results

    async def _write_jobs(self, group: list[Job]) -> list[object]:
        results: dict[int, object] = {}
        commits: list[tuple[int, Commit]] = []
        for index, job in enumerate(group):
            if job.commit is not None:
                commits.append((index, job.commit))
            elif job.work is not None:
                results[index] = await self._attempt(job.work)
        outcomes = await self._commit([commit for _, commit in commits]) if commits else []
        results.update(zip((index for index, _ in commits), outcomes, strict=True))
        return [results[index] for index in range(len(group))]

    async def _commit(self, commits: list[Commit]) -> list[object]:
        """Write a run of commits in one savepoint; should that fail, each in its own, so that one alone fails."""
        together = await self._attempt(partial(commit_run, commits=commits))
        if isinstance(together, list):
            return [*together]
        _LOG.error("a run of commits failed and is tried one by one", exc_info=together)
        results: list[object] = []
        for commit in commits:
            alone = await self._attempt(partial(commit_run, commits=[commit]))
            results.append(alone[0] if isinstance(alone, list) else alone)
        return results

    async def _attempt(self, work: Work[T]) -> T | Exception:
        """Run *work* in a savepoint: its result, or what it raised after being undone."""
        try:
            async with self._transaction.savepoint():
                return await work(self._transaction)
        except sqlite3.Error as error:
            if (refusal := storage_refusal(error)) is not None:
                raise StorageFailure(refusal) from error
            return error
        except Exception as error:  # noqa: BLE001 - it is handed to the one who asked; the others' work goes on
            return error

    def _fail(self, error: sqlite3.Error | StorageFailure) -> Refused:
        """Undo the group. After a failed write or sync nothing is tried again: the pages that failed may be lost."""
        refusal = error.refusal if isinstance(error, StorageFailure) else storage_refusal(error)
        if refusal is None or refusal.code is not Code.STORAGE_FULL:
            refusal = Refused(Code.STORAGE_READ_ONLY, "the database could not be written")
            self._read_only = refusal
        _LOG.error("the database could not be written", exc_info=error)
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as second:
            self._read_only = Refused(Code.STORAGE_READ_ONLY, "the database could not be written")
            _LOG.error("nor could the transaction be undone", exc_info=second)
        return refusal

    def _checkpoint(self, *, last: bool = False) -> None:
        """Move what the WAL holds into the database, when there is much of it or nobody will write any more."""
        rows = self._connection.total_changes - self._checkpointed_rows
        too_large = rows > 0 and self._wal.stat().st_size > MAX_WAL_SIZE_BYTES
        if self._read_only is not None or not (last or too_large or rows > CHECKPOINT_AFTER_ROWS):
            return
        try:
            mode = "TRUNCATE" if last or too_large else "PASSIVE"
            self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
            self._checkpointed_rows = self._connection.total_changes
        except sqlite3.Error as error:
            # A full disk: the WAL keeps everything, and it is tried again later. A failed sync is never tried again.
            refusal = storage_refusal(error)
            if refusal is None or refusal.code is not Code.STORAGE_FULL:
                self._read_only = Refused(Code.STORAGE_READ_ONLY, "the database could not be checkpointed")
            _LOG.error("the database could not be checkpointed", exc_info=error)


def connect(path: Path) -> sqlite3.Connection:
    """Open *path* in WAL mode, committing and checkpointing only when told to."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    for pragma in ("journal_mode = WAL", "wal_autocheckpoint = 0", "temp_store = MEMORY", "busy_timeout = 5000"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def storage_refusal(error: sqlite3.Error) -> Refused | None:
    """The refusal that says what the disk did, or None if it was the statement."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    if code in _FULL_CODES:
        return Refused(Code.STORAGE_FULL)
    if code & 0xFF in _BROKEN_CODES:
        return Refused(Code.STORAGE_READ_ONLY, "the database could not be written")
    return None


def _refusal(refusal: Refused) -> Refused:
    """The same refusal anew: one exception raised to many would gather all their tracebacks."""
    return Refused(refusal.code, refusal.detail)


def _to_the_end(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stopped:
        result: T = stopped.value
        return result
    coroutine.close()
    raise RuntimeError("what is written in SQLite's transaction must not wait for anything else")
