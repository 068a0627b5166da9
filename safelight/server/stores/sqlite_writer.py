"""SQLite's one writer: a thread with one connection, which makes what waits together one durable transaction.

One connection writes and checkpoints, because SQLite before 3.51.3, which Python may bring, can corrupt a WAL database
that several connections checkpoint. The thread is handed a group in one hop and gives back its results in one.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from safelight.server.domain.ports.commits import Commit
from safelight.server.stores import disk
from safelight.server.stores.commits import Outcome, answers, commit_run
from safelight.server.stores.sqlite_connection import SqliteTransaction, connect, leave_wal_alone, storage_refusal
from safelight.server.stores.transaction import Work
from safelight.sync_protocol.refusals import Code, Refused

T = TypeVar("T")

MAX_GROUP_JOBS = 256
CHECKPOINT_AFTER_ROWS = 4000
MAX_WAL_SIZE_BYTES = 64 * 1024 * 1024
STUCK_AFTER_S = 15.0  # a disk that syncs no group in that time keeps everyone waiting

_LOG = logging.getLogger(__name__)

_Commit = Callable[[list[Commit]], Awaitable[Sequence[Outcome | Exception]]]


class _RunFailed(Exception):
    """A run of commits met something that no check foresaw."""


@dataclass(slots=True)
class Job:
    """One thing that waits to be written: some work, or commits."""

    done: asyncio.Future[Any]
    work: Work[Any] | None = None
    commits: Sequence[Commit] = ()


class SqliteWriter:
    """The thread, its connection, and what waits for it. Made and used in one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wal = path.with_name(path.name + "-wal")
        self._connection = connect(path)
        _begin(self._connection, path)
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
        self._handed_s: float | None = None
        self._checkpointed_rows = 0
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Work[T]) -> T:
        """Run *work* in its own savepoint of the next group; durable when this returns."""
        result: T = await self._add(Job(self._loop.create_future(), work))
        return result

    async def commit(self, batch: Sequence[Commit]) -> list[Outcome]:
        """Commit *batch* in order in the next group."""
        outcomes: list[Outcome | Exception] = await self._add(Job(self._loop.create_future(), commits=batch))
        return answers(outcomes)

    def refusal(self) -> Code | None:
        """What everything that is written would be refused with now."""
        if self._read_only is not None:
            return self._read_only.code
        if self._closing or not self._thread.is_alive():
            return Code.STORAGE_READ_ONLY
        stuck = self._handed_s is not None and time.monotonic() - self._handed_s > STUCK_AFTER_S
        return Code.STORAGE_UNAVAILABLE if stuck else None

    async def close(self) -> None:
        """Finish what waits, checkpoint, and end the thread. Readers must be closed before."""
        self._closing = True
        await self._idle.wait()
        if self._thread.is_alive():
            self._groups.put(None)
            await asyncio.to_thread(self._thread.join)

    def _add(self, job: Job) -> asyncio.Future[Any]:
        if self._closing:
            raise Refused(Code.STORAGE_READ_ONLY, "the server is stopping")
        self._waiting.append(job)
        if not self._working:
            # At the end of this turn of the loop, so that what becomes ready in it goes together.
            self._working = True
            self._idle.clear()
            self._loop.call_soon(self._hand_over)
        return job.done

    def _hand_over(self) -> None:
        group, self._waiting = self._waiting[:MAX_GROUP_JOBS], self._waiting[MAX_GROUP_JOBS:]
        if group:
            self._handed_s = time.monotonic()
            self._groups.put(group)
        else:
            self._handed_s = None
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
        """Write *group* in one transaction; for each job its result, or what it raised.

        Commits need no savepoint: one that is refused writes nothing. Should their run fail for a reason that no check
        foresaw, all is undone and done again with a savepoint for each commit, so that only the one at fault fails.
        (A savepoint around the run would make SQLite copy every page that the run changes, which doubles its cost.)
        """
        if self._read_only is not None:
            return [_refusal(self._read_only) for _ in group]
        try:
            try:
                return self._transact(self._write_jobs(group, self._commit_together))
            except _RunFailed as failed:
                _LOG.error("a run of commits failed and is tried one by one", exc_info=failed.__cause__)
                self._undo()
                return self._transact(self._write_jobs(group, self._commit_apart))
        except Exception as error:  # noqa: BLE001 - it is handed to those who wait, and the thread goes on
            refusal = self._fail(error)
            return [_refusal(refusal) for _ in group]

    def _transact(self, work: Coroutine[Any, Any, T]) -> T:
        self._connection.execute("BEGIN IMMEDIATE")
        result = _to_the_end(work)
        self._connection.execute("COMMIT")
        return result

    async def _write_jobs(self, group: list[Job], commit: _Commit) -> list[object]:
        """All commits of a group are one run, after all else: who waits for a commit asks for nothing before it."""
        done = [await self._attempt(job.work) if job.work else None for job in group]
        commits = [commit for job in group for commit in job.commits]
        outcomes = iter(await commit(commits) if commits else ())
        return [
            result if job.work else list(islice(outcomes, len(job.commits)))
            for job, result in zip(group, done, strict=True)
        ]

    async def _commit_together(self, commits: list[Commit]) -> Sequence[Outcome | Exception]:
        try:
            return await commit_run(self._transaction, commits)
        except Exception as error:
            if isinstance(error, sqlite3.Error) and storage_refusal(error) is not None:
                raise
            raise _RunFailed from error

    async def _commit_apart(self, commits: list[Commit]) -> Sequence[Outcome | Exception]:
        outcomes: list[Outcome | Exception] = []
        for commit in commits:
            alone = await self._attempt(partial(commit_run, commits=[commit]))
            outcomes += alone if isinstance(alone, list) else [alone]
        return outcomes

    async def _attempt(self, work: Work[T]) -> T | Exception:
        """Run *work* in a savepoint: its result, or what it raised after being undone, but for the disk's failures."""
        try:
            async with self._transaction.savepoint():
                return await work(self._transaction)
        except Exception as error:
            if isinstance(error, sqlite3.Error) and storage_refusal(error) is not None:
                raise
            return error

    def _fail(self, error: Exception) -> Refused:
        """Undo the group. After a failed write or sync nothing is tried again: the pages that failed may be lost."""
        refusal = storage_refusal(error) if isinstance(error, sqlite3.Error) else None
        if refusal is None:
            refusal = Refused(Code.SERVER_FAULT)
        elif refusal.code is Code.STORAGE_READ_ONLY:
            self._give_up(refusal)
        _LOG.error("a transaction failed", exc_info=error)
        self._undo()
        return refusal

    def _undo(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            self._give_up(Refused(Code.STORAGE_READ_ONLY, "a transaction could not be undone"))
            _LOG.error("a transaction could not be undone", exc_info=error)

    def _give_up(self, refusal: Refused) -> None:
        """Write nothing any more, not even as the connection closes."""
        if self._read_only is not None:
            return
        self._read_only = refusal
        try:
            leave_wal_alone(self._path)
        except OSError as error:
            _LOG.error("the database may be checkpointed as it closes", exc_info=error)

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
                self._give_up(Refused(Code.STORAGE_READ_ONLY, "the database could not be checkpointed"))
            _LOG.error("the database could not be checkpointed", exc_info=error)


def _begin(connection: sqlite3.Connection, path: Path) -> None:
    """Make the WAL, durably, and make durable what is in one that was left behind, before anyone is shown it.

    A process that was killed may have written a transaction and not synced it: shown to readers and then lost with the
    power, it would leave them with a history that another takes the place of. And of a new WAL, SQLite syncs the name
    at the first write, but takes no notice where that fails. Raises Refused, and SyncFailure.
    """
    wal = path.with_name(path.name + "-wal")
    try:
        connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
        if wal.stat().st_size:
            _move_into_database(connection, wal)
        disk.sync_folder(path.parent)
    except BaseException as error:
        refusal = storage_refusal(error) if isinstance(error, sqlite3.Error) else None
        if refusal is not None:
            leave_wal_alone(path)
        connection.close()
        if refusal is not None:
            raise refusal from error
        raise


def _move_into_database(connection: sqlite3.Connection, wal: Path) -> None:
    """Checkpoint; where the disk is too full for that, the WAL itself is made durable."""
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as error:
        refusal = storage_refusal(error)
        if refusal is None or refusal.code is not Code.STORAGE_FULL:
            raise
        with wal.open("rb") as file:
            disk.sync_file(file.fileno())


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
