"""Commits that come while a group waits for its space are committed with it (PostgreSQL; SQLite never waits)."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from safelight.server.domain.ports.commits import Commit
from safelight.server.stores.engine_postgres import PostgresDatabase
from tests.conformance.library import Library, some_hash
from tests.support.postgres import PostgresServer
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
        return [commit for commit in self.commits if commit.space_id in space_ids]


async def test_what_comes_while_a_space_is_waited_for_joins(postgres: PostgresServer) -> None:
    """A group that waits for its space takes in what came meanwhile, in its order, and in its transaction.

    For spaces that another process holds, or that are not there, nothing joins, and nobody waits for them.
    """
    name = postgres.make_database()
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
    postgres.drop_database(name)
