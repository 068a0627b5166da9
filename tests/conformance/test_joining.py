"""Commits that come while a group waits for its space are committed with it (PostgreSQL; SQLite never waits)."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import asyncpg
import pytest

from safelight.server.domain.ports.commits import Commit, Committed
from safelight.server.stores.engine_postgres import PostgresDatabase
from safelight.sync_protocol.refusals import Code
from tests.conformance.library import Library, some_hash
from tests.support.postgres import PostgresServer, commit_cutter
from tests.support.waiting import held_up, until_one_waits


@dataclass
class Waiting:
    """What has come meanwhile, and the spaces that were held when it was taken."""

    commits: list[Commit] = field(default_factory=list)
    held: list[set[bytes]] = field(default_factory=list)

    def space_ids(self) -> Collection[bytes]:
        """The spaces of what has come."""
        return {commit.space_id for commit in self.commits}

    def take(self, space_ids: Collection[bytes]) -> Sequence[Commit]:
        """Hand over what has come for these."""
        self.held.append(set(space_ids))
        taken = [commit for commit in self.commits if commit.space_id in space_ids]
        self.commits = [commit for commit in self.commits if commit.space_id not in space_ids]
        return taken


@pytest.fixture
def name(postgres: PostgresServer) -> Iterator[str]:
    """The name of a database of the test's own."""
    made = postgres.make_database()
    yield made
    postgres.drop_database(made)


async def test_what_comes_while_a_space_is_waited_for_joins(postgres: PostgresServer, name: str) -> None:
    """A group that waits for its space takes in what came meanwhile, in its order, and in its transaction.

    For spaces that another process holds, or that are not there, nothing joins, and nobody waits for them.
    """
    address = postgres.address(name)
    opened = await PostgresDatabase.open(address)
    here, free, held = [await Library.make(opened) for _ in range(3)]
    begins = Library(opened, here.account_id, here.device_id, some_hash()).genesis()
    nowhere = Library(opened, here.account_id, here.device_id, some_hash()).a_record()
    waiting = Waiting()
    first = here.a_record()
    async with held_up(address, held.space_id):
        async with held_up(address, here.space_id):
            committing = asyncio.create_task(opened.commit([first, begins], waiting))
            await until_one_waits(address)
            assert waiting.held == []
            second = here.a_record(after=first)
            third = here.a_record(after=second)
            waiting.commits += [second, replace(here.a_record(after=first), counter=9), third]
            waiting.commits += [free.a_record(), held.a_record(), nowhere]
        outcomes = await committing
    assert waiting.held == [{here.space_id, free.space_id}]
    assert [getattr(outcome, "number", None) for outcome in outcomes] == [2, 1, 3, None, 4, 2]
    transactions = postgres.run("SELECT count(DISTINCT xmin::text) FROM entries WHERE number > 1", name)
    assert [tuple(row) for row in transactions] == [(1,)]
    await opened.close()


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_the_connection_is_lost_with_what_joined(postgres: PostgresServer, name: str, cut: str) -> None:
    """What joined a transaction that may stand or not is asked again with it; it stands once, its answers are true."""
    address = postgres.address(name)
    async with commit_cutter(postgres) as cutter:
        opened = await PostgresDatabase.open(cutter.address(name))
        here, free = await Library.make(opened), await Library.make(opened)
        waiting, first = Waiting(), here.a_record()
        async with held_up(address, here.space_id):
            committing = asyncio.create_task(opened.commit([first], waiting))
            await until_one_waits(address)
            joined = [here.a_record(after=first), free.a_record(), replace(here.a_record(after=first), counter=9)]
            waiting.commits += joined
            cutter.cut = cut
        *outcomes, last = await committing
        assert (cutter.cuts, getattr(last, "code", None)) == (1, Code.COUNTER_CONFLICT)
        for commit, outcome in zip([first, *joined[:2]], outcomes, strict=True):
            assert isinstance(outcome, Committed)
            assert outcome.repeated == (cut == "after")
            [row] = await opened.entries_at(commit.space_id, [outcome.number])
            assert (row.entry_id, row.chain, row.time_ms) == (commit.entry_id, outcome.chain, outcome.time_ms)
        for space, count in ((here, 3), (free, 2)):
            rows = await opened.entries(space.space_id, 0, 100, 10**9)
            assert [row.number for row in rows] == list(range(1, count + 1))
        await opened.close()


async def test_blobs_are_locked_from_space_to_space(postgres: PostgresServer, name: str) -> None:
    """A group and whoever forgets a blob lock its rows in one order, in whatever order the commits came.

    *Five spaces, read four at once as they came: the group held the last one's row and waited for the first one's.*
    """
    address, blob = postgres.address(name), some_hash()
    opened = await PostgresDatabase.open(address)
    spaces = sorted([await Library.make(opened) for _ in range(5)], key=lambda space: space.space_id)
    for space in spaces:
        await space.hold_named(blob)
    commits = [await space.an_asset(blob) for space in reversed(spaces)]
    forgetting = await asyncpg.connect(address)
    lock = "SELECT 1 FROM space_blobs WHERE name = $1 AND space_id = $2 FOR UPDATE NOWAIT"
    try:
        async with forgetting.transaction():
            await forgetting.execute(lock, blob, spaces[0].space_id)
            committing = asyncio.create_task(opened.commit(commits))
            await until_one_waits(address)
            for space in spaces[1:]:
                await forgetting.execute(lock, blob, space.space_id)
    finally:
        await forgetting.close()
    assert {type(outcome) for outcome in await committing} == {Committed}
    await opened.close()
