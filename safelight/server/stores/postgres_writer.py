"""What writes to PostgreSQL: commits that wait together in one transaction, and everything else in one of its own.

Here grouping is for the commits of this process; what other connections commit meanwhile PostgreSQL itself syncs
together. Each transaction is done anew where others came in between and, for a short while, where the database is away.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from safelight.server.domain.ports.commits import Commit, Committed, Joining
from safelight.server.stores.commit_facts import SQL, SpaceFacts, lock
from safelight.server.stores.commits import Outcome, answers, commit_locked
from safelight.server.stores.postgres_connection import Pool, transact
from safelight.server.stores.postgres_errors import FateUnknown, Patience
from safelight.server.stores.statements import statement
from safelight.server.stores.transaction import Transaction, Work
from safelight.sync_protocol.refusals import Code, Refused

T = TypeVar("T")

MAX_GROUP_JOBS = 256
CHANNEL = "safelight"

_LOG = logging.getLogger(__name__)
_LOCK_FREE_SPACES = statement("lock_free_spaces", f"{SQL['lock_spaces'].text} SKIP LOCKED")
_NOTIFY = statement("notify", f"SELECT pg_notify('{CHANNEL}', :payload)")


@dataclass(slots=True)
class _Batch:
    commits: list[Commit]
    joining: Joining | None = None


@dataclass(slots=True)
class _Waiting:
    batch: _Batch
    done: "asyncio.Future[list[Outcome]]"


class PostgresWriter:
    """Writes over the connections of *pool*."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: list[_Waiting] = []
        self._committing: asyncio.Task[None] | None = None
        self._working: set[asyncio.Task[Any]] = set()
        self._closing = False

    async def write(self, work: Work[T]) -> T:
        """Run *work* in a transaction; durable when this returns. It goes on where whoever asked goes away."""
        self._check_open()
        task = asyncio.ensure_future(self._write(work))
        self._working.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task)

    async def commit(self, batch: Sequence[Commit], joining: Joining | None = None) -> list[Outcome]:
        """Commit *batch* in order in the next group, and what *joining* brings after it."""
        self._check_open()
        waiting = _Waiting(_Batch(list(batch), joining), asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_waiting())
        return await waiting.done

    async def close(self) -> None:
        """Finish what waits."""
        self._closing = True
        while self._working or self._committing:
            await asyncio.wait({*self._working, *([self._committing] if self._committing else [])})

    def _check_open(self) -> None:
        if self._closing:
            raise Refused(Code.STORAGE_READ_ONLY, "the server is stopping")

    def _over(self, task: "asyncio.Task[Any]") -> None:
        self._working.discard(task)
        if not task.cancelled():
            task.exception()  # seen, also where whoever asked has gone

    async def _write(self, work: Work[T]) -> T:
        patience = Patience()
        while True:
            try:
                return await transact(self._pool, work)
            except FateUnknown as error:
                # Not everything may be done twice: whoever asked has to look.
                raise Refused(
                    Code.STORAGE_UNAVAILABLE, "the database went away; look whether it was done"
                ) from error.__cause__
            except Refused:
                raise
            except Exception as error:  # noqa: BLE001 - what is not tried again is raised by `after`
                await patience.after(error)

    async def _commit_waiting(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:MAX_GROUP_JOBS], self._waiting[MAX_GROUP_JOBS:]
                await self._commit_group(group)
        finally:
            self._committing = None

    async def _commit_group(self, group: list[_Waiting]) -> None:
        try:
            outcomes = iter(await self._outcomes([waiting.batch for waiting in group]))
        except Refused as refusal:
            for waiting in group:
                _answer(waiting, Refused(refusal.code, refusal.detail))
            return
        for waiting in group:
            try:
                _answer(waiting, answers(list(islice(outcomes, len(waiting.batch.commits)))))
            except Exception as error:  # noqa: BLE001 - it is handed to whoever waits for it
                _answer(waiting, error)

    async def _outcomes(self, group: list[_Batch]) -> Sequence[Outcome | Exception]:
        try:
            return await self._commit(group)
        except Refused:
            raise
        except Exception:  # noqa: BLE001 - the one at fault is found by trying each alone
            _LOG.exception("a run of commits failed and is tried one by one")
        return [await self._commit_alone(commit) for commit in _commits(group)]

    async def _commit_alone(self, commit: Commit) -> Outcome | Exception:
        try:
            return (await self._commit([_Batch([commit])]))[0]
        except Exception as error:  # noqa: BLE001 - it is handed to whoever waits for it
            return error

    async def _commit(self, group: list[_Batch]) -> list[Outcome]:
        """One transaction, until it stands or is known not to.

        Where the connection is lost while it is being committed, the same run is done again: it waits for the rows that
        the lost one may still hold locked, finds by its entry id whatever stands, and gives that its first answer.
        """

        async def work(tx: Transaction) -> list[Outcome]:
            spaces = await lock(tx, {commit.space_id for commit in _commits(group)})
            await _join(tx, group, spaces)
            commits = _commits(group)
            outcomes = await commit_locked(tx, spaces, commits)
            await _ring(tx, commits, outcomes)
            return outcomes

        patience = Patience()
        while True:
            try:
                return await transact(self._pool, work)
            except Exception as error:  # noqa: BLE001 - what is not tried again is raised by `after`
                await patience.after(error)


async def _join(tx: Transaction, group: Sequence[_Batch], spaces: dict[bytes, SpaceFacts]) -> None:
    """Take in what came while the spaces' turn was waited for, and lock its spaces, too, where nobody else holds them.

    A group has its price whatever its size. Without this, several processes in the same spaces would make groups that
    are as many times smaller than one process's. What somebody holds is left out and not waited for: locks that are
    waited for are taken in the order of the spaces' ids, so that no two groups ever wait for each other.
    """
    wanted = {space_id for batch in group if batch.joining for space_id in batch.joining.space_ids()}
    spaces |= await lock(tx, wanted - spaces.keys(), _LOCK_FREE_SPACES)
    for batch in group:
        if batch.joining:
            batch.commits += batch.joining.take(spaces.keys())


def _answer(waiting: _Waiting, answer: list[Outcome] | Exception) -> None:
    if waiting.done.done():  # whoever asked went away
        return
    if isinstance(answer, Exception):
        waiting.done.set_exception(answer)
    else:
        waiting.done.set_result(answer)


def _commits(group: Iterable[_Batch]) -> list[Commit]:
    return [commit for batch in group for commit in batch.commits]


async def notice(tx: Transaction, *payloads: str) -> None:
    """Say something to every process, this one included, when the transaction stands."""
    await tx.run_many(_NOTIFY, [(payload,) for payload in payloads])


async def _ring(tx: Transaction, commits: Sequence[Commit], outcomes: Sequence[Outcome]) -> None:
    """Tell every process, when the transaction stands, how far the logs have come."""
    numbers: dict[bytes, int] = {}
    for commit, outcome in zip(commits, outcomes, strict=True):
        if isinstance(outcome, Committed) and not outcome.repeated:
            numbers[commit.space_id] = outcome.number
    await notice(tx, *(f"log {space_id.hex()} {number}" for space_id, number in numbers.items()))
